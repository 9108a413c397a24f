// The options of a context: voice, audio format, timings, pacing.

using System;

namespace Voxwire
{
    /// <summary>Which timings to send, where the engine knows them.</summary>
    [Flags]
    public enum Timings
    {
        None = 0,
        Word = 1,
        Phoneme = 2,
        Viseme = 4,
        All = 7,
    }

    /// <summary>How to speak. Where an option is null, the server chooses. Copied when speech begins.</summary>
    public sealed class SpeakOptions
    {
        public string Voice { get; set; }

        /// <summary>BCP 47, such as `en-US`.</summary>
        public string Language { get; set; }

        /// <summary>0.5 to 2; 1 is the normal speed of the voice.</summary>
        public double? Speed { get; set; }

        /// <summary>
        /// `pcm_s16le`, `mulaw`, `alaw`; `opus` is delivered as packets, and has to be decoded by the caller.
        /// </summary>
        public string Codec { get; set; }

        public int? SampleRate { get; set; }
        public int? FrameMs { get; set; }

        /// <summary>Bits per second; Opus only.</summary>
        public int? Bitrate { get; set; }

        public Timings? Timings { get; set; }

        /// <summary>`realtime` or `burst`.</summary>
        public string Pacing { get; set; }

        /// <summary>How many milliseconds of audio are sent ahead of playback, 0 to 30000.</summary>
        public int? LeadMs { get; set; }

        /// <summary>`interactive` or `bulk`.</summary>
        public string Priority { get; set; }

        /// <summary>The same text, voice, options and seed give the same audio; null: a random one.</summary>
        public long? Seed { get; set; }

        /// <summary>`ssml`: the text is SSML, in pieces of any size; null: plain text.</summary>
        public string Format { get; set; }

        /// <summary>The context's name, 1 to 64 characters; null: the client makes one.</summary>
        public string Context { get; set; }

        internal SpeakOptions Copy()
        {
            return (SpeakOptions)MemberwiseClone();
        }
    }
}
