// The options of a context: voice, audio format, timings, pacing, lexicon.

using System;
using System.Collections.Generic;

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

    /// <summary>How a word of a lexicon is said: as other words, or in IPA. A string stands for other words.</summary>
    public sealed class Pronunciation
    {
        public string Alias { get; set; }
        public string Ipa { get; set; }

        /// <summary>Whether the word is found only as it is written; null: if it has capitals.</summary>
        public bool? Exact { get; set; }

        public static implicit operator Pronunciation(string alias)
        {
            return new Pronunciation { Alias = alias };
        }
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

        /// <summary>How words are said, at most 100 of them; null: as the server's lexicons say.</summary>
        public Dictionary<string, Pronunciation> Lexicon { get; set; }

        /// <summary>Names of lexicons of the server, used beside its default ones.</summary>
        public List<string> Lexicons { get; set; }

        /// <summary>The context's name, 1 to 64 characters; null: the client makes one.</summary>
        public string Context { get; set; }

        internal SpeakOptions Copy()
        {
            var copy = (SpeakOptions)MemberwiseClone();
            if (Lexicon != null)
                copy.Lexicon = new Dictionary<string, Pronunciation>(Lexicon);
            if (Lexicons != null)
                copy.Lexicons = new List<string>(Lexicons);
            return copy;
        }
    }
}
