// The ring, the resampler and the decoders, sample by sample.

using System;
using System.Threading;
using Voxwire.Audio;

namespace Voxwire.Tests
{
    internal static class AudioTests
    {
        private const int Rate = 24000;

        private static float[] Sine(int count, double hertz, int rate)
        {
            var samples = new float[count];
            for (int i = 0; i < count; i++)
                samples[i] = (float)(0.5 * Math.Sin(2 * Math.PI * hertz * i / rate));
            return samples;
        }

        private static AudioRing Filled(float[] samples, bool whole)
        {
            var ring = new AudioRing(Rate, 2, 0);
            Units.That(ring.Write(samples, 0, samples.Length) == samples.Length, "there is room");
            if (whole)
                ring.End();
            return ring;
        }

        public static void AtItsOwnRateEverySampleComesOutAsItIsInEveryChannel()
        {
            float[] samples = Sine(5000, 440, Rate);
            AudioRing ring = Filled(samples, true);
            var data = new float[2 * 512];
            int at = 0;
            while (!ring.Finished)
            {
                int played = ring.Read(data, 2, Rate);
                for (int i = 0; i < 512; i++)
                {
                    Units.That(data[2 * i] == data[2 * i + 1], "both channels");
                    if (i < played)
                        Units.That(data[2 * i] == samples[at + i], "sample " + (at + i));
                }
                at += played;
                Units.That(ring.PlayedPts == at, "the clock counts samples");
            }
            Units.That(at == 5000 && ring.Underruns == 0, "all of it, at once");
        }

        public static void ItIsSilentWhenDryAndGoesOnWithTheNextSample()
        {
            float[] samples = Sine(2000, 440, Rate);
            var ring = new AudioRing(Rate, 2, 0);
            var data = new float[1500];
            Units.That(ring.Read(data, 1, Rate) == 0 && ring.Underruns == 0, "nothing yet is no underrun");
            ring.Write(samples, 0, 1000);
            Units.That(ring.Read(data, 1, Rate) == 1000, "what there is");
            Units.That(ring.PlayedPts == 1000 && ring.Underruns == 1 && !ring.Playing, "dry");
            for (int i = 1250; i < 1500; i++)
                Units.That(data[i] == 0, "silence");
            for (int i = 1000; i < 1250; i++)
                Units.That(Math.Abs(data[i]) <= Math.Abs(data[i - 1]), "fades");
            ring.Read(data, 1, Rate);
            Units.That(ring.PlayedPts == 1000 && ring.Underruns == 1, "the clock stands still");
            ring.Write(samples, 1000, 1000);
            ring.End();
            Units.That(ring.Read(data, 1, Rate) == 1000 && data[0] == samples[1000] && data[999] == samples[1999], "goes on");
        }

        public static void ItWaitsForThePrebufferUnlessThatIsAll()
        {
            var ring = new AudioRing(Rate, 2, 100);
            var data = new float[600];
            ring.Write(Sine(2399, 440, Rate), 0, 2399);
            Units.That(ring.Read(data, 1, Rate) == 0, "one sample short");
            ring.Write(Sine(1, 440, Rate), 0, 1);
            Units.That(ring.Read(data, 1, Rate) == 600, "enough");
            var brief = new AudioRing(Rate, 2, 100);
            brief.Write(Sine(10, 440, Rate), 0, 10);
            brief.End();
            Units.That(brief.Read(data, 1, Rate) == 10, "all there will be");
        }

        public static void ItTakesNoMoreThanItHolds()
        {
            var ring = new AudioRing(Rate, 0.1, 0);
            float[] samples = Sine(100000, 440, Rate);
            int taken = ring.Write(samples, 0, samples.Length);
            Units.That(taken >= 2400 && taken < 10000 && ring.Free == 0, "bounded: " + taken);
            var data = new float[1000];
            ring.Read(data, 1, Rate);
            Units.That(ring.Free == 1000 && ring.Write(samples, taken, 5000) == 1000, "as much as was played");
        }

        public static void TheClockIsExactAtAnyOutputRate()
        {
            foreach (int rate in new[] { 8000, 22050, 44100, 48000, 96000 })
            {
                var ring = new AudioRing(Rate, 2, 0);
                float[] block = Sine(Rate / 10, 440, Rate);
                var data = new float[rate / 10];
                long played = 0;
                ring.Write(block, 0, block.Length);
                for (int i = 0; i < 600; i++)
                {
                    ring.Write(block, 0, block.Length);
                    played += ring.Read(data, 1, rate);
                    Units.That(ring.PlayedPts == played * Rate / rate, rate + ": " + ring.PlayedPts);
                }
                Units.That(played == 60L * rate, "a minute");
            }
        }

        public static void ASineIsStillASineAtAnotherRate()
        {
            foreach (int rate in new[] { 16000, 44100, 48000 })
            {
                AudioRing ring = Filled(Sine(Rate, 1000, Rate), true);
                var data = new float[rate];
                ring.Read(data, 1, rate);
                double signal = 0, noise = 0;
                for (int i = rate / 10; i < rate * 9 / 10; i++)
                {
                    double wanted = 0.5 * Math.Sin(2 * Math.PI * 1000 * i / rate);
                    signal += wanted * wanted;
                    noise += (data[i] - wanted) * (data[i] - wanted);
                }
                double decibels = 10 * Math.Log10(signal / noise);
                Units.That(decibels > 65, rate + " Hz: " + decibels + " dB");
            }
        }

        public static void AnInterruptFadesWithinFiveMillisecondsAndStopsTheClock()
        {
            AudioRing ring = Filled(Sine(20000, 440, Rate), false);
            var data = new float[480];
            ring.Read(data, 1, Rate);
            Units.That(ring.Interrupt() == 480 && ring.Finished, "what was played");
            ring.Read(data, 1, Rate);
            Units.That(Math.Abs(data[10]) > 0.01 && ring.PlayedPts == 480, "no click, and no more is counted");
            for (int i = Rate * AudioRing.FadeMs / 1000; i < 480; i++)
                Units.That(Math.Abs(data[i]) < 0.02, "silence at " + i);
            ring.Read(data, 1, Rate);
            foreach (float each in data)
                Units.That(each == 0, "for good");
            Units.That(ring.Underruns == 0, "that is no underrun");
        }

        public static void APauseLosesNothing()
        {
            float[] samples = Sine(2000, 440, Rate);
            AudioRing ring = Filled(samples, true);
            var data = new float[500];
            ring.Read(data, 1, Rate);
            ring.Pause();
            Units.That(ring.Read(data, 1, Rate) == 0 && ring.PlayedPts == 500 && ring.Underruns == 0, "stands still");
            ring.Resume();
            ring.Read(data, 1, Rate);
            Units.That(data[0] == samples[500] && ring.PlayedPts == 1000, "goes on");
        }

        public static void TwoThreadsLoseAndRepeatNothing()
        {
            const int Total = 2000000;
            var ring = new AudioRing(Rate, 0.2, 0);
            var producer = new Thread(() => Produce(ring, Total));
            producer.Start();
            var data = new float[333];
            long expected = 0;
            while (!ring.Finished)
            {
                int played = ring.Read(data, 1, Rate);
                for (int i = 0; i < played; i++)
                    Units.That(data[i] == (expected++ & 0xFFFF), "sample " + expected);
            }
            producer.Join();
            Units.That(expected == Total, "all: " + expected);
        }

        private static void Produce(AudioRing ring, int total)
        {
            var random = new Random(1);
            var block = new float[1000];
            int at = 0;
            while (at < total)
            {
                int count = Math.Min(random.Next(1, block.Length), total - at);
                for (int i = 0; i < count; i++)
                    block[i] = (at + i) & 0xFFFF;
                int taken = ring.Write(block, 0, count);
                at += taken;
                if (taken == 0)
                    Thread.Yield();
            }
            ring.End();
        }

        public static void SamplesOf16BitsKeepTheirSignAndScale()
        {
            float[] samples = PcmDecoder.Decode("pcm_s16le", new byte[] { 0, 0x80, 0xff, 0x7f, 0xff, 0xff, 1, 0 });
            Units.That(samples[0] == -1f && samples[1] == 32767 / 32768f && samples[2] == -1 / 32768f && samples[3] == 1 / 32768f, "");
        }

        public static void G711DecodesAsTheRecommendationSays()
        {
            // ITU-T G.711, tables 1a to 2b, in 16 bits: the extremes, the zeros, and a segment's border.
            CheckCode("mulaw", 0x00, -32124);
            CheckCode("mulaw", 0x80, 32124);
            CheckCode("mulaw", 0xff, 0);
            CheckCode("mulaw", 0x7f, 0);
            CheckCode("mulaw", 0xef, 132);
            CheckCode("alaw", 0xd5, 8);
            CheckCode("alaw", 0x55, -8);
            CheckCode("alaw", 0xaa, 32256);
            CheckCode("alaw", 0x2a, -32256);
            CheckCode("alaw", 0xc5, 264);
        }

        private static void CheckCode(string codec, byte code, int sample)
        {
            float found = PcmDecoder.Decode(codec, new[] { code })[0] * 32768;
            Units.That(found == sample, codec + " " + code + ": " + found + ", not " + sample);
        }
    }
}
