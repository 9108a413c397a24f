// The state of a context, and how its caller, the server and the connection change it.
//
//      OPENING --started--> OPEN -------done------> OVER
//         |  \                |                       ^
//       error +----cancel-----+--> CANCELLING --done--+
//         v                                           |
//      REFUSED --texts sent after `start` are---------+
//                  cancelled too
//
// Where its session is lost it goes back to OPENING in a new session, which speaks what was not received. Where there
// will be no new session it goes to OVER. Methods here that are not async are called with the client's lock held.

using System;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Connection;
using Voxwire.Protocol;
using Voxwire.Speech;

namespace Voxwire
{
    /// <summary>What a context asks of the client that opened it. Called with SyncRoot locked.</summary>
    internal interface IContextSession
    {
        /// <summary>The lock of the client, its connections and its contexts.</summary>
        object SyncRoot { get; }

        /// <summary>Restart the context on a new connection, as its server is draining; false: there is none.</summary>
        bool Move(SpeechContext context);
    }

    public sealed partial class SpeechContext
    {
        /// <summary>With this many unread events (thirty seconds of audio) the server is asked to hold.</summary>
        internal const int EventsHold = 1500;

        /// <summary>With no more than this, to go on.</summary>
        internal const int EventsRelease = 500;

        /// <summary>With this many the speech fails. What is under way when `hold` is sent stays far below.</summary>
        internal const int EventsMax = 1 << 16;

        /// <summary>
        /// After this many new sessions without a new frame it fails: its own text may be what ends them.
        /// </summary>
        private const int RestartsMax = 5;

        private enum Phase
        {
            Opening,
            Open,
            Cancelling,
            Refused,
            Over,
        }

        private readonly object sync;
        private readonly IContextSession session;
        private readonly SpeakOptions options;
        private readonly AudioReceiver receiver;
        private readonly TextSender sender;
        private readonly Condition changed = new Condition();
        private readonly CancellationTokenSource stopWriting = new CancellationTokenSource();
        private ResumableConnection connection;
        private Phase phase = Phase.Opening;

        /// <summary>The error that ended the context, or will with its `done`; null: none.</summary>
        private Exception failure;

        /// <summary>Whether the caller has asked to hold.</summary>
        private bool held;

        /// <summary>Whether the server was asked to hold because too many events are unread.</summary>
        private bool heldBack;
        private int restarts;

        internal SpeechContext(IContextSession session, string name, SpeakOptions options)
        {
            this.session = session;
            this.options = options;
            sync = session.SyncRoot;
            Name = name;
            receiver = new AudioReceiver(name);
            sender = new TextSender(this, receiver.Transcript, sync);
        }

        /// <summary>Send `start` on a connection to which the context was added.</summary>
        internal void Start(ResumableConnection on)
        {
            connection = on;
            Post(ClientMessages.Start(Name, options));
        }

        /// <summary>Cancelled when no more text is needed.</summary>
        internal CancellationToken NoMoreText
        {
            get { return stopWriting.Token; }
        }

        /// <summary>Whether it was cancelled or refused, and the server still knows its name.</summary>
        internal bool IsClosing
        {
            get { return phase == Phase.Cancelling || phase == Phase.Refused; }
        }

        private bool IsLive
        {
            get { return phase == Phase.Opening || phase == Phase.Open; }
        }

        private void Post(byte[] message)
        {
            connection.Outbox.Post(message);
        }

        /// <summary>Run something on the pool; its errors are ignored.</summary>
        internal static void RunInBackground(Func<Task> work)
        {
            Task.Run(() => Condition.IgnoreErrorsAsync(work()));
        }

        /// <summary>
        /// Cancel it with an error, which is thrown where its events are read. Without effect once it is ending.
        /// </summary>
        internal void Fail(Exception error)
        {
            if (!IsLive)
                return;
            failure = error;
            receiver.Events.Fail(error);
            Cancel(null);
        }

        // -- what its TextSender needs --------------------------------------------------------------------------------

        string ITextContext.Name
        {
            get { return Name; }
        }

        Limits ITextContext.Limits
        {
            get { return connection.Ready.Limits; }
        }

        bool ITextContext.TakesText
        {
            get { return IsLive && failure == null; }
        }

        bool ITextContext.Starting
        {
            get { return phase == Phase.Opening; }
        }

        Task ITextContext.NextChange
        {
            get { return changed.Next; }
        }

        Exception ITextContext.EndedError()
        {
            return failure ?? new VoxwireException("client.context_ended", "context '" + Name + "' takes no more text");
        }

        void ITextContext.Post(byte[] message)
        {
            Post(message);
        }

        Task ITextContext.SendAsync(byte[] message, CancellationToken cancel)
        {
            Outbox outbox = connection.Outbox;
            return outbox.WaitSentAsync(outbox.Post(message), cancel);
        }

        // -- cancelling and ending ------------------------------------------------------------------------------------

        /// <summary>
        /// Stop writing and discard unread audio. It stays CANCELLING until `done` has come, so that its name is not
        /// used before the server has freed it.
        /// </summary>
        private void Cancel(long? playedPts)
        {
            playedPts = playedPts.HasValue ? Math.Max(0, playedPts.Value) : receiver.PlayedPts;
            if (phase != Phase.Cancelling)
                receiver.CancelledPts = playedPts;
            StopWriting();
            receiver.Events.DropAudio();
            if (IsLive)
            {
                phase = Phase.Cancelling;
                Post(ClientMessages.Cancel(Name, receiver.ToSessionPts(playedPts)));
                if (!connection.Outbox.Connected)
                    receiver.ReportLocally();
            }
            changed.NotifyAll();
        }

        private void StopWriting()
        {
            // On the pool: callbacks of the token run inside Cancel, and may wait for the lock.
            if (!stopWriting.IsCancellationRequested)
                Task.Run(() => stopWriting.Cancel());
        }

        private void End()
        {
            phase = Phase.Over;
            StopWriting();
            connection.Detach(this);
            changed.NotifyAll();
        }

        // -- backpressure ---------------------------------------------------------------------------------------------

        private void ApplyBackpressure()
        {
            if (receiver.Events.Count >= EventsMax)
            {
                Fail(new VoxwireException("client.slow_reader", "the events of '" + Name + "' are not read", true));
            }
            else if (receiver.Events.Count >= EventsHold && !heldBack)
            {
                heldBack = true;
                if (!held)
                    Post(ClientMessages.Plain("hold", Name));
            }
        }

        private void ReleaseBackpressure()
        {
            if (!heldBack || receiver.Events.Count > EventsRelease)
                return;
            heldBack = false;
            if (!held && IsLive)
                Post(ClientMessages.Plain("release", Name));
        }

        // -- messages from the server ---------------------------------------------------------------------------------

        void IContextHandler.OnMessage(SpeechEvent message)
        {
            if (phase == Phase.Refused || phase == Phase.Over)
                return;
            if (message is Accepted)
                sender.OnAccepted((Accepted)message);
            else if (message is ErrorMessage)
                OnError(((ErrorMessage)message).Error);
            else if (message is Done)
                OnDone((Done)message);
            else if (message is Started)
                OnStarted((Started)message);
            else if (message is Cancelled)
                receiver.OnCancelled((Cancelled)message);
            else
                OnOtherMessage(message);
            changed.NotifyAll();
        }

        void IContextHandler.OnFrame(WireFrame frame)
        {
            if (phase != Phase.Open || !receiver.OnFrame(frame))
                return;
            restarts = 0;
            if (!TtfaClientMs.HasValue && sender.FirstTextAt.HasValue)
                TtfaClientMs = (ResumableConnection.Now - sender.FirstTextAt.Value) * 1000;
            ApplyBackpressure();
            changed.NotifyAll();
        }

        byte[] IContextHandler.NextAck()
        {
            return phase == Phase.Open ? receiver.NextAck() : null;
        }

        private void OnStarted(Started message)
        {
            if (phase == Phase.Opening)
                phase = Phase.Open;
            receiver.OnStarted(message);
        }

        private void OnOtherMessage(SpeechEvent message)
        {
            var flushed = message as Flushed;
            if (message is Clause)
                receiver.OnClause((Clause)message);
            else if (message is Timing)
                receiver.OnTiming((Timing)message);
            else if (message is Mark)
                receiver.OnMark((Mark)message);
            else if (flushed != null)
            {
                receiver.OnFlushed(flushed);
                sender.OnFlushed(flushed);
            }
            if (IsLive)
                receiver.Events.Put(message);
        }

        private void OnDone(Done message)
        {
            if (receiver.Done == null)
            {
                bool failed = message.Reason == "error";
                Exception error = failure ?? new VoxwireException("system.engine_failed", "the speech failed", true);
                receiver.OnDone(message, failed ? error : null);
            }
            End();
        }

        private void OnError(VoxwireException error)
        {
            // These two answer messages that crossed the end of the context on the wire.
            if (phase == Phase.Cancelling || error.Code == "client.unknown_context" || error.Code == "client.context_ended")
                return;
            if (phase == Phase.Opening)
                OnRefused(error);
            else if (error.Code == "client.text_buffer_full")
                sender.OnFull(error.PauseBeforeRetryMs);
            else if (!error.Code.StartsWith("client.", StringComparison.Ordinal))
            {
                // Audio that is ready still comes, then `done`.
                failure = error;
                StopWriting();
            }
            else if (error.Field != "seq" && error.Field != "played_pts")
                Fail(error);
        }

        /// <summary>
        /// `start` was refused. A text sent after it may have opened a context with default options, which is
        /// cancelled.
        /// </summary>
        private void OnRefused(VoxwireException error)
        {
            if (error.Code == "server.draining" && session.Move(this))
                return;
            if (restarts > 0 && error.Retryable)
            {
                ResumableConnection on = connection;
                RunInBackground(() => RetryStartAsync(error, on));
                return;
            }
            failure = error;
            receiver.Events.Fail(error);
            StopWriting();
            if (!sender.SentAny)
            {
                End();
                return;
            }
            phase = Phase.Refused;
            Outbox outbox = connection.Outbox;
            RunInBackground(() => CancelRefusedAsync(outbox));
        }

        /// <summary>A speech that was partly heard is tried again; every attempt counts as a restart.</summary>
        private async Task RetryStartAsync(VoxwireException error, ResumableConnection on)
        {
            lock (sync)
            {
                if (++restarts > RestartsMax)
                {
                    Fail(error);
                    return;
                }
            }
            await Task.Delay(error.PauseBeforeRetryMs).ConfigureAwait(false);
            lock (sync)
            {
                if (phase == Phase.Opening && connection == on)
                    Post(ClientMessages.Start(Name, GrantedOptions()));
            }
        }

        private async Task CancelRefusedAsync(Outbox outbox)
        {
            lock (sync)
                outbox.Post(ClientMessages.Cancel(Name, null));
            await Condition.IgnoreErrorsAsync(outbox.PingAsync(CancellationToken.None)).ConfigureAwait(false);
            lock (sync)
            {
                if (phase == Phase.Refused)
                    End();
            }
        }
    }
}
