// Where a context stands, and what becomes of it: by its caller, by the server, and by the connection.
//
//      OPENING ---started---> OPEN ----done----> OVER
//         |  \                  |                  ^
//       error  +----cancel------+--> LEAVING -done-+
//         v                                        |
//      REFUSED --what was sent after `start` is----+
//                       swept up
//
// Where the session is gone that it was spoken on, it goes back to OPENING on a fresh one with what was not heard yet.
// Whatever is lost with the connection for good is OVER. Everything here is called under the gate.

using System;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Connection;
using Voxwire.Protocol;
using Voxwire.Speech;

namespace Voxwire
{
    /// <summary>What a context wants of its client. Called under the gate.</summary>
    internal interface ISpeechHost
    {
        object Gate { get; }

        /// <summary>Let the context begin anew elsewhere, as its server goes away; false where there is no elsewhere.</summary>
        bool Move(SpeechContext context);
    }

    public sealed partial class SpeechContext
    {
        /// <summary>So many events waiting for the listener (thirty seconds of audio), and the server is asked to hold.</summary>
        internal const int EventsHold = 1500;
        internal const int EventsRelease = 500;

        /// <summary>What can be on its way when a `hold` is sent stays far below.</summary>
        internal const int EventsMax = 1 << 16;

        /// <summary>So many fresh sessions without a single new frame: it may be this very text that ends them.</summary>
        private const int RestartsMax = 5;

        private enum Phase
        {
            Opening,
            Open,
            Leaving,
            Refused,
            Over,
        }

        private readonly object gate;
        private readonly ISpeechHost host;
        private readonly SpeakOptions wanted;
        private readonly Hearing hearing;
        private readonly Writing writing;
        private readonly Signal news = new Signal();
        private readonly CancellationTokenSource writer = new CancellationTokenSource();
        private Line line;
        private Phase phase = Phase.Opening;
        private Exception failure;
        private bool held;
        private bool heldBack;
        private int restarts;

        internal SpeechContext(ISpeechHost host, string name, SpeakOptions wanted)
        {
            this.host = host;
            gate = host.Gate;
            Name = name;
            this.wanted = wanted;
            hearing = new Hearing(name);
            writing = new Writing(this, hearing.Transcript, gate);
        }

        /// <summary>Begin on a line that has adopted it.</summary>
        internal void Begin(Line on)
        {
            line = on;
            Post(ClientMessages.Start(Name, wanted));
        }

        /// <summary>Cancelled when nobody needs more text.</summary>
        internal CancellationToken NoMoreText
        {
            get { return writer.Token; }
        }

        /// <summary>It was cancelled or refused, and the server has not said the last of it.</summary>
        internal bool IsLeaving
        {
            get { return phase == Phase.Leaving || phase == Phase.Refused; }
        }

        internal bool TakesText
        {
            get { return IsLive && failure == null; }
        }

        /// <summary>Whether `started` has not come yet.</summary>
        internal bool Starting
        {
            get { return phase == Phase.Opening; }
        }

        internal Limits Limits
        {
            get { return line.Ready.Limits; }
        }

        internal Task News
        {
            get { return news.Next; }
        }

        internal long? NewestFrame
        {
            get { return hearing.ReceivedThere; }
        }

        internal long? NewestText
        {
            get { return writing.AcceptedSeq; }
        }

        private bool IsLive
        {
            get { return phase == Phase.Opening || phase == Phase.Open; }
        }

        internal void Post(byte[] message)
        {
            line.Outbox.Post(message);
        }

        internal Task SendAsync(byte[] message, CancellationToken cancel)
        {
            Outbox outbox = line.Outbox;
            return outbox.SentAsync(outbox.Post(message), cancel);
        }

        /// <summary>Do something elsewhere; an end of the connection or of the speech is no error there.</summary>
        internal void InBackground(Func<Task> work)
        {
            Task.Run(() => Signal.QuietlyAsync(work()));
        }

        internal Exception WhyOver()
        {
            return failure ?? new VoxwireException("client.context_ended", "context '" + Name + "' takes no more text");
        }

        /// <summary>End it from this side, at once.</summary>
        internal void Fail(Exception error)
        {
            if (!IsLive)
                return;
            failure = error;
            hearing.Inbox.Fail(error);
            Leave(null);
        }

        // -- leaving --------------------------------------------------------------------------------------------------

        /// <summary>Stop writing, forget audio; LEAVING until `done` has come, so that the name is not taken too early.</summary>
        private void Leave(long? playedPts)
        {
            playedPts = playedPts.HasValue ? Math.Max(0, playedPts.Value) : hearing.PlayedPts;
            if (phase != Phase.Leaving)
                hearing.CancelledPts = playedPts;
            StopWriting();
            hearing.Inbox.DropAudio();
            if (IsLive)
            {
                phase = Phase.Leaving;
                Post(ClientMessages.Cancel(Name, hearing.There(playedPts)));
                if (!line.Outbox.Flowing)
                    hearing.ReportHere();
            }
            news.Pulse();
        }

        private void StopWriting()
        {
            // Elsewhere: whoever waits for the token goes on there, and may wait for the gate.
            if (!writer.IsCancellationRequested)
                Task.Run(() => writer.Cancel());
        }

        private void GoOver()
        {
            phase = Phase.Over;
            StopWriting();
            line.Detach(this);
            news.Pulse();
        }

        // -- a slow listener ------------------------------------------------------------------------------------------

        private void HoldBack()
        {
            if (hearing.Inbox.Count >= EventsMax)
            {
                Fail(new VoxwireException("client.slow_reader", "nobody takes the events of '" + Name + "'", true));
            }
            else if (hearing.Inbox.Count >= EventsHold && !heldBack)
            {
                heldBack = true;
                if (!held)
                    Post(ClientMessages.Plain("hold", Name));
            }
        }

        private void LetMoreCome()
        {
            if (!heldBack || hearing.Inbox.Count > EventsRelease)
                return;
            heldBack = false;
            if (!held && IsLive)
                Post(ClientMessages.Plain("release", Name));
        }

        // -- what the server says -------------------------------------------------------------------------------------

        /// <summary>A message of this context came.</summary>
        internal void Take(SpeechEvent message)
        {
            if (phase == Phase.Refused || phase == Phase.Over)
                return;
            if (message is Accepted)
                writing.Accept((Accepted)message);
            else if (message is ErrorMessage)
                TakeError(((ErrorMessage)message).Error);
            else if (message is Done)
                TakeDone((Done)message);
            else if (message is Started)
                TakeStarted((Started)message);
            else if (message is Cancelled)
                hearing.Cancel((Cancelled)message);
            else
                TakeNote(message);
            news.Pulse();
        }

        /// <summary>An audio frame of this context came.</summary>
        internal void TakeFrame(WireFrame frame)
        {
            if (phase != Phase.Open || !hearing.Take(frame))
                return;
            restarts = 0;
            if (!TtfaClientMs.HasValue && writing.FirstTextAt.HasValue)
                TtfaClientMs = (Now - writing.FirstTextAt.Value) * 1000;
            HoldBack();
            news.Pulse();
        }

        /// <summary>What to tell the server of audio received and played; null when it knows.</summary>
        internal byte[] Acknowledgement()
        {
            return phase == Phase.Open ? hearing.Acknowledgement() : null;
        }

        private void TakeStarted(Started message)
        {
            if (phase == Phase.Opening)
                phase = Phase.Open;
            hearing.Start(message);
        }

        private void TakeNote(SpeechEvent message)
        {
            var flushed = message as Flushed;
            if (message is Clause)
                hearing.Note((Clause)message);
            else if (message is Timing)
                hearing.Note((Timing)message);
            else if (flushed != null)
            {
                hearing.Note(flushed);
                writing.Answered(flushed);
            }
            if (IsLive)
                hearing.Inbox.Put(message);
        }

        private void TakeDone(Done message)
        {
            if (hearing.Done == null)
            {
                bool failed = message.Reason == "error";
                Exception error = failure ?? new VoxwireException("system.engine_failed", "the speech failed", true);
                hearing.Finish(message, failed ? error : null, true);
            }
            GoOver();
        }

        private void TakeError(VoxwireException error)
        {
            // Answers to what crossed the end of a context on the wire are harmless.
            if (phase == Phase.Leaving || error.Code == "client.unknown_context" || error.Code == "client.context_ended")
                return;
            if (phase == Phase.Opening)
                TakeRefusal(error);
            else if (error.Code == "client.text_buffer_full")
                writing.Full(error.PauseBeforeRetryMs);
            else if (!error.Code.StartsWith("client.", StringComparison.Ordinal))
            {
                // What is ready still comes, then `done`.
                failure = error;
                StopWriting();
            }
            else if (error.Field != "seq" && error.Field != "played_pts")
                Fail(error);
        }

        /// <summary>There is no such context; but a text sent after its `start` may have opened one, with defaults.</summary>
        private void TakeRefusal(VoxwireException error)
        {
            if (error.Code == "server.draining" && host.Move(this))
                return;
            if (restarts > 0 && error.Retryable)
            {
                Line on = line;
                InBackground(() => StartAgainAsync(error, on));
                return;
            }
            failure = error;
            hearing.Inbox.Fail(error);
            StopWriting();
            if (!writing.Said)
            {
                GoOver();
                return;
            }
            phase = Phase.Refused;
            Outbox outbox = line.Outbox;
            InBackground(() => SweepUpAsync(outbox));
        }

        /// <summary>What was being heard is worth another attempt; every attempt counts as a restart.</summary>
        private async Task StartAgainAsync(VoxwireException error, Line on)
        {
            lock (gate)
            {
                if (++restarts > RestartsMax)
                {
                    Fail(error);
                    return;
                }
            }
            await Task.Delay(error.PauseBeforeRetryMs).ConfigureAwait(false);
            lock (gate)
            {
                if (phase == Phase.Opening && line == on)
                    Post(ClientMessages.Start(Name, SameAgain()));
            }
        }

        private async Task SweepUpAsync(Outbox outbox)
        {
            lock (gate)
                outbox.Post(ClientMessages.Cancel(Name, null));
            await Signal.QuietlyAsync(outbox.PingAsync(CancellationToken.None)).ConfigureAwait(false);
            lock (gate)
            {
                if (phase == Phase.Refused)
                    GoOver();
            }
        }
    }
}
