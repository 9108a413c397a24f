// Messages and audio frames, against the protocol's golden vectors.

using System;
using System.Collections.Generic;
using System.Text;
using Voxwire.Json;
using Voxwire.Protocol;

namespace Voxwire.Tests
{
    internal static class MessageTests
    {
        public static void VectorsReadAndWriteAsJson()
        {
            foreach (string file in new[] { "messages.json", "lenient.json" })
            {
                foreach (Dictionary<string, object> each in Units.Maps(Units.Vectors(file)))
                {
                    object read = JsonReader.Read((string)each["json"]);
                    Units.Same(read, JsonReader.Read(JsonWriter.Write(read)), (string)each["name"]);
                    if (file == "messages.json")
                        Units.Same(each["map"], read, (string)each["name"]);
                }
            }
        }

        public static void EveryServerMessageIsUnderstood()
        {
            int count = 0;
            foreach (string file in new[] { "messages.json", "lenient.json" })
            {
                foreach (Dictionary<string, object> each in Units.Maps(Units.Vectors(file)))
                {
                    if ((string)each["from"] != "server")
                        continue;
                    object message = ServerMessages.Read(Encoding.UTF8.GetBytes((string)each["json"]));
                    var map = (Dictionary<string, object>)each["map"];
                    Units.That(message != null, (string)each["name"] + " is not known");
                    Dictionary<string, object> decoded = Decoded.Of(message);
                    decoded["type"] = map["type"];
                    Units.Same(Decoded.Bare(map), decoded, (string)each["name"]);
                    count++;
                }
            }
            Units.That(count > 25, "only " + count);
        }

        public static void EveryClientMessageIsWritten()
        {
            int count = 0;
            foreach (Dictionary<string, object> each in Units.Maps(Units.Vectors("messages.json")))
            {
                if ((string)each["from"] != "client")
                    continue;
                var map = (Dictionary<string, object>)each["map"];
                object written = JsonReader.Read(Encoding.UTF8.GetString(Written.From(map)));
                Units.Same(map, written, (string)each["name"]);
                count++;
            }
            Units.That(count > 20, "only " + count);
        }

        public static void WrongServerMessagesAreRefusedWithTheirField()
        {
            int count = 0;
            foreach (Dictionary<string, object> each in Units.Maps(Units.Vectors("invalid.json")))
            {
                // Types that are not known are left to later versions.
                if ((string)each["from"] != "server" || (string)each["encoding"] != "json" || (string)each["code"] == "client.unknown_type")
                    continue;
                byte[] raw = Encoding.UTF8.GetBytes((string)each["raw"]);
                VoxwireException error = Units.Throws<VoxwireException>(() => ServerMessages.Read(raw), (string)each["name"]);
                Units.That(error.Code == (string)each["code"], each["name"] + ": " + error.Code);
                string field = (string)each["field"];
                bool right = field == null || error.Field == field || error.Field.StartsWith(field + "[", StringComparison.Ordinal);
                Units.That(right, each["name"] + ": " + error.Field + ", not " + field);
                count++;
            }
            Units.That(count > 5, "only " + count);
        }

        public static void AnythingElseIsMalformedAndNoCrash()
        {
            foreach (string raw in new[] { "", "7", "[]", "{}", "null", "{\"type\":null}", "{\"type\":7}", "{\"type\":\"pong\"" })
                Units.Throws<VoxwireException>(() => ServerMessages.Read(Encoding.UTF8.GetBytes(raw)), raw);
            Units.Throws<VoxwireException>(() => ServerMessages.Read(new byte[] { 0x22, 0xff, 0x22 }), "no UTF-8");
            Units.That(ServerMessages.Read(Encoding.UTF8.GetBytes("{\"type\":\"of a later version\"}")) == null, "later");
        }

        public static void AudioFramesAreRead()
        {
            var vectors = (Dictionary<string, object>)Units.Vectors("audio_frames.json");
            foreach (Dictionary<string, object> each in Units.Maps(vectors["valid"]))
            {
                WireFrame frame = WireFrame.Read(Units.Bytes((string)each["frame"]));
                string name = (string)each["name"];
                // Bits that are not known yet may stand in the flags.
                Units.That((frame.Flags & 7) == ((long)each["flags"] & 7), name + ": flags");
                Units.That(frame.Number == (long)each["context_number"], name + ": number");
                Units.That(frame.Seq == (long)each["seq"] && frame.Pts == (long)each["pts"], name + ": place");
                Units.That(BitConverter.ToString(frame.Payload) == BitConverter.ToString(Units.Bytes((string)each["payload"])), name);
            }
            foreach (Dictionary<string, object> each in Units.Maps(vectors["invalid"]))
                Units.That(WireFrame.Read(Units.Bytes((string)each["frame"])) == null, (string)each["name"]);
        }

        public static void ErrorsCloseTheConnectionAsTheServerDoes()
        {
            var vectors = (Dictionary<string, object>)Units.Vectors("errors.json");
            foreach (Dictionary<string, object> each in Units.Maps(vectors["errors"]))
            {
                var code = (string)each["code"];
                // Of those that can refuse a connection.
                bool refuses = each["close_code"] != null && code != "client.idle" && code != "client.message_too_big";
                if (refuses)
                    Units.That(ConnectionLostException.CloseCodeOf(code) == (long)each["close_code"], code);
            }
        }
    }

    /// <summary>Turns a message back into the map from which it was read.</summary>
    internal static class Decoded
    {
        /// <summary>Without fields that this client does not read.</summary>
        internal static Dictionary<string, object> Bare(Dictionary<string, object> map)
        {
            var bare = new Dictionary<string, object>(map);
            foreach (string name in new[] { "words", "phonemes", "visemes" })
            {
                if (!bare.ContainsKey(name) && (string)map["type"] == "timing")
                    bare[name] = new List<object>();
            }
            if ((string)map["type"] == "error" && !bare.ContainsKey("details"))
                bare["details"] = new Dictionary<string, object>();
            if (bare.ContainsKey("timings") && ((Dictionary<string, object>)bare["timings"]).Count == 0)
                bare.Remove("timings");
            return bare;
        }

        internal static Dictionary<string, object> Of(object message)
        {
            Dictionary<string, object> map = OfSession(message) ?? OfSpeech(message);
            var speech = message as SpeechEvent;
            if (speech != null && speech.Context != null)
                map["context"] = speech.Context;
            return map;
        }

        private static Dictionary<string, object> OfSession(object message)
        {
            var ready = message as Ready;
            var state = message as StateMessage;
            var resumed = message as ResumedMessage;
            var pong = message as Pong;
            if (ready != null)
                return OfReady(ready);
            if (state != null)
                return Map("contexts", Map(state.Contexts, each => each), "received", state.Received);
            if (resumed != null)
                return Map("token", resumed.Token, "received", resumed.Received, "contexts",
                    Map(resumed.Contexts, each => Map("next_seq", each.NextSeq, "text_seq", each.TextSeq)));
            if (pong != null)
                return Map("t", pong.T, "server_ms", pong.ServerMs);
            if (message is DrainingMessage)
                return Map("deadline_ms", ((DrainingMessage)message).DeadlineMs);
            return message is ResumeFailed ? Map("reason", ((ResumeFailed)message).Reason) : null;
        }

        private static Dictionary<string, object> OfReady(Ready ready)
        {
            Limits limits = ready.Limits;
            return Map("session", ready.Session, "token", ready.Token, "heartbeat_ms", ready.HeartbeatMs,
                "resume_window_ms", ready.ResumeWindowMs, "limits", Map("message_bytes_max", limits.MessageBytesMax,
                    "contexts_max", limits.ContextsMax, "text_chars_max", limits.TextCharsMax,
                    "unspoken_chars_max", limits.UnspokenCharsMax, "context_chars_max", limits.ContextCharsMax));
        }

        private static Dictionary<string, object> OfSpeech(object message)
        {
            if (message is Started)
                return OfStarted((Started)message);
            if (message is Accepted)
                return Map("chars", ((Accepted)message).Chars, "text_seq", ((Accepted)message).TextSeq);
            if (message is Clause)
                return Map("chars", Range(((Clause)message).Chars), "pts", ((Clause)message).Pts);
            if (message is Timing)
                return OfTiming((Timing)message);
            if (message is Mark)
                return Map("name", ((Mark)message).Name, "pts", ((Mark)message).Pts);
            if (message is Flushed)
                return Map("id", ((Flushed)message).Id, "seq", ((Flushed)message).Seq);
            if (message is Done)
                return OfDone((Done)message);
            if (message is Cancelled)
                return OfCancelled((Cancelled)message);
            if (message is Warning)
            {
                var warning = (Warning)message;
                return Map("code", warning.Code, "message", warning.Message,
                    "details", warning.Details.Count > 0 ? warning.Details : null);
            }
            VoxwireException error = ((ErrorMessage)message).Error;
            return Map("code", error.Code, "message", error.Message, "retryable", error.Retryable,
                "retry_after_ms", error.RetryAfterMs, "hint", error.Hint, "details", error.Details);
        }

        private static Dictionary<string, object> OfStarted(Started started)
        {
            AudioFormat audio = started.Audio;
            return Map("number", started.Number, "voice", started.Voice, "engine", started.Engine, "audio",
                Map("codec", audio.Codec, "sample_rate", audio.SampleRate, "frame_ms", audio.FrameMs,
                    "frame_samples", audio.FrameSamples, "bitrate", audio.Bitrate, "lookahead_samples", audio.LookaheadSamples));
        }

        private static Dictionary<string, object> OfTiming(Timing timing)
        {
            var words = new List<object>();
            var phonemes = new List<object>();
            var visemes = new List<object>();
            foreach (Word each in timing.Words)
                words.Add(Map("text", each.Text, "chars", Range(each.Chars), "pts", each.Pts, "end_pts", each.EndPts));
            foreach (Phoneme each in timing.Phonemes)
                phonemes.Add(Map("ipa", each.Ipa, "pts", each.Pts, "end_pts", each.EndPts));
            foreach (Viseme each in timing.Visemes)
                visemes.Add(Map("id", each.Id, "weight", each.Weight, "pts", each.Pts));
            return Map("words", words, "phonemes", phonemes, "visemes", visemes);
        }

        private static Dictionary<string, object> OfDone(Done done)
        {
            Dictionary<string, object> timings = Map("queue_ms", done.QueueMs, "ttfa_ms", done.TtfaMs, "synth_ms", done.SynthMs);
            return Map("reason", done.Reason, "frames", done.Frames, "samples", done.Samples, "chars", done.Chars,
                "timings", timings.Count == 0 ? null : timings);
        }

        private static Dictionary<string, object> OfCancelled(Cancelled cancelled)
        {
            return Map("sent_seq", cancelled.SentSeq,
                "heard", Map("pts", cancelled.HeardPts, "chars", cancelled.HeardChars, "text", cancelled.HeardText, "word", cancelled.HeardWord),
                "unheard", Map("chars", cancelled.UnheardChars, "text", cancelled.UnheardText));
        }

        private static List<object> Range(CharRange chars)
        {
            return new List<object> { chars.Start, chars.End };
        }

        private static Dictionary<string, object> Map(params object[] fields)
        {
            var map = new Dictionary<string, object>();
            for (int i = 0; i < fields.Length; i += 2)
            {
                if (fields[i + 1] != null)
                    map[(string)fields[i]] = fields[i + 1];
            }
            return map;
        }

        private static Dictionary<string, object> Map<T>(Dictionary<string, T> values, Func<T, object> of)
        {
            var map = new Dictionary<string, object>();
            foreach (KeyValuePair<string, T> each in values)
                map[each.Key] = of(each.Value);
            return map;
        }
    }

    /// <summary>Writes the client message that a map stands for.</summary>
    internal static class Written
    {
        internal static byte[] From(Dictionary<string, object> map)
        {
            string context = Text(map, "context");
            Dictionary<string, object> audio = Inner(map, "audio");
            Dictionary<string, object> pacing = Inner(map, "pacing");
            switch (Text(map, "type"))
            {
                case "start": return ClientMessages.Start(context, Options(map, audio, pacing));
                case "text": return ClientMessages.Text(context, Text(map, "text"), Whole(map, "seq"), map.ContainsKey("flush"));
                case "flush": return ClientMessages.Flush(context, Text(map, "id"));
                case "cancel": return ClientMessages.Cancel(context, Whole(map, "played_pts"));
                case "retract": return ClientMessages.Retract(context, Whole(map, "from_char").Value);
                case "configure":
                    return ClientMessages.Configure(context, (int?)Whole(audio, "bitrate"), Text(pacing, "mode"), (int?)Whole(pacing, "lead_ms"));
                case "ack": return ClientMessages.Ack(context, Whole(map, "seq"), Whole(map, "played_pts"));
                case "ping": return ClientMessages.Ping(Convert.ToDouble(map["t"]));
                case "resume":
                    return ClientMessages.Resume(Text(map, "session"), Text(map, "token"), Whole(map, "received").Value,
                        Numbers(Inner(map, "contexts")), Numbers(Inner(map, "text_seq")));
                default: return ClientMessages.Plain(Text(map, "type"), context);
            }
        }

        private static SpeakOptions Options(
            Dictionary<string, object> map, Dictionary<string, object> audio, Dictionary<string, object> pacing)
        {
            var options = new SpeakOptions
            {
                Voice = Text(map, "voice"),
                Language = Text(map, "language"),
                Codec = Text(audio, "codec"),
                SampleRate = (int?)Whole(audio, "sample_rate"),
                FrameMs = (int?)Whole(audio, "frame_ms"),
                Bitrate = (int?)Whole(audio, "bitrate"),
                Pacing = Text(pacing, "mode"),
                LeadMs = (int?)Whole(pacing, "lead_ms"),
                Priority = Text(map, "priority"),
                Seed = Whole(map, "seed"),
                Format = Text(map, "format"),
            };
            if (map.ContainsKey("speed"))
                options.Speed = Convert.ToDouble(map["speed"]);
            if (map.ContainsKey("timings"))
            {
                var timings = Timings.None;
                foreach (object name in (List<object>)map["timings"])
                    timings |= (Timings)Enum.Parse(typeof(Timings), (string)name, true);
                options.Timings = timings;
            }
            if (map.ContainsKey("lexicon"))
            {
                options.Lexicon = new Dictionary<string, Pronunciation>();
                foreach (KeyValuePair<string, object> each in Inner(map, "lexicon"))
                    options.Lexicon[each.Key] = Said(each.Value);
            }
            if (map.ContainsKey("lexicons"))
                options.Lexicons = ((List<object>)map["lexicons"]).ConvertAll(name => (string)name);
            return options;
        }

        private static Pronunciation Said(object value)
        {
            if (value is string alias)
                return alias;
            var map = (Dictionary<string, object>)value;
            string letters = Text(map, "case");
            return new Pronunciation
            {
                Alias = Text(map, "alias"),
                Ipa = Text(map, "ipa"),
                Exact = letters == null ? (bool?)null : letters == "exact",
            };
        }

        private static string Text(Dictionary<string, object> map, string name)
        {
            return map.ContainsKey(name) ? (string)map[name] : null;
        }

        private static long? Whole(Dictionary<string, object> map, string name)
        {
            return map.ContainsKey(name) ? (long?)map[name] : null;
        }

        private static Dictionary<string, object> Inner(Dictionary<string, object> map, string name)
        {
            return map.ContainsKey(name) ? (Dictionary<string, object>)map[name] : new Dictionary<string, object>();
        }

        private static Dictionary<string, long> Numbers(Dictionary<string, object> map)
        {
            var numbers = new Dictionary<string, long>();
            foreach (KeyValuePair<string, object> each in map)
                numbers[each.Key] = (long)each.Value;
            return numbers;
        }
    }
}
