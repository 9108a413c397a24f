// The events of a context: audio frames, messages of the server, and changes of the connection.

using System.Collections.Generic;

namespace Voxwire
{
    /// <summary>
    /// Part of a context's text, in code points: from Start, up to but without End. See CodePoints for C# strings.
    /// </summary>
    public struct CharRange
    {
        public readonly long Start;
        public readonly long End;

        public CharRange(long start, long end)
        {
            Start = start;
            End = end;
        }
    }

    /// <summary>An event of one context; of the connection where `Context` is null.</summary>
    public abstract class SpeechEvent
    {
        public string Context { get; internal set; }
    }

    /// <summary>
    /// The format of a context's audio. All audio is mono; `SampleRate` is also the rate of every pts.
    /// </summary>
    public sealed class AudioFormat
    {
        public string Codec { get; internal set; }
        public int SampleRate { get; internal set; }
        public int FrameMs { get; internal set; }
        public int FrameSamples { get; internal set; }
        public int? Bitrate { get; internal set; }
        public int LookaheadSamples { get; internal set; }

        internal bool SameAs(AudioFormat other)
        {
            return Codec == other.Codec && SampleRate == other.SampleRate && FrameMs == other.FrameMs
                && FrameSamples == other.FrameSamples && Bitrate == other.Bitrate
                && LookaheadSamples == other.LookaheadSamples;
        }
    }

    /// <summary>The server has opened the context.</summary>
    public sealed class Started : SpeechEvent
    {
        public string Voice { get; internal set; }
        public string Engine { get; internal set; }
        public AudioFormat Audio { get; internal set; }
        internal int Number { get; set; }
    }

    /// <summary>
    /// One audio frame: `Payload` encoded in `Codec`. `Pts` is its first sample on the context's clock.
    /// </summary>
    public sealed class AudioFrame : SpeechEvent
    {
        public byte[] Payload { get; internal set; }
        public long Pts { get; internal set; }
        public long Seq { get; internal set; }
        public bool First { get; internal set; }
        public bool Last { get; internal set; }
        public bool Replayed { get; internal set; }
        public string Codec { get; internal set; }
        public int SampleRate { get; internal set; }
        public int FrameSamples { get; internal set; }

        /// <summary>The pts of the first sample after the frame.</summary>
        public long EndPts
        {
            get { return Pts + FrameSamples; }
        }
    }

    /// <summary>A clause begins at `Pts`; `Chars` is its place in the context's text.</summary>
    public sealed class Clause : SpeechEvent
    {
        public CharRange Chars { get; internal set; }
        public long Pts { get; internal set; }
    }

    /// <summary>A `mark` of the context's SSML is reached at `Pts`.</summary>
    public sealed class Mark : SpeechEvent
    {
        public string Name { get; internal set; }
        public long Pts { get; internal set; }
    }

    public sealed class Word
    {
        public string Text { get; internal set; }
        public CharRange Chars { get; internal set; }
        public long Pts { get; internal set; }
        public long EndPts { get; internal set; }
    }

    public sealed class Phoneme
    {
        public string Ipa { get; internal set; }
        public long Pts { get; internal set; }
        public long EndPts { get; internal set; }
    }

    /// <summary>A keyframe: the weight (0 to 1) of one of fifteen mouth shapes at `Pts`. See MouthTrack.</summary>
    public struct Viseme
    {
        public readonly int Id;
        public readonly float Weight;
        public readonly long Pts;

        public Viseme(int id, float weight, long pts)
        {
            Id = id;
            Weight = weight;
            Pts = pts;
        }
    }

    /// <summary>
    /// Words, phonemes and visemes with their times; comes before their audio or with it. Each list is sorted by pts.
    /// </summary>
    public sealed class Timing : SpeechEvent
    {
        public IList<Word> Words { get; internal set; }
        public IList<Phoneme> Phonemes { get; internal set; }
        public IList<Viseme> Visemes { get; internal set; }
    }

    /// <summary>All audio of a flush has come; `Seq` is its last frame, null: it had no audio.</summary>
    public sealed class Flushed : SpeechEvent
    {
        public string Id { get; internal set; }
        public long? Seq { get; internal set; }
    }

    /// <summary>The context has ended. `Reason`: completed, cancelled, no_speakable_text or error.</summary>
    public sealed class Done : SpeechEvent
    {
        public string Reason { get; internal set; }
        public long Frames { get; internal set; }
        public long Samples { get; internal set; }
        public long Chars { get; internal set; }
        public double? QueueMs { get; internal set; }
        public double? TtfaMs { get; internal set; }
        public double? SynthMs { get; internal set; }
    }

    /// <summary>
    /// The answer to a barge-in. `HeardText` and `UnheardText` together are the context's whole text; `HeardWord` is
    /// the word that was sounding at that moment (may be null).
    /// </summary>
    public sealed class Cancelled : SpeechEvent
    {
        public long? SentSeq { get; internal set; }
        public long HeardPts { get; internal set; }
        public long HeardChars { get; internal set; }
        public string HeardText { get; internal set; }
        public string HeardWord { get; internal set; }
        public long UnheardChars { get; internal set; }
        public string UnheardText { get; internal set; }
    }

    /// <summary>A warning of the server, such as `underrun`; needs no reaction.</summary>
    public sealed class Warning : SpeechEvent
    {
        public string Code { get; internal set; }
        public string Message { get; internal set; }
        public IDictionary<string, object> Details { get; internal set; }
    }

    /// <summary>The connection dropped; the client is reconnecting. Needs no reaction.</summary>
    public sealed class Interrupted : SpeechEvent
    {
        public ConnectionLostException Reason { get; internal set; }
    }

    /// <summary>
    /// The connection is back. Where the session could not be resumed, what was not received is spoken again: from
    /// character `Chars` of the context's text on, at `Pts` of its clock. Timings at or after `Pts` that came before
    /// this event are void.
    /// </summary>
    public sealed class Reconnected : SpeechEvent
    {
        public bool Resumed { get; internal set; }
        public double AwaySeconds { get; internal set; }
        public long? Pts { get; internal set; }
        public long? Chars { get; internal set; }
    }
}
