// Writes the messages of the client as UTF-8 JSON.

using System.Collections.Generic;
using System.Text;
using Voxwire.Json;

namespace Voxwire.Protocol
{
    internal static class ClientMessages
    {
        internal static byte[] Start(string context, SpeakOptions options)
        {
            Fields message = Of("start", context)
                .Add("voice", options.Voice)
                .Add("language", options.Language)
                .Add("speed", options.Speed)
                .Add("audio", new Fields()
                    .Add("codec", options.Codec)
                    .Add("sample_rate", options.SampleRate)
                    .Add("frame_ms", options.FrameMs)
                    .Add("bitrate", options.Bitrate).OrNull())
                .Add("timings", Names(options.Timings))
                .Add("pacing", Pacing(options.Pacing, options.LeadMs))
                .Add("priority", options.Priority)
                .Add("seed", options.Seed)
                .Add("format", options.Format)
                .Add("lexicon", Lexicon(options.Lexicon))
                .Add("lexicons", options.Lexicons == null ? null : new List<object>(options.Lexicons));
            return message.Encode();
        }

        internal static byte[] Text(string context, string text, long? seq, bool flush = false)
        {
            return Of("text", context).Add("text", text).Add("seq", seq).Add("flush", flush ? (object)true : null).Encode();
        }

        internal static byte[] Flush(string context, string id)
        {
            return Of("flush", context).Add("id", id).Encode();
        }

        /// <summary>`end`, `hold` or `release`.</summary>
        internal static byte[] Plain(string type, string context)
        {
            return Of(type, context).Encode();
        }

        internal static byte[] Cancel(string context, long? playedPts)
        {
            return Of("cancel", context).Add("played_pts", playedPts).Encode();
        }

        internal static byte[] Retract(string context, long fromChar)
        {
            return Of("retract", context).Add("from_char", fromChar).Encode();
        }

        internal static byte[] Configure(string context, int? bitrate, string pacing, int? leadMs)
        {
            return Of("configure", context)
                .Add("audio", new Fields().Add("bitrate", bitrate).OrNull())
                .Add("pacing", Pacing(pacing, leadMs))
                .Encode();
        }

        internal static byte[] Ack(string context, long? seq, long? playedPts)
        {
            return Of("ack", context).Add("seq", seq).Add("played_pts", playedPts).Encode();
        }

        internal static byte[] Ping(double t)
        {
            return Of("ping", null).Add("t", t).Encode();
        }

        internal static byte[] Resume(
            string session,
            string token,
            long received,
            Dictionary<string, long> contexts,
            Dictionary<string, long> textSeq)
        {
            return Of("resume", null)
                .Add("session", session)
                .Add("token", token)
                .Add("received", received)
                .Add("contexts", Numbers(contexts))
                .Add("text_seq", Numbers(textSeq))
                .Encode();
        }

        private static Fields Of(string type, string context)
        {
            return new Fields().Add("type", type).Add("context", context);
        }

        private static object Pacing(string mode, int? leadMs)
        {
            return new Fields().Add("mode", mode).Add("lead_ms", leadMs).OrNull();
        }

        private static Dictionary<string, object> Lexicon(Dictionary<string, Pronunciation> lexicon)
        {
            if (lexicon == null)
                return null;
            var map = new Dictionary<string, object>();
            foreach (KeyValuePair<string, Pronunciation> each in lexicon)
                map[each.Key] = Spoken(each.Value);
            return map;
        }

        private static object Spoken(Pronunciation said)
        {
            if (said.Ipa == null && said.Exact == null)
                return said.Alias;
            return new Fields()
                .Add("alias", said.Alias)
                .Add("ipa", said.Ipa)
                .Add("case", said.Exact == null ? null : said.Exact.Value ? "exact" : "any")
                .OrNull();
        }

        private static List<object> Names(Timings? timings)
        {
            if (timings == null)
                return null;
            var names = new List<object>();
            if ((timings & Timings.Word) != 0)
                names.Add("word");
            if ((timings & Timings.Phoneme) != 0)
                names.Add("phoneme");
            if ((timings & Timings.Viseme) != 0)
                names.Add("viseme");
            return names;
        }

        private static Dictionary<string, object> Numbers(Dictionary<string, long> numbers)
        {
            var map = new Dictionary<string, object>();
            foreach (KeyValuePair<string, long> each in numbers)
                map[each.Key] = each.Value;
            return map;
        }

        /// <summary>The fields of a JSON object; null fields are left out.</summary>
        private sealed class Fields
        {
            private readonly Dictionary<string, object> map = new Dictionary<string, object>();

            internal Fields Add(string name, object value)
            {
                if (value != null)
                    map[name] = value;
                return this;
            }

            internal object OrNull()
            {
                return map.Count == 0 ? null : map;
            }

            internal byte[] Encode()
            {
                return Encoding.UTF8.GetBytes(JsonWriter.Write(map));
            }
        }
    }
}
