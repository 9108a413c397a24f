// Says how long to wait before the next attempt to connect. Pure.

using System;

namespace Voxwire.Connection
{
    /// <summary>
    /// Full jitter: each delay is drawn from zero to a bound that doubles (Brooker, "Exponential Backoff And Jitter",
    /// 2015), so that clients that lost their server together do not reconnect together.
    /// </summary>
    internal sealed class Backoff
    {
        internal const double FirstMs = 50;
        internal const double StepMs = 100;
        internal const double MsMax = 5000;

        /// <summary>A longer `retry_after_ms` of the server is cut to this.</summary>
        internal const double AskedMsMax = 60000;

        private readonly Func<double> draw;
        private int attempts;

        /// <summary>`draw` gives numbers from 0 to before 1.</summary>
        internal Backoff(Func<double> draw)
        {
            this.draw = draw;
        }

        /// <summary>A connection delivered a message: the next delays are short again.</summary>
        internal void Succeeded()
        {
            attempts = 0;
        }

        /// <summary>The next delay, at least `askedMs` (the server's `retry_after_ms`, or null).</summary>
        internal double NextMs(double? askedMs)
        {
            double bound = attempts == 0 ? FirstMs : Math.Min(MsMax, StepMs * Math.Pow(2, attempts - 1));
            // After ten doublings the bound is MsMax anyway.
            attempts = Math.Min(attempts + 1, 10);
            return Math.Min(Math.Max(0, askedMs ?? 0), AskedMsMax) + draw() * bound;
        }
    }
}
