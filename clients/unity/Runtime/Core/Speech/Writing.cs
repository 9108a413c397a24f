// The text side of a context: what its caller wrote, in order, and how much of it the server has been told.

using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Connection;
using Voxwire.Protocol;

namespace Voxwire.Speech
{
    /// <summary>
    /// Says text, flushes and the end to the server, in the order in which they were written, as fast as it takes them.
    /// Whoever writes also sends: what a caller that was cancelled has left over goes out with the next write. After
    /// `BeginAnew` it is said to another session, from some character on.
    /// </summary>
    internal sealed class Writing
    {
        /// <summary>Texts sent before `started` has come: each is one mistake more if the `start` is refused.</summary>
        private const int PipelinedTextsMax = 16;

        private sealed class Step
        {
            /// <summary>Null: a flush, or the end.</summary>
            internal string Text;
            internal bool IsEnd;
            internal string Id;
            internal long Chars;
        }

        internal bool Ended;

        /// <summary>When the first text was written, by the caller's clock; null: none was.</summary>
        internal double? FirstTextAt;

        private readonly SpeechContext speech;
        private readonly Transcript transcript;
        private readonly object gate;
        private readonly SemaphoreSlim turn = new SemaphoreSlim(1, 1);
        private readonly LinkedList<Step> steps = new LinkedList<Step>();
        private readonly Queue<Step> unanswered = new Queue<Step>();
        private string half = "";
        private int sessions;
        private long fromChar;
        private long saidChars;
        private long nextSeq;
        private long acceptedSeq = -1;
        private long acceptedChars;
        private int answers;
        private int? pauseMs;

        internal Writing(SpeechContext speech, Transcript transcript, object gate)
        {
            this.speech = speech;
            this.transcript = transcript;
            this.gate = gate;
        }

        // -- what the caller writes -----------------------------------------------------------------------------------

        internal async Task TextAsync(string text, CancellationToken cancel)
        {
            await turn.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                lock (gate)
                {
                    Check();
                    Take(text, false);
                }
                await SayAllAsync(cancel).ConfigureAwait(false);
            }
            finally
            {
                turn.Release();
            }
        }

        internal async Task FlushAsync(string id, CancellationToken cancel)
        {
            await turn.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                lock (gate)
                {
                    Check();
                    Take("", true);
                    var flush = new Step { Id = id, Chars = transcript.Chars };
                    steps.AddLast(flush);
                    unanswered.Enqueue(flush);
                }
                await SayAllAsync(cancel).ConfigureAwait(false);
            }
            finally
            {
                turn.Release();
            }
        }

        internal async Task EndAsync(CancellationToken cancel)
        {
            await turn.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                lock (gate)
                {
                    if (!speech.TakesText || Ended)
                        return;
                    Take("", true);
                    Ended = true;
                    steps.AddLast(new Step { IsEnd = true });
                }
                await SayAsync(cancel).ConfigureAwait(false);
            }
            finally
            {
                turn.Release();
            }
        }

        internal async Task<long> RetractAsync(long from, CancellationToken cancel)
        {
            await turn.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                lock (gate)
                {
                    Check();
                    Take("", true);
                }
                while (!await AskRetractAsync(from, cancel).ConfigureAwait(false))
                {
                    lock (gate)
                        Check();
                }
                lock (gate)
                    return Retracted();
            }
            finally
            {
                turn.Release();
            }
        }

        /// <summary>Whether the session that was asked has answered.</summary>
        private async Task<bool> AskRetractAsync(long from, CancellationToken cancel)
        {
            await SayAsync(cancel).ConfigureAwait(false);
            int session, before;
            lock (gate)
                session = sessions;
            await UntilAsync(() => acceptedSeq == nextSeq - 1, session, cancel).ConfigureAwait(false);
            lock (gate)
            {
                Check();
                before = answers;
                speech.Post(ClientMessages.Retract(speech.Name, Math.Max(0, from - fromChar)));
            }
            await UntilAsync(() => answers > before, session, cancel).ConfigureAwait(false);
            lock (gate)
                return answers > before && session == sessions;
        }

        private long Retracted()
        {
            transcript.Truncate(acceptedChars);
            saidChars = acceptedChars;
            foreach (Step flush in unanswered)
                flush.Chars = Math.Min(flush.Chars, acceptedChars);
            return acceptedChars;
        }

        /// <summary>A surrogate pair may come in halves, one a piece; a half that stays alone becomes U+FFFD.</summary>
        private void Take(string text, bool complete)
        {
            string whole = half + text;
            half = "";
            if (!complete && whole.Length > 0 && char.IsHighSurrogate(whole[whole.Length - 1]))
            {
                half = whole.Substring(whole.Length - 1);
                whole = whole.Substring(0, whole.Length - 1);
            }
            if (whole.Length == 0)
                return;
            whole = CodePoints.Mend(whole);
            steps.AddLast(new Step { Text = whole });
            transcript.Append(whole);
            if (!FirstTextAt.HasValue)
                FirstTextAt = SpeechContext.Now;
        }

        private void Check()
        {
            if (Ended || !speech.TakesText)
                throw speech.WhyOver();
        }

        // -- what the server says (under the gate) --------------------------------------------------------------------

        internal void Accept(Accepted message)
        {
            acceptedChars = message.Chars + fromChar;
            answers++;
            if (message.TextSeq.HasValue)
                acceptedSeq = Math.Max(acceptedSeq, message.TextSeq.Value);
        }

        /// <summary>Whether any text was said to this session.</summary>
        internal bool Said
        {
            get { return nextSeq > 0; }
        }

        /// <summary>The newest text that the server took, by its own number; null: none.</summary>
        internal long? AcceptedSeq
        {
            get { return acceptedSeq >= 0 ? (long?)acceptedSeq : null; }
        }

        /// <summary>A flush is answered; one without an id may be the server's own.</summary>
        internal void Answered(Flushed message)
        {
            if (unanswered.Count > 0 && unanswered.Peek().Id == message.Id)
                unanswered.Dequeue();
        }

        /// <summary>The server took a text not yet.</summary>
        internal void Full(int pause)
        {
            pauseMs = Math.Max(pauseMs ?? 0, pause);
        }

        // -- a fresh session (under the gate) -------------------------------------------------------------------------

        /// <summary>
        /// Another session is to be told everything from a character on; returns the ids of flushes that are answered by
        /// that. Nothing is said before `SayLeftAsync`.
        /// </summary>
        internal List<string> BeginAnew(long chars)
        {
            var answered = new List<string>();
            while (unanswered.Count > 0 && unanswered.Peek().Chars > 0 && unanswered.Peek().Chars <= chars)
                answered.Add(unanswered.Dequeue().Id);
            sessions++;
            fromChar = saidChars = chars;
            nextSeq = 0;
            acceptedSeq = -1;
            pauseMs = null;
            steps.Clear();
            string text = transcript.Text;
            long at = chars;
            foreach (Step flush in unanswered)
            {
                if (flush.Chars > at)
                    steps.AddLast(new Step { Text = CodePoints.Slice(text, at, flush.Chars) });
                at = Math.Max(at, flush.Chars);
                steps.AddLast(flush);
            }
            if (at < transcript.Chars)
                steps.AddLast(new Step { Text = CodePoints.From(text, at) });
            if (Ended)
                steps.AddLast(new Step { IsEnd = true });
            return answered;
        }

        /// <summary>Say what has not been said yet.</summary>
        internal async Task SayLeftAsync()
        {
            await turn.WaitAsync().ConfigureAwait(false);
            try
            {
                await SayAsync(CancellationToken.None).ConfigureAwait(false);
            }
            finally
            {
                turn.Release();
            }
        }

        // -- saying it ------------------------------------------------------------------------------------------------

        private async Task SayAllAsync(CancellationToken cancel)
        {
            await SayAsync(cancel).ConfigureAwait(false);
            lock (gate)
            {
                if (steps.Count > 0)
                    throw speech.WhyOver();
            }
        }

        private async Task SayAsync(CancellationToken cancel)
        {
            while (true)
            {
                Task said;
                lock (gate)
                {
                    if (steps.Count == 0 || !speech.TakesText)
                        return;
                    Step step = steps.First.Value;
                    if (step.Text != null)
                    {
                        said = SayTextAsync(step, cancel);
                    }
                    else
                    {
                        steps.RemoveFirst();
                        byte[] message = step.IsEnd
                            ? ClientMessages.Plain("end", speech.Name)
                            : ClientMessages.Flush(speech.Name, step.Id);
                        said = speech.SendAsync(message, cancel);
                    }
                }
                await said.ConfigureAwait(false);
            }
        }

        /// <summary>Called under the gate; what it awaits is awaited outside.</summary>
        private Task SayTextAsync(Step step, CancellationToken cancel)
        {
            Limits limits = speech.Limits;
            int session = sessions;
            // In a fresh session nothing may be opened by a text whose `start` was refused: it would be heard.
            int aheadMax = session == 0 ? PipelinedTextsMax : 0;
            if (speech.Starting && nextSeq >= aheadMax)
                return UntilAsync(() => !speech.Starting, session, cancel);
            string piece = step.Text;
            if (piece.Length > limits.TextCharsMax)
                piece = CodePoints.Slice(piece, 0, limits.TextCharsMax);
            long chars = CodePoints.Count(piece);
            if (saidChars - transcript.SpokenChars + chars > limits.UnspokenCharsMax)
                return SqueezeInAsync(step, piece, session, cancel);
            byte[] message = ClientMessages.Text(speech.Name, piece, nextSeq);
            MarkSaid(step, piece, chars);
            return speech.SendAsync(message, cancel);
        }

        private void MarkSaid(Step step, string piece, long chars)
        {
            if (step.Text.Length > piece.Length)
                step.Text = step.Text.Substring(piece.Length);
            else
                steps.Remove(step);
            nextSeq++;
            saidChars += chars;
        }

        /// <summary>Say text that may be too much until it is accepted.</summary>
        private async Task SqueezeInAsync(Step step, string piece, int session, CancellationToken cancel)
        {
            long seq;
            lock (gate)
                seq = nextSeq;
            await UntilAsync(() => acceptedSeq >= seq - 1, session, cancel).ConfigureAwait(false);
            while (true)
            {
                int pause;
                lock (gate)
                {
                    if (acceptedSeq >= seq || !speech.TakesText || session != sessions)
                        break;
                    pauseMs = null;
                    speech.Post(ClientMessages.Text(speech.Name, piece, seq));
                }
                await UntilAsync(() => acceptedSeq >= seq || pauseMs.HasValue, session, cancel).ConfigureAwait(false);
                lock (gate)
                    pause = acceptedSeq >= seq ? 0 : pauseMs ?? 0;
                // Asked often, the server would take it for abuse.
                await Task.Delay(pause, cancel).ConfigureAwait(false);
            }
            lock (gate)
            {
                if (acceptedSeq >= seq && session == sessions)
                    MarkSaid(step, piece, CodePoints.Count(piece));
            }
        }

        /// <summary>Wait until something is so, or the context takes no more text, or another session has begun.</summary>
        private async Task UntilAsync(Func<bool> condition, int session, CancellationToken cancel)
        {
            while (true)
            {
                Task next;
                lock (gate)
                {
                    if (!speech.TakesText || session != sessions || condition())
                        return;
                    next = speech.News;
                }
                await Signal.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }
    }
}
