// Reads a ring buffer at another sample rate, through a windowed sinc filter interpolated between tabulated phases.

using System;

namespace Voxwire.Audio
{
    /// <summary>
    /// Reads `Half` samples before and after a position. Call `Prepare` first; it allocates only when the output rate
    /// changes.
    /// </summary>
    internal sealed class Resampler
    {
        internal const int Half = 16;
        private const int Phases = 512;

        /// <summary>
        /// As a share of the Nyquist frequency: the filter's slope lies where speech has hardly any energy.
        /// </summary>
        private const double Cutoff = 0.95;

        private readonly float[] ring;
        private readonly int inputRate;
        private int outputRate;
        private float[] table;

        internal Resampler(float[] ring, int inputRate)
        {
            this.ring = ring;
            this.inputRate = inputRate;
        }

        /// <summary>Whether both rates are equal: samples are copied.</summary>
        internal bool Plain
        {
            get { return inputRate == outputRate; }
        }

        internal void Prepare(int rate)
        {
            if (rate == outputRate)
                return;
            outputRate = rate;
            if (!Plain)
                table = Tabulate(Cutoff * Math.Min(1, (double)rate / inputRate));
        }

        /// <summary>
        /// The signal at `position` + `fraction` / output rate; samples from `end` on count as silence.
        /// </summary>
        internal float At(long position, int fraction, long end)
        {
            long mask = ring.Length - 1;
            if (Plain)
                return ring[position & mask];
            double phase = (double)fraction / outputRate * Phases;
            int row = (int)phase;
            float between = (float)(phase - row);
            long from = Math.Max(0, position - Half + 1);
            long to = Math.Min(end - 1, position + Half);
            float sum = 0;
            for (long at = from; at <= to; at++)
            {
                int tap = row * (2 * Half) + (int)(at - position) + Half - 1;
                float weight = table[tap] + between * (table[tap + 2 * Half] - table[tap]);
                sum += ring[at & mask] * weight;
            }
            return sum;
        }

        /// <summary>
        /// One row of filter taps per phase, and one more to interpolate with; each row adds up to 1.
        /// </summary>
        private static float[] Tabulate(double cutoff)
        {
            var rows = new float[(Phases + 1) * 2 * Half];
            for (int phase = 0; phase <= Phases; phase++)
            {
                var row = new double[2 * Half];
                double sum = 0;
                for (int tap = 0; tap < 2 * Half; tap++)
                {
                    row[tap] = Weight(tap - Half + 1 - (double)phase / Phases, cutoff);
                    sum += row[tap];
                }
                for (int tap = 0; tap < 2 * Half; tap++)
                    rows[phase * 2 * Half + tap] = (float)(row[tap] / sum);
            }
            return rows;
        }

        /// <summary>A sinc under a Blackman window.</summary>
        private static double Weight(double x, double cutoff)
        {
            double turn = Math.PI * x / Half;
            if (Math.Abs(x) >= Half)
                return 0;
            double window = 0.42 + 0.5 * Math.Cos(turn) + 0.08 * Math.Cos(2 * turn);
            double angle = Math.PI * x * cutoff;
            return window * cutoff * (Math.Abs(angle) < 1e-9 ? 1 : Math.Sin(angle) / angle);
        }
    }
}
