// Plays the client's part of the golden vectors that are scripts, against a server that plays the other part.

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Threading.Tasks;
using Voxwire.Json;

namespace Voxwire.Tests
{
    internal static class ScriptScenarios
    {
        /// <summary>Plays every script of some files, and tells what was made of each.</summary>
        internal static async Task<Dictionary<string, object>> PlayAsync(string url, IEnumerable<object> files)
        {
            var answers = new List<object>();
            foreach (string file in files)
            {
                foreach (object script in (List<object>)JsonReader.Read(File.ReadAllText(file, Encoding.UTF8)))
                    answers.Add(await AnswerAsync(url + "?case=" + answers.Count, (Dictionary<string, object>)script));
            }
            return new Dictionary<string, object> { { "answers", answers } };
        }

        private static async Task<Dictionary<string, object>> AnswerAsync(string url, Dictionary<string, object> script)
        {
            VoxwireClient client = await VoxwireClient.ConnectAsync(url);
            var player = new ScriptPlayer(client);
            string error = null;
            try
            {
                Task playing = player.PlayAsync(script);
                if (await Task.WhenAny(playing, Task.Delay(8000)) != playing)
                    throw new TimeoutException("it takes too long");
                await playing;
            }
            catch (Exception problem)
            {
                error = problem.ToString();
            }
            Dictionary<string, object> answer = player.Answer();
            answer["error"] = error;
            await client.CloseAsync();
            return answer;
        }
    }

    /// <summary>One script on one session.</summary>
    internal sealed class ScriptPlayer
    {
        private readonly VoxwireClient client;
        private readonly Dictionary<string, ScriptListener> listeners = new Dictionary<string, ScriptListener>();
        private readonly List<object> reports = new List<object>();
        private readonly List<object> cancels = new List<object>();

        internal ScriptPlayer(VoxwireClient client)
        {
            this.client = client;
        }

        internal async Task PlayAsync(Dictionary<string, object> script)
        {
            foreach (object each in (List<object>)script["steps"])
            {
                var step = (Dictionary<string, object>)each;
                if (step.ContainsKey("context"))
                    await StepAsync(step, await ListenerAsync((string)step["context"]));
            }
            foreach (KeyValuePair<string, object> each in (Dictionary<string, object>)script["listeners"])
            {
                if (((Dictionary<string, object>)each.Value).ContainsKey("done"))
                    await (await ListenerAsync(each.Key)).WaitAsync("done", 1);
            }
        }

        internal Dictionary<string, object> Answer()
        {
            var got = new Dictionary<string, object>();
            foreach (KeyValuePair<string, ScriptListener> each in listeners)
                got[each.Key] = each.Value.Map();
            return new Dictionary<string, object> { { "listeners", got }, { "reports", reports }, { "cancels", cancels } };
        }

        private async Task<ScriptListener> ListenerAsync(string name)
        {
            ScriptListener listener;
            if (!listeners.TryGetValue(name, out listener))
            {
                listener = new ScriptListener(await client.OpenAsync(new SpeakOptions { Context = name }));
                listeners[name] = listener;
            }
            return listener;
        }

        private async Task StepAsync(Dictionary<string, object> step, ScriptListener listener)
        {
            SpeechContext context = listener.Context;
            switch ((string)step["step"])
            {
                case "write":
                    await context.AppendAsync((string)step["text"]);
                    break;
                case "flush":
                    await context.FlushAsync((string)step["id"]);
                    break;
                case "end":
                    await context.EndAsync();
                    break;
                case "retract":
                    long left = await context.RetractAsync((long)step["from_char"]);
                    if (left != (long)step["left"])
                        throw new Exception(left + " characters are left");
                    break;
                case "wait":
                    await listener.WaitAsync((string)step["kind"], (int)(long)step["count"]);
                    break;
                case "report":
                    reports.Add(Report(context.HeardUpTo((long)step["played_pts"])));
                    break;
                case "cancel":
                    cancels.Add(Report(await context.InterruptAsync((long)step["played_pts"])));
                    break;
            }
        }

        private static Dictionary<string, object> Report(Cancelled report)
        {
            var heard = new Dictionary<string, object>
            {
                { "pts", report.HeardPts }, { "chars", report.HeardChars }, { "text", report.HeardText },
            };
            if (report.HeardWord != null)
                heard["word"] = report.HeardWord;
            var unheard = new Dictionary<string, object> { { "chars", report.UnheardChars }, { "text", report.UnheardText } };
            return new Dictionary<string, object> { { "heard", heard }, { "unheard", unheard } };
        }
    }

    /// <summary>Reads the events of one context, and keeps them as the vectors have them.</summary>
    internal sealed class ScriptListener
    {
        internal readonly SpeechContext Context;
        private readonly Dictionary<string, List<object>> got = new Dictionary<string, List<object>>();

        internal ScriptListener(SpeechContext context)
        {
            Context = context;
            foreach (string kind in new[] { "audio", "clauses", "words", "flushed", "dropped", "reconnected", "anew", "done" })
                got[kind] = new List<object>();
        }

        /// <summary>Read until so many of a kind have come.</summary>
        internal async Task WaitAsync(string kind, int count)
        {
            while (got[kind].Count < count)
            {
                SpeechEvent happened = await Context.ReadAsync();
                if (happened == null)
                    throw new Exception("it ended before " + kind);
                Take(happened);
            }
        }

        internal Dictionary<string, object> Map()
        {
            var map = new Dictionary<string, object>();
            foreach (KeyValuePair<string, List<object>> each in got)
                map[each.Key] = each.Value;
            return map;
        }

        private void Take(SpeechEvent happened)
        {
            var frame = happened as AudioFrame;
            var clause = happened as Clause;
            var timing = happened as Timing;
            var flushed = happened as Flushed;
            var back = happened as Reconnected;
            var done = happened as Done;
            if (frame != null)
                got["audio"].Add(new List<object> { frame.Seq, frame.Pts, (long)BitConverter.ToInt16(frame.Payload, 0) });
            else if (clause != null)
                got["clauses"].Add(new List<object> { clause.Chars.Start, clause.Chars.End, clause.Pts });
            else if (timing != null)
                TakeWords(timing);
            else if (flushed != null)
                got["flushed"].Add(new List<object> { flushed.Id, flushed.Seq });
            else if (happened is Interrupted)
                got["dropped"].Add((long)((Interrupted)happened).Reason.CloseCode);
            else if (back != null)
                TakeReconnected(back);
            else if (done != null)
                got["done"].AddRange(new object[] { done.Reason, done.Frames, done.Samples, done.Chars });
        }

        private void TakeWords(Timing timing)
        {
            foreach (Word word in timing.Words)
                got["words"].Add(new List<object> { word.Text, word.Chars.Start, word.Chars.End, word.Pts, word.EndPts });
        }

        private void TakeReconnected(Reconnected back)
        {
            got["reconnected"].Add(back.Resumed);
            if (!back.Pts.HasValue)
                return;
            got["anew"].Add(new List<object> { back.Pts, back.Chars });
            got["clauses"].RemoveAll(clause => (long)((List<object>)clause)[2] >= back.Pts);
            got["words"].RemoveAll(word => (long)((List<object>)word)[3] >= back.Pts);
        }
    }
}
