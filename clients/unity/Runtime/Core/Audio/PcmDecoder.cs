// Turns the payload of an audio frame into samples from -1 to 1.

using System;

namespace Voxwire.Audio
{
    /// <summary>Decodes 16-bit PCM, µ-law and A-law (ITU-T G.711; its tables are computed).</summary>
    public static class PcmDecoder
    {
        private const float Full = 32768f;
        private static readonly float[] MuLaw = Table(OfMuLaw);
        private static readonly float[] ALaw = Table(OfALaw);

        /// <summary>Whether a codec can be decoded. Opus can't; callers need their own decoder.</summary>
        public static bool Knows(string codec)
        {
            return codec == "pcm_s16le" || codec == "mulaw" || codec == "alaw";
        }

        /// <summary>The samples of a frame.</summary>
        /// <exception cref="NotSupportedException">The codec can't be decoded.</exception>
        public static float[] Decode(string codec, byte[] payload)
        {
            switch (codec)
            {
                case "pcm_s16le": return Decode(payload);
                case "mulaw": return Array.ConvertAll(payload, each => MuLaw[each]);
                case "alaw": return Array.ConvertAll(payload, each => ALaw[each]);
                default: throw new NotSupportedException("there is no decoder of " + codec);
            }
        }

        private static float[] Decode(byte[] payload)
        {
            var samples = new float[payload.Length / 2];
            for (int i = 0; i < samples.Length; i++)
                samples[i] = (short)(payload[2 * i] | payload[2 * i + 1] << 8) / Full;
            return samples;
        }

        private static float[] Table(Func<int, int> sample)
        {
            var table = new float[256];
            for (int code = 0; code < 256; code++)
                table[code] = sample(code) / Full;
            return table;
        }

        private static int OfMuLaw(int code)
        {
            code = ~code & 0xFF;
            int magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84;
            return (code & 0x80) != 0 ? -magnitude : magnitude;
        }

        private static int OfALaw(int code)
        {
            code ^= 0x55;
            int segment = (code & 0x70) >> 4;
            int magnitude = ((code & 0x0F) << 4) + 8;
            if (segment > 0)
                magnitude = magnitude + 0x100 << segment - 1;
            return (code & 0x80) != 0 ? magnitude : -magnitude;
        }
    }
}
