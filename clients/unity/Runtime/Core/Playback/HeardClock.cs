// Tells what is heard now, from what the sound card's thread took last. Pure but for the times it is given.

using System;
using System.Threading;

namespace Voxwire.Playback
{
    /// <summary>
    /// The audio thread takes samples in blocks; they are heard one after another, and later by the output's latency. `Mark` is for the
    /// audio thread and takes no lock, `At` for one other thread. Times are seconds of one clock.
    /// </summary>
    public sealed class HeardClock
    {
        private readonly int sampleRate;
        private readonly long latency;
        private int version;
        private long blockStart;
        private long blockEnd;
        private double blockAt;
        private long newest;

        public HeardClock(int sampleRate, double latencySeconds)
        {
            this.sampleRate = sampleRate;
            latency = (long)(latencySeconds * sampleRate);
        }

        /// <summary>The samples from one pts to before another were taken at a time.</summary>
        public void Mark(long startPts, long endPts, double now)
        {
            // Odd while it is being written; whoever reads meanwhile reads again.
            Interlocked.Increment(ref version);
            Volatile.Write(ref blockStart, startPts);
            Volatile.Write(ref blockEnd, endPts);
            Volatile.Write(ref blockAt, now);
            Interlocked.Increment(ref version);
        }

        /// <summary>The first sample that is not heard yet; never goes back.</summary>
        public long At(double now)
        {
            long start, end;
            double at;
            int before;
            do
            {
                before = Volatile.Read(ref version);
                start = Volatile.Read(ref blockStart);
                end = Volatile.Read(ref blockEnd);
                at = Volatile.Read(ref blockAt);
                Interlocked.MemoryBarrier();
            }
            while ((before & 1) != 0 || before != Volatile.Read(ref version));
            // Time that goes on after the block is the latency's: nothing new was taken, and the rest of it comes out.
            double passed = Math.Max(0, now - at) * sampleRate;
            long reached = Math.Min(end, start + (long)passed - latency);
            newest = Math.Max(newest, Math.Max(0, reached));
            return newest;
        }
    }
}
