// Says how long to wait before the next attempt to connect: at once, then longer and longer, never in step. Pure.

using System;

namespace Voxwire.Connection
{
    /// <summary>
    /// Full jitter: each delay is drawn from zero to a bound that doubles (Brooker, "Exponential Backoff And Jitter",
    /// 2015), so that clients that lost their server together do not come back together.
    /// </summary>
    internal sealed class Backoff
    {
        internal const double FirstMs = 50;
        internal const double StepMs = 100;
        internal const double MsMax = 5000;

        /// <summary>Nobody is believed who asks for more.</summary>
        internal const double AskedMsMax = 60000;

        private readonly Func<double> draw;
        private int attempts;

        /// <summary>`draw` gives numbers from 0 to before 1.</summary>
        internal Backoff(Func<double> draw)
        {
            this.draw = draw;
        }

        /// <summary>The connection was good for something: begin again with short delays.</summary>
        internal void Succeeded()
        {
            attempts = 0;
        }

        /// <summary>How long to wait; not before `askedMs`, if the server said so.</summary>
        internal double NextMs(double? askedMs)
        {
            double bound = attempts == 0 ? FirstMs : Math.Min(MsMax, StepMs * Math.Pow(2, attempts - 1));
            // Beyond ten doublings nothing changes any more.
            attempts = Math.Min(attempts + 1, 10);
            return Math.Min(Math.Max(0, askedMs ?? 0), AskedMsMax) + draw() * bound;
        }
    }
}
