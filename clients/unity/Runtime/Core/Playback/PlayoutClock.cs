// Says which sample is heard now, from the block of samples that the audio thread took last. Reads no clock itself.

using System;
using System.Threading;

namespace Voxwire.Playback
{
    /// <summary>
    /// The audio thread takes samples in blocks; each sample is heard at its place in the block, plus the latency of
    /// the output. The audio thread calls `Mark`, which takes no lock; one other thread calls `At`. Times are seconds
    /// of one clock.
    /// </summary>
    public sealed class PlayoutClock
    {
        private readonly int sampleRate;
        private readonly long latency;
        private int version;
        private long blockStart;
        private long blockEnd;
        private double blockAt;
        private long newest;

        public PlayoutClock(int sampleRate, double latencySeconds)
        {
            this.sampleRate = sampleRate;
            latency = (long)(latencySeconds * sampleRate);
        }

        /// <summary>The samples from `startPts` up to but without `endPts` were taken at the time `now`.</summary>
        public void Mark(long startPts, long endPts, double now)
        {
            // A sequence lock: `version` is odd during a write, and a reader that sees it change reads again.
            Interlocked.Increment(ref version);
            Volatile.Write(ref blockStart, startPts);
            Volatile.Write(ref blockEnd, endPts);
            Volatile.Write(ref blockAt, now);
            Interlocked.Increment(ref version);
        }

        /// <summary>The first sample not heard yet at the time `now`; never decreases.</summary>
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
            // After the end of the block the clock runs on for the latency only: the last samples taken are still
            // coming out.
            double passed = Math.Max(0, now - at) * sampleRate;
            long reached = Math.Min(end, start + (long)passed - latency);
            newest = Math.Max(newest, Math.Max(0, reached));
            return newest;
        }
    }
}
