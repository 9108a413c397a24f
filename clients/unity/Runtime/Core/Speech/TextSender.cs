// The text of one context: what its caller has written, in order, and how much of it was sent to the server.

using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Connection;
using Voxwire.Protocol;

namespace Voxwire.Speech
{
    /// <summary>What a sender needs of the context whose text it sends. Used with the client's lock held.</summary>
    internal interface ITextContext
    {
        string Name { get; }

        /// <summary>The limits of the current session.</summary>
        Limits Limits { get; }

        /// <summary>Whether more text can be sent.</summary>
        bool TakesText { get; }

        /// <summary>Whether `start` was sent and not answered yet.</summary>
        bool Starting { get; }

        /// <summary>Completes when anything of the context has changed.</summary>
        Task NextChange { get; }

        /// <summary>Why no more text can be sent.</summary>
        Exception EndedError();

        /// <summary>Send a message without waiting.</summary>
        void Post(byte[] message);

        /// <summary>Send a message; the task completes when it was written.</summary>
        Task SendAsync(byte[] message, CancellationToken cancel);
    }

    /// <summary>
    /// Sends text, flushes and the end in the order in which they were written, as fast as the server accepts them. The
    /// writing calls send: what a cancelled call has left unsent is sent by the next one. After `Restart` the
    /// text from some character on is sent again, to another session. Methods that are not async are called with the
    /// client's lock held.
    /// </summary>
    internal sealed class TextSender
    {
        /// <summary>
        /// How many texts are sent before `started` has come: each is one more error if the `start` is refused.
        /// </summary>
        private const int PipelinedTextsMax = 16;

        /// <summary>A text, a flush or the end.</summary>
        private sealed class Step
        {
            /// <summary>Null: a flush, or the end.</summary>
            internal string Text;
            internal bool IsEnd;

            /// <summary>The id of a flush; may be null.</summary>
            internal string Id;

            /// <summary>Of a flush: how many characters of the context come before it.</summary>
            internal long Chars;
        }

        /// <summary>Whether `EndAsync` was called.</summary>
        internal bool Ended;

        /// <summary>When the first text was written, in seconds of ResumableConnection.Now; null: none was.</summary>
        internal double? FirstTextAt;

        private readonly ITextContext context;
        private readonly Transcript transcript;
        private readonly object sync;

        /// <summary>Held by the one call that may append and send steps.</summary>
        private readonly SemaphoreSlim writeLock = new SemaphoreSlim(1, 1);
        private readonly LinkedList<Step> unsent = new LinkedList<Step>();
        private readonly Queue<Step> unansweredFlushes = new Queue<Step>();

        /// <summary>The first half of a surrogate pair at the end of the last text, or "".</summary>
        private string highSurrogate = "";
        private int sessionCount;

        /// <summary>The character of the context with which the current session begins.</summary>
        private long fromChar;
        private long sentChars;
        private long nextSeq;
        private long acceptedSeq = -1;
        private long acceptedChars;
        private int acceptedCount;

        /// <summary>
        /// How long to wait before sending a text again that the server did not accept; null: it has not refused it.
        /// </summary>
        private int? retryAfterMs;

        internal TextSender(ITextContext context, Transcript transcript, object sync)
        {
            this.context = context;
            this.transcript = transcript;
            this.sync = sync;
        }

        // -- calls of the user ----------------------------------------------------------------------------------------

        internal async Task TextAsync(string text, CancellationToken cancel)
        {
            await writeLock.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                lock (sync)
                {
                    ThrowIfEnded();
                    AppendText(text, false);
                }
                await SendAllAsync(cancel).ConfigureAwait(false);
            }
            finally
            {
                writeLock.Release();
            }
        }

        internal async Task FlushAsync(string id, CancellationToken cancel)
        {
            await writeLock.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                lock (sync)
                {
                    ThrowIfEnded();
                    AppendText("", true);
                    var flush = new Step { Id = id, Chars = transcript.Chars };
                    unsent.AddLast(flush);
                    unansweredFlushes.Enqueue(flush);
                }
                await SendAllAsync(cancel).ConfigureAwait(false);
            }
            finally
            {
                writeLock.Release();
            }
        }

        internal async Task EndAsync(CancellationToken cancel)
        {
            await writeLock.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                lock (sync)
                {
                    if (!context.TakesText || Ended)
                        return;
                    AppendText("", true);
                    Ended = true;
                    unsent.AddLast(new Step { IsEnd = true });
                }
                await SendStepsAsync(cancel).ConfigureAwait(false);
            }
            finally
            {
                writeLock.Release();
            }
        }

        internal async Task<long> RetractAsync(long from, CancellationToken cancel)
        {
            await writeLock.WaitAsync(cancel).ConfigureAwait(false);
            try
            {
                lock (sync)
                {
                    ThrowIfEnded();
                    AppendText("", true);
                }
                while (!await TryRetractAsync(from, cancel).ConfigureAwait(false))
                {
                    lock (sync)
                        ThrowIfEnded();
                }
                lock (sync)
                    return TruncateToAccepted();
            }
            finally
            {
                writeLock.Release();
            }
        }

        /// <summary>Send `retract`; false: another session began before the answer.</summary>
        private async Task<bool> TryRetractAsync(long from, CancellationToken cancel)
        {
            await SendStepsAsync(cancel).ConfigureAwait(false);
            int session, before;
            lock (sync)
                session = sessionCount;
            await WaitUntilAsync(() => acceptedSeq == nextSeq - 1, session, cancel).ConfigureAwait(false);
            lock (sync)
            {
                ThrowIfEnded();
                before = acceptedCount;
                context.Post(ClientMessages.Retract(context.Name, Math.Max(0, from - fromChar)));
            }
            await WaitUntilAsync(() => acceptedCount > before, session, cancel).ConfigureAwait(false);
            lock (sync)
                return acceptedCount > before && session == sessionCount;
        }

        private long TruncateToAccepted()
        {
            transcript.Truncate(acceptedChars);
            sentChars = acceptedChars;
            foreach (Step flush in unansweredFlushes)
                flush.Chars = Math.Min(flush.Chars, acceptedChars);
            return acceptedChars;
        }

        /// <summary>
        /// A surrogate pair may be cut in two by the pieces. Its first half waits for the next text, unless this one is
        /// `complete`; a half that stays alone becomes U+FFFD.
        /// </summary>
        private void AppendText(string text, bool complete)
        {
            string whole = highSurrogate + text;
            highSurrogate = "";
            if (!complete && whole.Length > 0 && char.IsHighSurrogate(whole[whole.Length - 1]))
            {
                highSurrogate = whole.Substring(whole.Length - 1);
                whole = whole.Substring(0, whole.Length - 1);
            }
            if (whole.Length == 0)
                return;
            whole = CodePoints.Mend(whole);
            unsent.AddLast(new Step { Text = whole });
            transcript.Append(whole);
            if (!FirstTextAt.HasValue)
                FirstTextAt = ResumableConnection.Now;
        }

        private void ThrowIfEnded()
        {
            if (Ended || !context.TakesText)
                throw context.EndedError();
        }

        // -- messages from the server ---------------------------------------------------------------------------------

        internal void OnAccepted(Accepted message)
        {
            acceptedChars = message.Chars + fromChar;
            acceptedCount++;
            if (message.TextSeq.HasValue)
                acceptedSeq = Math.Max(acceptedSeq, message.TextSeq.Value);
        }

        /// <summary>Whether any text was sent in the current session.</summary>
        internal bool SentAny
        {
            get { return nextSeq > 0; }
        }

        /// <summary>The newest text that the server accepted in the current session; null: none.</summary>
        internal long? AcceptedSeq
        {
            get { return acceptedSeq >= 0 ? (long?)acceptedSeq : null; }
        }

        /// <summary>
        /// A flush was answered; an answer without an id may be to a flush that the server made itself.
        /// </summary>
        internal void OnFlushed(Flushed message)
        {
            if (unansweredFlushes.Count > 0 && unansweredFlushes.Peek().Id == message.Id)
                unansweredFlushes.Dequeue();
        }

        /// <summary>The server refused a text because its buffer is full: send it again after a pause.</summary>
        internal void OnFull(int pauseMs)
        {
            retryAfterMs = Math.Max(retryAfterMs ?? 0, pauseMs);
        }

        // -- a new session --------------------------------------------------------------------------------------------

        /// <summary>
        /// Prepare to send the text from a character on to another session. Returns the ids of unanswered flushes whose
        /// text ends before it. `SendPendingAsync` sends the text.
        /// </summary>
        internal List<string> Restart(long chars)
        {
            var answered = new List<string>();
            while (unansweredFlushes.Count > 0 && unansweredFlushes.Peek().Chars > 0 && unansweredFlushes.Peek().Chars <= chars)
                answered.Add(unansweredFlushes.Dequeue().Id);
            sessionCount++;
            fromChar = sentChars = chars;
            nextSeq = 0;
            acceptedSeq = -1;
            retryAfterMs = null;
            unsent.Clear();
            string text = transcript.Text;
            long at = chars;
            foreach (Step flush in unansweredFlushes)
            {
                if (flush.Chars > at)
                    unsent.AddLast(new Step { Text = CodePoints.Slice(text, at, flush.Chars) });
                at = Math.Max(at, flush.Chars);
                unsent.AddLast(flush);
            }
            if (at < transcript.Chars)
                unsent.AddLast(new Step { Text = CodePoints.From(text, at) });
            if (Ended)
                unsent.AddLast(new Step { IsEnd = true });
            return answered;
        }

        /// <summary>Send the steps that were not sent yet.</summary>
        internal async Task SendPendingAsync()
        {
            await writeLock.WaitAsync().ConfigureAwait(false);
            try
            {
                await SendStepsAsync(CancellationToken.None).ConfigureAwait(false);
            }
            finally
            {
                writeLock.Release();
            }
        }

        // -- sending --------------------------------------------------------------------------------------------------

        /// <summary>Send all steps, or throw why the context takes no more.</summary>
        private async Task SendAllAsync(CancellationToken cancel)
        {
            await SendStepsAsync(cancel).ConfigureAwait(false);
            lock (sync)
            {
                if (unsent.Count > 0)
                    throw context.EndedError();
            }
        }

        /// <summary>Send steps until none is left, or the context takes no more.</summary>
        private async Task SendStepsAsync(CancellationToken cancel)
        {
            while (true)
            {
                Task sent;
                lock (sync)
                {
                    if (unsent.Count == 0 || !context.TakesText)
                        return;
                    Step step = unsent.First.Value;
                    if (step.Text != null)
                    {
                        sent = SendTextAsync(step, cancel);
                    }
                    else
                    {
                        unsent.RemoveFirst();
                        byte[] message = step.IsEnd
                            ? ClientMessages.Plain("end", context.Name)
                            : ClientMessages.Flush(context.Name, step.Id);
                        sent = context.SendAsync(message, cancel);
                    }
                }
                await sent.ConfigureAwait(false);
            }
        }

        /// <summary>Called with the lock held; the returned task is awaited without it.</summary>
        private Task SendTextAsync(Step step, CancellationToken cancel)
        {
            Limits limits = context.Limits;
            int session = sessionCount;
            // Text sent after a refused `start` opens the context with default options. In a session after the first
            // that would be played, so the text waits for `started`.
            int aheadMax = session == 0 ? PipelinedTextsMax : 0;
            if (context.Starting && nextSeq >= aheadMax)
                return WaitUntilAsync(() => !context.Starting, session, cancel);
            string piece = step.Text;
            if (piece.Length > limits.TextCharsMax)
                piece = CodePoints.Slice(piece, 0, limits.TextCharsMax);
            long chars = CodePoints.Count(piece);
            if (sentChars - transcript.SpokenChars + chars > limits.UnspokenCharsMax)
                return SendUntilAcceptedAsync(step, piece, session, cancel);
            byte[] message = ClientMessages.Text(context.Name, piece, nextSeq);
            MarkSent(step, piece, chars);
            return context.SendAsync(message, cancel);
        }

        private void MarkSent(Step step, string piece, long chars)
        {
            if (step.Text.Length > piece.Length)
                step.Text = step.Text.Substring(piece.Length);
            else
                unsent.Remove(step);
            nextSeq++;
            sentChars += chars;
        }

        /// <summary>Send text that may exceed the server's buffer, again and again until it is accepted.</summary>
        private async Task SendUntilAcceptedAsync(Step step, string piece, int session, CancellationToken cancel)
        {
            long seq;
            lock (sync)
                seq = nextSeq;
            await WaitUntilAsync(() => acceptedSeq >= seq - 1, session, cancel).ConfigureAwait(false);
            while (true)
            {
                int pauseMs;
                lock (sync)
                {
                    if (acceptedSeq >= seq || !context.TakesText || session != sessionCount)
                        break;
                    retryAfterMs = null;
                    context.Post(ClientMessages.Text(context.Name, piece, seq));
                }
                await WaitUntilAsync(() => acceptedSeq >= seq || retryAfterMs.HasValue, session, cancel).ConfigureAwait(false);
                lock (sync)
                    pauseMs = acceptedSeq >= seq ? 0 : retryAfterMs ?? 0;
                // Without the pause the server would count the repetitions as abuse.
                await Task.Delay(pauseMs, cancel).ConfigureAwait(false);
            }
            lock (sync)
            {
                if (acceptedSeq >= seq && session == sessionCount)
                    MarkSent(step, piece, CodePoints.Count(piece));
            }
        }

        /// <summary>
        /// Wait until a condition holds, the context takes no more text, or another session has begun.
        /// </summary>
        private async Task WaitUntilAsync(Func<bool> condition, int session, CancellationToken cancel)
        {
            while (true)
            {
                Task next;
                lock (sync)
                {
                    if (!context.TakesText || session != sessionCount || condition())
                        return;
                    next = context.NextChange;
                }
                await Condition.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }
    }
}
