// One server session over any number of WebSockets: reconnects after a drop, then resumes the session or starts a new
// one.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Protocol;

namespace Voxwire.Connection
{
    /// <summary>What a connection asks and tells the client that opened it. Called with SyncRoot locked.</summary>
    internal interface IConnectionOwner
    {
        /// <summary>The lock of the client, its connections and its contexts.</summary>
        object SyncRoot { get; }
        bool Reconnect { get; }
        double? ReconnectSeconds { get; }

        /// <summary>The WebSocket dropped, or is back.</summary>
        void OnConnectionEvent(ResumableConnection connection, SpeechEvent change);

        /// <summary>
        /// The connection to which the contexts of a dropped one move; null: it has to reconnect itself.
        /// </summary>
        ResumableConnection Successor(ResumableConnection connection);

        /// <summary>The session has ended.</summary>
        void OnConnectionLost(ResumableConnection connection, ConnectionLostException lost);

        /// <summary>A context has ended: its name may be used again.</summary>
        void OnContextDetached();
    }

    /// <summary>
    /// What a connection asks and tells each context whose messages it carries. Called with SyncRoot locked.
    /// </summary>
    internal interface IContextHandler
    {
        string Name { get; }

        /// <summary>The newest frame received in the current session; null: none.</summary>
        long? NewestFrame { get; }

        /// <summary>The newest text that the server accepted in the current session; null: none.</summary>
        long? NewestText { get; }

        void OnMessage(SpeechEvent message);

        void OnFrame(WireFrame frame);

        /// <summary>The next `ack`; null: nothing has changed since the last one.</summary>
        byte[] NextAck();

        /// <summary>The WebSocket dropped; the session may still be resumed.</summary>
        void OnInterrupted(Interrupted change);

        /// <summary>The session was resumed.</summary>
        void OnResumed(Reconnected change);

        /// <summary>
        /// The session is lost: speak what was not received in the session of `on`. `change` may be null.
        /// </summary>
        void Restart(ResumableConnection on, Reconnected change);

        /// <summary>The session is lost, and there will be no other.</summary>
        void OnLost(ConnectionLostException lost);
    }

    /// <summary>
    /// Without an open socket it connects by itself, and takes messages meanwhile. It counts all messages received,
    /// which is how the session is resumed. Fields and methods that are not async are used with SyncRoot locked.
    /// </summary>
    internal sealed partial class ResumableConnection
    {
        private static readonly Stopwatch Clock = Stopwatch.StartNew();

        /// <summary>
        /// The `ready` of the current session; before the first one, that of the connection it succeeds.
        /// </summary>
        internal Ready Ready;

        /// <summary>Whether the server has announced that it will close.</summary>
        internal bool Draining;
        internal readonly Dictionary<string, IContextHandler> Contexts = new Dictionary<string, IContextHandler>();
        internal readonly Outbox Outbox;
        internal Task Running;

        private readonly object sync;
        private readonly IConnectionOwner owner;
        private readonly Dialer dialer;
        private readonly Backoff backoff;
        private readonly CancellationTokenSource closing = new CancellationTokenSource();
        private readonly Condition contextAttached = new Condition();
        private Dictionary<int, IContextHandler> contextsByNumber = new Dictionary<int, IContextHandler>();
        private WebSocketTransport socket;
        private string resumeToken;
        private long receivedCount;

        /// <summary>Whether it has had a session of its own.</summary>
        private bool hasSession;

        /// <summary>Whether the server will not resume the session.</summary>
        private bool sessionGone;

        /// <summary>Whether a message came since the last heartbeat.</summary>
        private bool receivedSinceHeartbeat;

        /// <summary>The last error about the session on this socket; null: none.</summary>
        private VoxwireException serverError;

        /// <summary>Why the heartbeat gave up this socket; null: it did not.</summary>
        private ConnectionLostException heartbeatLost;
        private double droppedAt;
        private double? giveUpAt;

        /// <summary>
        /// `open` is a socket that is connected; null: connect. `ready` holds until there is a session.
        /// </summary>
        internal ResumableConnection(IConnectionOwner owner, Dialer dialer, Ready ready, OpenSocket open)
        {
            this.owner = owner;
            this.dialer = dialer;
            sync = owner.SyncRoot;
            Ready = ready;
            resumeToken = ready.Token;
            hasSession = open != null;
            Outbox = new Outbox(sync);
            var random = new Random(Guid.NewGuid().GetHashCode());
            backoff = new Backoff(random.NextDouble);
            droppedAt = Now;
            if (open != null)
                UseSocket(open);
            Running = Task.Run(() => RunAsync(open));
        }

        internal bool Connected
        {
            get { return Outbox.Connected; }
        }

        /// <summary>Seconds of a monotonic clock.</summary>
        internal static double Now
        {
            get { return Clock.Elapsed.TotalSeconds; }
        }

        // -- contexts -------------------------------------------------------------------------------------------------

        /// <summary>Pass a context its messages from now on.</summary>
        internal void Attach(IContextHandler context)
        {
            Contexts[context.Name] = context;
            contextAttached.NotifyAll();
        }

        /// <summary>Pass a context no more messages: it has ended, or moves to another connection.</summary>
        internal void Detach(IContextHandler context)
        {
            IContextHandler named;
            if (Contexts.TryGetValue(context.Name, out named) && named == context)
                Contexts.Remove(context.Name);
            var others = new Dictionary<int, IContextHandler>();
            foreach (KeyValuePair<int, IContextHandler> each in contextsByNumber)
            {
                if (each.Value != context)
                    others[each.Key] = each.Value;
            }
            contextsByNumber = others;
            owner.OnContextDetached();
        }

        private List<IContextHandler> ContextList()
        {
            return new List<IContextHandler>(Contexts.Values);
        }

        // -- from the first socket to the end of the session ----------------------------------------------------------

        /// <summary>End the session from this side.</summary>
        internal async Task CloseAsync()
        {
            WebSocketTransport open;
            lock (sync)
            {
                Close(new ConnectionLostException(1000, "closed by this side"));
                open = socket;
            }
            closing.Cancel();
            if (open != null)
                await open.CloseAsync(Running).ConfigureAwait(false);
            await Condition.IgnoreErrorsAsync(Running).ConfigureAwait(false);
        }

        private async Task RunAsync(OpenSocket open)
        {
            ConnectionLostException lost;
            try
            {
                lost = await UseSocketsAsync(open).ConfigureAwait(false);
            }
            catch (ConnectionLostException error)
            {
                lost = error;
            }
            catch (OperationCanceledException)
            {
                lost = new ConnectionLostException(1000, "closed by this side");
            }
            catch (Exception error)
            {
                lost = new ConnectionLostException(1011, "the reader failed: " + error.Message, null, error);
            }
            lock (sync)
                Close(lost);
        }

        /// <summary>Use one socket after another until the session ends; returns why it ended.</summary>
        private async Task<ConnectionLostException> UseSocketsAsync(OpenSocket open)
        {
            var why = new ConnectionLostException(ConnectionLostException.AbnormalClosure, "no connection could be made");
            while (true)
            {
                if (open == null)
                    open = await ReconnectAsync(why).ConfigureAwait(false);
                long before;
                lock (sync)
                    before = receivedCount + Outbox.AcknowledgedCount;
                why = await TransferAsync(open.Socket).ConfigureAwait(false);
                open = null;
                lock (sync)
                {
                    if (receivedCount + Outbox.AcknowledgedCount != before)
                    {
                        backoff.Succeeded();
                        giveUpAt = null;
                    }
                    if (Outbox.Lost != null || !owner.Reconnect || !why.Dropped || MoveContexts())
                        return why;
                    NotifyDropped(why);
                }
            }
        }

        private void Close(ConnectionLostException lost)
        {
            if (Outbox.Lost != null)
                return;
            Outbox.Close(lost);
            foreach (IContextHandler context in ContextList())
                context.OnLost(lost);
            owner.OnConnectionLost(this, lost);
        }

        /// <summary>Move unfinished contexts to the connection that succeeds this one; false: there is none.</summary>
        private bool MoveContexts()
        {
            ResumableConnection successor = owner.Successor(this);
            if (successor == null)
                return false;
            foreach (IContextHandler context in ContextList())
            {
                Detach(context);
                successor.Attach(context);
                context.Restart(successor, new Reconnected());
            }
            return true;
        }

        private void NotifyDropped(ConnectionLostException lost)
        {
            droppedAt = Now;
            foreach (IContextHandler context in ContextList())
                context.OnInterrupted(new Interrupted { Context = context.Name, Reason = lost });
            owner.OnConnectionEvent(this, new Interrupted { Reason = lost });
        }

        // -- reconnecting ---------------------------------------------------------------------------------------------

        private async Task<OpenSocket> ReconnectAsync(ConnectionLostException why)
        {
            if (giveUpAt == null)
            {
                double patience = Math.Max(30, Ready.ResumeWindowMs / 1000.0);
                giveUpAt = Now + (owner.ReconnectSeconds ?? patience);
            }
            while (true)
            {
                double delayMs = backoff.NextMs(why.RetryAfterMs);
                double leftMs = (giveUpAt.Value - Now) * 1000;
                await Task.Delay((int)Math.Max(0, Math.Min(delayMs, leftMs)), closing.Token).ConfigureAwait(false);
                if (delayMs > leftMs)
                    throw why;
                try
                {
                    return await TryReconnectAsync().ConfigureAwait(false);
                }
                catch (ConnectionLostException error)
                {
                    why = error;
                }
                catch (VoxwireException error)
                {
                    why = new ConnectionLostException(ConnectionLostException.CloseCodeOf(error.Code), error.Message, error);
                    // A draining server accepts only sessions that it holds. It refused, so it does not hold this one;
                    // asking for it again would lead to the same server.
                    sessionGone = sessionGone || error.Code == "server.draining";
                }
                if (!why.Retryable)
                    throw why;
            }
        }

        private async Task<OpenSocket> TryReconnectAsync()
        {
            bool resumable = hasSession && !sessionGone && Ready.ResumeWindowMs > 0;
            using (var timeout = CancellationTokenSource.CreateLinkedTokenSource(closing.Token))
            {
                timeout.CancelAfter(dialer.TimeoutMs);
                OpenSocket open = await dialer.DialAsync(resumable ? Ready.Session : null, timeout.Token).ConfigureAwait(false);
                using (timeout.Token.Register(open.Socket.Dispose))
                {
                    try
                    {
                        var answer = new ResumeAnswer();
                        if (resumable)
                            answer = await ResumeAsync(open).ConfigureAwait(false);
                        lock (sync)
                            EnterSession(open, answer);
                        return open;
                    }
                    catch (Exception)
                    {
                        open.Socket.Dispose();
                        closing.Token.ThrowIfCancellationRequested();
                        throw;
                    }
                }
            }
        }

        private sealed class ResumeAnswer
        {
            /// <summary>Null: the session was not resumed, and the new one is used.</summary>
            internal ResumedMessage Resumed;

            /// <summary>How many messages of the new session came before the answer.</summary>
            internal long ReceivedCount;
        }

        private async Task<ResumeAnswer> ResumeAsync(OpenSocket open)
        {
            byte[] resume;
            lock (sync)
                resume = ResumeMessage();
            await open.Socket.SendAsync(resume).ConfigureAwait(false);
            var answer = new ResumeAnswer();
            while (true)
            {
                Incoming incoming = await open.Socket.ReceiveAsync().ConfigureAwait(false);
                object message = incoming.Binary ? null : ServerMessages.Read(incoming.Raw);
                var refused = message as ErrorMessage;
                if (refused != null)
                    throw refused.Error;
                answer.Resumed = message as ResumedMessage;
                if (answer.Resumed != null || message is ResumeFailed)
                    return answer;
                answer.ReceivedCount++;
            }
        }

        private byte[] ResumeMessage()
        {
            var frames = new Dictionary<string, long>();
            var texts = new Dictionary<string, long>();
            foreach (IContextHandler context in Contexts.Values)
            {
                if (context.NewestFrame.HasValue)
                    frames[context.Name] = context.NewestFrame.Value;
                if (context.NewestText.HasValue)
                    texts[context.Name] = context.NewestText.Value;
            }
            return ClientMessages.Resume(Ready.Session, resumeToken, receivedCount, frames, texts);
        }

        private void EnterSession(OpenSocket open, ResumeAnswer answer)
        {
            bool first = !hasSession;
            hasSession = true;
            var change = new Reconnected { Resumed = answer.Resumed != null, AwaySeconds = Now - droppedAt };
            if (answer.Resumed != null)
            {
                resumeToken = answer.Resumed.Token;
                Outbox.Resend(answer.Resumed.Received);
                foreach (IContextHandler context in ContextList())
                    context.OnResumed(change);
            }
            else
            {
                Ready = open.Ready;
                resumeToken = open.Ready.Token;
                receivedCount = answer.ReceivedCount;
                Draining = sessionGone = false;
                if (!first)
                    RestartContexts(change);
            }
            if (!first)
                owner.OnConnectionEvent(this, change);
            UseSocket(open);
        }

        private void RestartContexts(Reconnected change)
        {
            Outbox.Reset();
            contextsByNumber = new Dictionary<int, IContextHandler>();
            foreach (IContextHandler context in ContextList())
                context.Restart(this, change);
        }

        private void UseSocket(OpenSocket open)
        {
            socket = open.Socket;
            serverError = null;
            heartbeatLost = null;
            Outbox.SetConnected(true);
        }
    }
}
