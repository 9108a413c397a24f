// Runs one scenario against a server, and prints the results as one JSON value.

using System;
using System.Collections.Generic;
using System.IO;
using System.Security.Cryptography;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Json;

namespace Voxwire.Tests
{
    internal static class Scenarios
    {
        private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(60);

        /// <summary>The arguments are the scenario's name and its settings as JSON.</summary>
        public static int Main(string[] args)
        {
            var wish = new Wish((Dictionary<string, object>)JsonReader.Read(args[1]));
            Dictionary<string, object> result;
            try
            {
                Task<Dictionary<string, object>> running = RunAsync(args[0], wish);
                if (!running.Wait(LongestWait))
                    throw new TimeoutException("the scenario does not end");
                result = running.Result;
            }
            catch (Exception error)
            {
                result = new Dictionary<string, object> { { "error", ErrorMap(error.GetBaseException()) } };
            }
            Console.WriteLine(JsonWriter.Write(result));
            return 0;
        }

        private static Task<Dictionary<string, object>> RunAsync(string name, Wish wish)
        {
            switch (name)
            {
                case "say": return SayAsync(wish);
                case "pieces": return PiecesAsync(wish);
                case "interrupt": return InterruptAsync(wish);
                case "both": return BothAsync(wish);
                case "many": return BoundsScenarios.ManyAsync(wish);
                case "retract": return RetractAsync(wish);
                case "cancel token": return CancelTokenAsync(wish);
                case "hold": return HoldAsync(wish);
                case "slow": return BoundsScenarios.SlowAsync(wish);
                case "drain": return BoundsScenarios.DrainAsync(wish);
                case "play": return PlayScenarios.PlayAsync(wish);
                case "play and interrupt": return PlayScenarios.InterruptAsync(wish);
                case "scripts": return ScriptScenarios.PlayAsync(wish.Map("url"), wish.List("files"));
                case "face": return PlayScenarios.FaceAsync(wish);
                default: throw new ArgumentException("no scenario " + name);
            }
        }

        private static async Task<Dictionary<string, object>> SayAsync(Wish wish)
        {
            VoxwireClient client = await wish.ConnectAsync();
            SpeechContext context = await client.SpeakAsync(wish.Text, wish.Options());
            var record = new Record();
            await record.ReadAllAsync(context);
            await client.CloseAsync();
            return record.Map();
        }

        /// <summary>Sends each UTF-16 unit as a piece of its own, from a function.</summary>
        private static async Task<Dictionary<string, object>> PiecesAsync(Wish wish)
        {
            VoxwireClient client = await wish.ConnectAsync();
            int at = 0;
            Func<CancellationToken, Task<string>> next =
                stop => Task.FromResult(at < wish.Text.Length ? wish.Text.Substring(at++, 1) : null);
            SpeechContext context = await client.SpeakAsync(next, wish.Options());
            var record = new Record();
            await record.ReadAllAsync(context);
            await client.CloseAsync();
            Dictionary<string, object> map = record.Map();
            map["text"] = context.Text;
            return map;
        }

        /// <summary>Barge in after some frames; records the frames read after that.</summary>
        private static async Task<Dictionary<string, object>> InterruptAsync(Wish wish)
        {
            VoxwireClient client = await wish.ConnectAsync();
            SpeechContext context = await client.SpeakAsync(wish.Text, wish.Options());
            var record = new Record();
            while (record.Frames < wish.Number("frames"))
                record.Take(await context.ReadAsync());
            Cancelled report = await context.InterruptAsync(wish.Number("played_pts"));
            var after = new Record();
            await after.ReadAllAsync(context);
            Cancelled again = await context.InterruptAsync(0);
            await client.CloseAsync();
            Dictionary<string, object> map = after.Map();
            map["same report"] = ReferenceEquals(report, again);
            map["heard"] = report.HeardText;
            map["unheard"] = report.UnheardText;
            map["heard_pts"] = report.HeardPts;
            return map;
        }

        private static async Task<Dictionary<string, object>> BothAsync(Wish wish)
        {
            VoxwireClient client = await wish.ConnectAsync();
            SpeechContext one = await client.SpeakAsync(wish.Text, wish.Options());
            SpeechContext other = await client.SpeakAsync(wish.Map("other"), wish.Options());
            var records = new[] { new Record(), new Record() };
            await Task.WhenAll(records[0].ReadAllAsync(one), records[1].ReadAllAsync(other));
            await client.CloseAsync();
            return new Dictionary<string, object> { { "one", records[0].Map() }, { "other", records[1].Map() } };
        }

        private static async Task<Dictionary<string, object>> RetractAsync(Wish wish)
        {
            VoxwireClient client = await wish.ConnectAsync();
            SpeechContext context = await client.OpenAsync(wish.Options());
            await context.AppendAsync(wish.Text);
            long left = await context.RetractAsync(wish.Number("from_char"));
            await context.AppendAsync(wish.Map("other"));
            await context.FlushAsync("all");
            await context.EndAsync();
            var record = new Record();
            await record.ReadAllAsync(context);
            await client.CloseAsync();
            Dictionary<string, object> map = record.Map();
            map["left"] = left;
            map["text"] = context.Text;
            return map;
        }

        /// <summary>Cancels the token given to SpeakAsync after the first frame.</summary>
        private static async Task<Dictionary<string, object>> CancelTokenAsync(Wish wish)
        {
            VoxwireClient client = await wish.ConnectAsync();
            var record = new Record();
            using (var stop = new CancellationTokenSource())
            {
                SpeechContext context = await client.SpeakAsync(wish.Text, wish.Options(), stop.Token);
                while (record.Frames == 0)
                    record.Take(await context.ReadAsync());
                stop.Cancel();
                await record.ReadAllAsync(context);
            }
            await client.CloseAsync();
            return record.Map();
        }

        /// <summary>
        /// Holds a speech after its first frame while another is spoken to its end; counts the frames that came
        /// meanwhile.
        /// </summary>
        private static async Task<Dictionary<string, object>> HoldAsync(Wish wish)
        {
            VoxwireClient client = await wish.ConnectAsync();
            SpeechContext context = await client.SpeakAsync(wish.Text, wish.Options());
            var record = new Record();
            while (record.Frames == 0)
                record.Take(await context.ReadAsync());
            context.Hold();
            await client.PingAsync();
            Drain(record, context);
            long before = record.Frames;
            SpeechContext other = await client.SpeakAsync(wish.Map("other"));
            await new Record().ReadAllAsync(other);
            Drain(record, context);
            long held = record.Frames;
            context.Configure(pacing: "burst");
            context.Release();
            await record.ReadAllAsync(context);
            await client.CloseAsync();
            Dictionary<string, object> map = record.Map();
            map["while held"] = held - before;
            return map;
        }

        private static void Drain(Record record, SpeechContext context)
        {
            SpeechEvent speechEvent;
            while (context.TryRead(out speechEvent))
                record.Take(speechEvent);
        }

        internal static Dictionary<string, object> ErrorMap(Exception error)
        {
            var map = new Dictionary<string, object> { { "type", error.GetType().Name }, { "message", error.Message } };
            var refused = error as VoxwireException;
            if (refused != null)
            {
                map["code"] = refused.Code;
                map["retryable"] = refused.Retryable;
                map["hint"] = refused.Hint;
                map["retry_after_ms"] = refused.RetryAfterMs.HasValue ? (object)(long)refused.RetryAfterMs.Value : null;
            }
            return map;
        }
    }

    /// <summary>The settings of a scenario.</summary>
    internal sealed class Wish
    {
        private readonly Dictionary<string, object> map;

        internal Wish(Dictionary<string, object> map)
        {
            this.map = map;
        }

        internal string Text
        {
            get { return Map("text"); }
        }

        internal string Map(string name)
        {
            object value;
            return map.TryGetValue(name, out value) ? (string)value : null;
        }

        internal List<object> List(string name)
        {
            return (List<object>)map[name];
        }

        internal long Number(string name)
        {
            return (long)map[name];
        }

        internal Task<VoxwireClient> ConnectAsync()
        {
            var options = new VoxwireClientOptions { ApiKey = Map("key"), Reconnect = !map.ContainsKey("once") };
            if (map.ContainsKey("reconnect_seconds"))
                options.ReconnectSeconds = Number("reconnect_seconds");
            return VoxwireClient.ConnectAsync(Map("url"), options);
        }

        internal SpeakOptions Options()
        {
            var options = new SpeakOptions
            {
                Voice = Map("voice"),
                Codec = Map("codec"),
                Pacing = Map("pacing"),
                Timings = Timings.All,
            };
            if (map.ContainsKey("seed"))
                options.Seed = Number("seed");
            return options;
        }
    }

    /// <summary>Records the events of one context.</summary>
    internal sealed class Record
    {
        internal long Frames;
        internal Done Done;
        private readonly List<object> words = new List<object>();
        private readonly List<object> phonemes = new List<object>();
        private readonly List<object> visemes = new List<object>();
        private readonly List<object> clauses = new List<object>();
        private readonly List<object> seqs = new List<object>();
        private readonly List<object> changes = new List<object>();
        private readonly List<object> types = new List<object>();
        private readonly MemoryStream audio = new MemoryStream();
        private Exception error;
        private long replayed;

        internal async Task ReadAllAsync(SpeechContext context)
        {
            try
            {
                SpeechEvent speechEvent;
                while ((speechEvent = await context.ReadAsync()) != null)
                    Take(speechEvent);
            }
            catch (VoxwireException raised)
            {
                error = raised;
            }
        }

        internal void Take(SpeechEvent speechEvent)
        {
            var frame = speechEvent as AudioFrame;
            var timing = speechEvent as Timing;
            var clause = speechEvent as Clause;
            var reconnected = speechEvent as Reconnected;
            Done = speechEvent as Done ?? Done;
            if (frame != null)
                TakeFrame(frame);
            else if (timing != null)
                TakeTiming(timing);
            else if (clause != null)
                clauses.Add(new List<object> { clause.Chars.Start, clause.Chars.End, clause.Pts });
            else if (reconnected != null)
                TakeChange(reconnected);
            if (frame == null)
                types.Add(speechEvent.GetType().Name);
        }

        private void TakeChange(Reconnected reconnected)
        {
            changes.Add(new Dictionary<string, object>
            {
                { "resumed", reconnected.Resumed },
                { "pts", reconnected.Pts },
                { "chars", reconnected.Chars },
                { "words before", (long)words.Count },
            });
        }

        private void TakeFrame(AudioFrame frame)
        {
            Frames++;
            seqs.Add(new List<object> { frame.Seq, frame.Pts });
            audio.Write(frame.Payload, 0, frame.Payload.Length);
            replayed += frame.Replayed ? 1 : 0;
        }

        private void TakeTiming(Timing timing)
        {
            foreach (Word each in timing.Words)
                words.Add(new List<object> { each.Text, each.Chars.Start, each.Chars.End, each.Pts, each.EndPts });
            foreach (Phoneme each in timing.Phonemes)
                phonemes.Add(new List<object> { each.Ipa, each.Pts, each.EndPts });
            foreach (Viseme each in timing.Visemes)
                visemes.Add(new List<object> { (long)each.Id, each.Weight, each.Pts });
        }

        internal Dictionary<string, object> Map()
        {
            var map = new Dictionary<string, object>
            {
                { "words", words },
                { "phonemes", phonemes },
                { "visemes", visemes },
                { "clauses", clauses },
                { "seqs", seqs },
                { "changes", changes },
                { "types", types },
                { "replayed", replayed },
                { "pcm", BitConverter.ToString(new SHA256Managed().ComputeHash(audio.ToArray())).Replace("-", "").ToLowerInvariant() },
                { "error", error == null ? null : Scenarios.ErrorMap(error) },
            };
            if (Done != null)
            {
                map["reason"] = Done.Reason;
                map["frames"] = Done.Frames;
                map["samples"] = Done.Samples;
                map["chars"] = Done.Chars;
            }
            return map;
        }
    }
}
