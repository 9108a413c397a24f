// Reads the messages of the server: JSON, and binary audio frames.

using System;
using System.Collections.Generic;
using System.Text;
using Voxwire.Json;

namespace Voxwire.Protocol
{
    /// <summary>The limits of a session.</summary>
    internal sealed class Limits
    {
        internal long MessageBytesMax, ContextsMax, TextCharsMax, UnspokenCharsMax, ContextCharsMax;
    }

    internal sealed class Ready
    {
        internal string Session, Token;
        internal int HeartbeatMs, ResumeWindowMs;
        internal Limits Limits;
    }

    internal sealed class Accepted : SpeechEvent
    {
        internal long Chars;
        internal long? TextSeq;
    }

    internal sealed class ErrorMessage : SpeechEvent
    {
        internal VoxwireException Error;
    }

    internal sealed class StateMessage
    {
        internal Dictionary<string, string> Contexts = new Dictionary<string, string>();
        internal long? Received;
    }

    internal sealed class DrainingMessage
    {
        internal long DeadlineMs;
    }

    internal sealed class Progress
    {
        internal long NextSeq;
        internal long? TextSeq;
    }

    internal sealed class ResumedMessage
    {
        internal string Token;
        internal long Received;
        internal Dictionary<string, Progress> Contexts = new Dictionary<string, Progress>();
    }

    internal sealed class ResumeFailed
    {
        internal string Reason;
    }

    internal sealed class Pong
    {
        internal double T;
        internal long ServerMs;
    }

    /// <summary>An audio frame with its numbers as sent by the server.</summary>
    internal sealed class WireFrame
    {
        internal const int HeaderBytes = 16;

        internal int Flags, Number;
        internal long Seq, Pts;
        internal byte[] Payload;

        /// <summary>The frame in a binary message; null if it is not an audio frame.</summary>
        internal static WireFrame Read(byte[] raw)
        {
            if (raw.Length < HeaderBytes || raw[0] != 1)
                return null;
            var frame = new WireFrame
            {
                Flags = raw[1],
                Number = (int)Little(raw, 2, 2),
                Seq = (long)Little(raw, 4, 4),
                Pts = (long)Little(raw, 8, 8),
                Payload = new byte[raw.Length - HeaderBytes],
            };
            Buffer.BlockCopy(raw, HeaderBytes, frame.Payload, 0, frame.Payload.Length);
            return frame;
        }

        private static ulong Little(byte[] raw, int offset, int bytes)
        {
            ulong value = 0;
            for (int i = bytes - 1; i >= 0; i--)
                value = value << 8 | raw[offset + i];
            return value;
        }
    }

    internal static class ServerMessages
    {
        private static readonly Dictionary<string, Func<JsonMap, object>> Readers = new Dictionary<string, Func<JsonMap, object>>
        {
            { "ready", ReadReady },
            { "started", ReadStarted },
            { "accepted", m => new Accepted { Chars = m.Whole("chars"), TextSeq = m.OptionalWhole("text_seq") } },
            { "clause", m => new Clause { Chars = m.Range("chars"), Pts = m.Whole("pts") } },
            { "timing", ReadTiming },
            { "mark", m => new Mark { Name = m.Text("name"), Pts = m.Whole("pts") } },
            { "flushed", m => new Flushed { Id = m.OptionalText("id"), Seq = m.OptionalWhole("seq") } },
            { "done", ReadDone },
            { "cancelled", ReadCancelled },
            { "state", ReadState },
            {
                "warning",
                m => new Warning
                {
                    Code = m.Text("code"),
                    Message = m.Text("message"),
                    Details = m.OptionalRaw("details") ?? new Dictionary<string, object>(),
                }
            },
            { "error", m => new ErrorMessage { Error = ReadError(m) } },
            { "draining", m => new DrainingMessage { DeadlineMs = m.Whole("deadline_ms") } },
            { "resumed", ReadResumed },
            { "resume_failed", m => new ResumeFailed { Reason = m.Text("reason") } },
            { "pong", m => new Pong { T = m.Number("t"), ServerMs = m.Whole("server_ms") } },
        };

        /// <summary>The message; null if its type is unknown: later servers may send more types.</summary>
        /// <exception cref="VoxwireException">client.malformed_message, .missing_field, .invalid_field.</exception>
        internal static object Read(byte[] raw)
        {
            object value;
            try
            {
                value = JsonReader.Read(new UTF8Encoding(false, true).GetString(raw));
            }
            catch (Exception error) when (error is FormatException || error is ArgumentException)
            {
                throw new VoxwireException("client.malformed_message", error.Message);
            }
            var fields = value as IDictionary<string, object>;
            if (fields == null)
                throw new VoxwireException("client.malformed_message", "a message is a map");
            var map = new JsonMap(fields, "");
            Func<JsonMap, object> reader;
            if (!Readers.TryGetValue(map.Text("type"), out reader))
                return null;
            object message = reader(map);
            var speech = message as SpeechEvent;
            if (speech != null)
                speech.Context = message is ErrorMessage || message is Warning ? map.OptionalText("context") : map.Text("context");
            return message;
        }

        private static object ReadReady(JsonMap map)
        {
            JsonMap limits = map.Map("limits");
            return new Ready
            {
                Session = map.Text("session"),
                Token = map.Text("token"),
                HeartbeatMs = map.Small("heartbeat_ms"),
                ResumeWindowMs = map.Small("resume_window_ms"),
                Limits = new Limits
                {
                    MessageBytesMax = limits.Whole("message_bytes_max"),
                    ContextsMax = limits.Whole("contexts_max"),
                    TextCharsMax = limits.Whole("text_chars_max"),
                    UnspokenCharsMax = limits.Whole("unspoken_chars_max"),
                    ContextCharsMax = limits.Whole("context_chars_max"),
                },
            };
        }

        private static object ReadStarted(JsonMap map)
        {
            JsonMap audio = map.Map("audio");
            return new Started
            {
                Number = map.Small("number"),
                Voice = map.Text("voice"),
                Engine = map.Text("engine"),
                Audio = new AudioFormat
                {
                    Codec = audio.Text("codec"),
                    SampleRate = audio.Small("sample_rate"),
                    FrameMs = audio.Small("frame_ms"),
                    FrameSamples = audio.Small("frame_samples"),
                    Bitrate = audio.OptionalSmall("bitrate"),
                    LookaheadSamples = audio.OptionalSmall("lookahead_samples") ?? 0,
                },
            };
        }

        private static object ReadTiming(JsonMap map)
        {
            var timing = new Timing { Words = new List<Word>(), Phonemes = new List<Phoneme>(), Visemes = new List<Viseme>() };
            foreach (JsonMap m in map.Maps("words"))
                timing.Words.Add(new Word { Text = m.Text("text"), Chars = m.Range("chars"), Pts = m.Whole("pts"), EndPts = m.Whole("end_pts") });
            foreach (JsonMap m in map.Maps("phonemes"))
                timing.Phonemes.Add(new Phoneme { Ipa = m.Text("ipa"), Pts = m.Whole("pts"), EndPts = m.Whole("end_pts") });
            foreach (JsonMap m in map.Maps("visemes"))
                timing.Visemes.Add(ReadViseme(m));
            return timing;
        }

        private static Viseme ReadViseme(JsonMap map)
        {
            double weight = map.Number("weight");
            if (weight < 0 || weight > 1)
                map.Refuse("weight", "must be from 0 to 1");
            return new Viseme(map.Small("id"), (float)weight, map.Whole("pts"));
        }

        private static object ReadDone(JsonMap map)
        {
            var done = new Done
            {
                Reason = map.OneOf("reason", "completed", "cancelled", "no_speakable_text", "error"),
                Frames = map.Whole("frames"),
                Samples = map.Whole("samples"),
                Chars = map.Whole("chars"),
            };
            if (map.Has("timings"))
            {
                JsonMap timings = map.Map("timings");
                done.QueueMs = timings.OptionalNumber("queue_ms");
                done.TtfaMs = timings.OptionalNumber("ttfa_ms");
                done.SynthMs = timings.OptionalNumber("synth_ms");
            }
            return done;
        }

        private static object ReadCancelled(JsonMap map)
        {
            JsonMap heard = map.Map("heard");
            JsonMap unheard = map.Map("unheard");
            return new Cancelled
            {
                SentSeq = map.OptionalWhole("sent_seq"),
                HeardPts = heard.Whole("pts"),
                HeardChars = heard.Whole("chars"),
                HeardText = heard.Text("text"),
                HeardWord = heard.OptionalText("word"),
                UnheardChars = unheard.Whole("chars"),
                UnheardText = unheard.Text("text"),
            };
        }

        private static object ReadState(JsonMap map)
        {
            var state = new StateMessage { Received = map.OptionalWhole("received") };
            JsonMap contexts = map.Map("contexts");
            foreach (string name in contexts.Names)
                state.Contexts[name] = contexts.OneOf(name, "waiting_for_text", "queued", "speaking", "held");
            return state;
        }

        private static VoxwireException ReadError(JsonMap map)
        {
            return new VoxwireException(
                map.Text("code"),
                map.Text("message"),
                map.Flag("retryable"),
                map.OptionalSmall("retry_after_ms"),
                map.OptionalText("hint"),
                map.OptionalRaw("details"));
        }

        private static object ReadResumed(JsonMap map)
        {
            var resumed = new ResumedMessage { Token = map.Text("token"), Received = map.Whole("received") };
            JsonMap contexts = map.Map("contexts");
            foreach (string name in contexts.Names)
            {
                JsonMap progress = contexts.Map(name);
                resumed.Contexts[name] = new Progress
                {
                    NextSeq = progress.Whole("next_seq"),
                    TextSeq = progress.OptionalWhole("text_seq"),
                };
            }
            return resumed;
        }
    }
}
