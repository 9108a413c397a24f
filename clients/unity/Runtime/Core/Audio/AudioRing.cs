// A ring buffer of mono samples between the thread that receives audio and the one that plays it. Takes no lock, never
// waits.

using System;
using System.Threading;

namespace Voxwire.Audio
{
    /// <summary>
    /// For one producer (`Write`, `End`) and one consumer (`Read`); the other members may be used on any thread. The
    /// n-th sample written is the sample at pts n of the context's clock. Where samples are missing the consumer gets
    /// silence, and the clock stands still.
    /// </summary>
    public sealed class AudioRing
    {
        /// <summary>How long `Interrupt` takes to fade out.</summary>
        public const int FadeMs = 5;

        /// <summary>
        /// Where audio stops suddenly, its last sample decays by this factor per output sample, so that there is no
        /// click.
        /// </summary>
        private const float TailFactor = 0.95f;
        private const float TailMin = 1e-4f;

        public readonly int SampleRate;

        private readonly float[] ring;
        private readonly long mask;
        private readonly Resampler resampler;
        private readonly int prebuffer;
        private long written;
        private int ended;
        private int paused;
        private int interrupted;
        private int underruns;

        // Written by the consumer only; `position` is read by others too.
        private long position;
        private int fraction;
        private int fadeFrames;
        private int fadeLeft = -1;
        private float last;
        private bool playing;
        private int fullyPlayed;
        private long stoppedAt = -1;

        /// <summary>
        /// Holds at least `seconds` of audio. Playback begins, and goes on after an underrun, once it holds
        /// `prebufferMs` of audio, or all that will be written.
        /// </summary>
        public AudioRing(int sampleRate, double seconds = 10, int prebufferMs = 40)
        {
            if (sampleRate <= 0)
                throw new ArgumentOutOfRangeException("sampleRate");
            SampleRate = sampleRate;
            int size = 1024;
            while (size < sampleRate * seconds + 2 * Resampler.Half)
                size *= 2;
            ring = new float[size];
            mask = size - 1;
            prebuffer = Math.Min((int)((long)sampleRate * prebufferMs / 1000), size / 2);
            resampler = new Resampler(ring, sampleRate);
        }

        // -- the producer ---------------------------------------------------------------------------------------------

        /// <summary>Append as many samples as there is room for; returns how many.</summary>
        public int Write(float[] samples, int offset, int count)
        {
            long at = Volatile.Read(ref written);
            int fits = Math.Min(count, Free);
            for (int i = 0; i < fits; i++)
                ring[(at + i) & mask] = samples[offset + i];
            Volatile.Write(ref written, at + fits);
            return fits;
        }

        /// <summary>
        /// How many samples there is room for. The last samples played are kept, as the resampler reads them again.
        /// </summary>
        public int Free
        {
            get { return ring.Length - Resampler.Half - (int)(Volatile.Read(ref written) - Volatile.Read(ref position)); }
        }

        /// <summary>Nothing more will be written.</summary>
        public void End()
        {
            Volatile.Write(ref ended, 1);
        }

        // -- any thread -----------------------------------------------------------------------------------------------

        /// <summary>The pts of the first sample that was not played. Exact; stands still from `Interrupt` on.</summary>
        public long PlayedPts
        {
            get
            {
                long stopped = Volatile.Read(ref stoppedAt);
                return stopped >= 0 ? stopped : Volatile.Read(ref position);
            }
        }

        /// <summary>The pts of the next sample to be written.</summary>
        public long WrittenPts
        {
            get { return Volatile.Read(ref written); }
        }

        /// <summary>How often the buffer ran empty after playback had begun and before `End`.</summary>
        public int Underruns
        {
            get { return Volatile.Read(ref underruns); }
        }

        /// <summary>Whether all samples were played, or it was interrupted.</summary>
        public bool Finished
        {
            get { return Volatile.Read(ref fullyPlayed) != 0 || Volatile.Read(ref interrupted) != 0; }
        }

        /// <summary>Whether `Read` returns audio.</summary>
        public bool Playing
        {
            get { return Volatile.Read(ref playing) && !Finished && Volatile.Read(ref paused) == 0; }
        }

        /// <summary>Return silence until `Resume`; no sample is lost.</summary>
        public void Pause()
        {
            Volatile.Write(ref paused, 1);
        }

        public void Resume()
        {
            Volatile.Write(ref paused, 0);
        }

        /// <summary>Fade out at once, and stay silent for good; returns `PlayedPts`.</summary>
        public long Interrupt()
        {
            Interlocked.CompareExchange(ref stoppedAt, Volatile.Read(ref position), -1);
            Volatile.Write(ref interrupted, 1);
            return PlayedPts;
        }

        // -- the consumer ---------------------------------------------------------------------------------------------

        /// <summary>
        /// Fill `data` with audio at `outputRate`, interleaved, the same in every channel, and with silence where there
        /// is none. Returns how many samples per channel are audio.
        /// </summary>
        public int Read(float[] data, int channels, int outputRate)
        {
            int frames = data.Length / channels;
            long end = Volatile.Read(ref written);
            // `ended` is read after `written`, so that every sample written before `End` is seen.
            bool whole = Volatile.Read(ref ended) != 0;
            if (whole)
                end = Volatile.Read(ref written);
            resampler.Prepare(outputRate);
            UpdateFade(outputRate);
            long limit = whole || resampler.Plain ? end : end - Resampler.Half;
            if (!playing && (whole ? end > position : end - position >= Math.Max(prebuffer, Resampler.Half + 1)))
                Volatile.Write(ref playing, true);
            int played = 0;
            bool silent = !playing || Volatile.Read(ref paused) != 0;
            for (int frame = 0; frame < frames; frame++)
            {
                bool sounding = !silent && position < limit && fadeLeft != 0;
                last = sounding ? Next(end, outputRate) : Tail(last);
                played += sounding ? 1 : 0;
                for (int channel = 0; channel < channels; channel++)
                    data[frame * channels + channel] = last;
            }
            if (!silent && position >= limit)
                OnEmpty(whole);
            else if (whole && end == position)
                Volatile.Write(ref fullyPlayed, 1);
            return played;
        }

        private float Next(long end, int outputRate)
        {
            float value = resampler.At(position, fraction, end);
            if (fadeLeft > 0)
                value *= (float)--fadeLeft / fadeFrames;
            // In whole numbers, so that the position stays exact after hours.
            fraction += SampleRate;
            int steps = fraction / outputRate;
            fraction -= steps * outputRate;
            Volatile.Write(ref position, position + steps);
            return value;
        }

        private void UpdateFade(int outputRate)
        {
            fadeFrames = Math.Max(1, outputRate * FadeMs / 1000);
            if (Volatile.Read(ref interrupted) != 0 && fadeLeft < 0)
                fadeLeft = playing ? fadeFrames : 0;
        }

        private void OnEmpty(bool whole)
        {
            Volatile.Write(ref playing, false);
            if (whole)
                Volatile.Write(ref fullyPlayed, 1);
            else if (Volatile.Read(ref interrupted) == 0)
                Interlocked.Increment(ref underruns);
        }

        private static float Tail(float value)
        {
            value *= TailFactor;
            return Math.Abs(value) < TailMin ? 0 : value;
        }
    }
}
