// One session of the server's over all the sockets that carry it: drops, comes back, resumes, or begins anew.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Protocol;

namespace Voxwire.Connection
{
    /// <summary>Whose lines they are. Everything is called under the gate.</summary>
    internal interface ILineOwner
    {
        object Gate { get; }
        bool Reconnect { get; }
        double? ReconnectSeconds { get; }

        /// <summary>A connection dropped, or came back.</summary>
        void Happened(Line line, SpeechEvent change);

        /// <summary>Where what is left of a line's speech can go; null: it has to come back itself.</summary>
        Line Successor(Line line);

        /// <summary>A line is over.</summary>
        void Ended(Line line, ConnectionLostException lost);

        /// <summary>A context's name is free.</summary>
        void Vacated();
    }

    /// <summary>Without a door it connects by itself, and takes messages meanwhile. Everything that comes is counted.</summary>
    internal sealed partial class Line
    {
        private static readonly Stopwatch Clock = Stopwatch.StartNew();

        /// <summary>The facts that hold until the line has its own.</summary>
        internal Ready Ready;

        /// <summary>Whether the server is going away.</summary>
        internal bool Draining;
        internal readonly Dictionary<string, SpeechContext> Contexts = new Dictionary<string, SpeechContext>();
        internal readonly Outbox Outbox;
        internal Task Running;

        private readonly object gate;
        private readonly ILineOwner owner;
        private readonly Dialer dialer;
        private readonly Backoff backoff;
        private readonly CancellationTokenSource closing = new CancellationTokenSource();
        private readonly Signal occupied = new Signal();
        private Dictionary<int, SpeechContext> numbers = new Dictionary<int, SpeechContext>();
        private WireSocket socket;
        private string token;
        private long received;
        private bool known;
        private bool gone;
        private bool alive;
        private VoxwireException said;
        private ConnectionLostException silent;
        private double awaySince;
        private double? giveUpAt;

        internal Line(ILineOwner owner, Dialer dialer, Ready ready, Door door)
        {
            this.owner = owner;
            this.dialer = dialer;
            gate = owner.Gate;
            Ready = ready;
            token = ready.Token;
            known = door != null;
            Outbox = new Outbox(gate);
            var random = new Random(Guid.NewGuid().GetHashCode());
            backoff = new Backoff(random.NextDouble);
            awaySince = Now;
            if (door != null)
                Enter(door);
            Running = Task.Run(() => RunAsync(door));
        }

        internal bool Connected
        {
            get { return Outbox.Flowing; }
        }

        private static double Now
        {
            get { return Clock.Elapsed.TotalSeconds; }
        }

        // -- contexts -------------------------------------------------------------------------------------------------

        /// <summary>Take a context's messages from now on.</summary>
        internal void Adopt(SpeechContext context)
        {
            Contexts[context.Name] = context;
            occupied.Pulse();
        }

        /// <summary>A context is over.</summary>
        internal void Detach(SpeechContext context)
        {
            SpeechContext named;
            if (Contexts.TryGetValue(context.Name, out named) && named == context)
                Contexts.Remove(context.Name);
            var left = new Dictionary<int, SpeechContext>();
            foreach (KeyValuePair<int, SpeechContext> each in numbers)
            {
                if (each.Value != context)
                    left[each.Key] = each.Value;
            }
            numbers = left;
            owner.Vacated();
        }

        // -- the life of a line ---------------------------------------------------------------------------------------

        /// <summary>End the session, from this side.</summary>
        internal async Task CloseAsync()
        {
            WireSocket open;
            lock (gate)
            {
                End(new ConnectionLostException(1000, "closed by this side"));
                open = socket;
            }
            closing.Cancel();
            if (open != null)
                await open.CloseAsync(Running).ConfigureAwait(false);
            await Signal.QuietlyAsync(Running).ConfigureAwait(false);
        }

        private async Task RunAsync(Door door)
        {
            ConnectionLostException lost;
            try
            {
                lost = await GoOnAsync(door).ConfigureAwait(false);
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
            lock (gate)
                End(lost);
        }

        private async Task<ConnectionLostException> GoOnAsync(Door door)
        {
            var why = new ConnectionLostException(ConnectionLostException.Abnormal, "no connection was to be had");
            while (true)
            {
                if (door == null)
                    door = await ComeBackAsync(why).ConfigureAwait(false);
                long before;
                lock (gate)
                    before = received + Outbox.Received;
                why = await ConverseAsync(door.Socket).ConfigureAwait(false);
                door = null;
                lock (gate)
                {
                    if (received + Outbox.Received != before)
                    {
                        backoff.Succeeded();
                        giveUpAt = null;
                    }
                    if (Outbox.Over != null || !owner.Reconnect || !why.Dropped || HandOver())
                        return why;
                    Interrupt(why);
                }
            }
        }

        private void End(ConnectionLostException lost)
        {
            if (Outbox.Over != null)
                return;
            Outbox.Finish(lost);
            foreach (SpeechContext context in new List<SpeechContext>(Contexts.Values))
                context.Lost(lost);
            owner.Ended(this, lost);
        }

        /// <summary>Let speech that was not finished go on elsewhere, if there is an elsewhere.</summary>
        private bool HandOver()
        {
            Line successor = owner.Successor(this);
            if (successor == null)
                return false;
            foreach (SpeechContext context in new List<SpeechContext>(Contexts.Values))
            {
                Detach(context);
                successor.Adopt(context);
                context.Restart(successor, new Reconnected());
            }
            return true;
        }

        private void Interrupt(ConnectionLostException lost)
        {
            awaySince = Now;
            foreach (SpeechContext context in new List<SpeechContext>(Contexts.Values))
                context.Dropped(new Interrupted { Context = context.Name, Reason = lost });
            owner.Happened(this, new Interrupted { Reason = lost });
        }

        // -- coming back ----------------------------------------------------------------------------------------------

        private async Task<Door> ComeBackAsync(ConnectionLostException why)
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
                    return await TryAsync().ConfigureAwait(false);
                }
                catch (ConnectionLostException error)
                {
                    why = error;
                }
                catch (VoxwireException error)
                {
                    why = new ConnectionLostException(ConnectionLostException.CloseCodeOf(error.Code), error.Message, error);
                    // A draining server lets its own sessions in. Asked for again, this one would lead there again.
                    gone = gone || error.Code == "server.draining";
                }
                if (!why.Retryable)
                    throw why;
            }
        }

        private async Task<Door> TryAsync()
        {
            bool resumable = known && !gone && Ready.ResumeWindowMs > 0;
            using (var timeout = CancellationTokenSource.CreateLinkedTokenSource(closing.Token))
            {
                timeout.CancelAfter(dialer.TimeoutMs);
                Door door = await dialer.DialAsync(resumable ? Ready.Session : null, timeout.Token).ConfigureAwait(false);
                using (timeout.Token.Register(door.Socket.Dispose))
                {
                    try
                    {
                        var answer = new ResumeAnswer();
                        if (resumable)
                            answer = await ResumeAsync(door).ConfigureAwait(false);
                        lock (gate)
                            GoOn(door, answer);
                        return door;
                    }
                    catch (Exception)
                    {
                        door.Socket.Dispose();
                        closing.Token.ThrowIfCancellationRequested();
                        throw;
                    }
                }
            }
        }

        private sealed class ResumeAnswer
        {
            /// <summary>Null where the fresh session stands.</summary>
            internal ResumedMessage Resumed;

            /// <summary>What came on the fresh one.</summary>
            internal long Received;
        }

        private async Task<ResumeAnswer> ResumeAsync(Door door)
        {
            byte[] resume;
            lock (gate)
                resume = ResumeMessage();
            await door.Socket.SendAsync(resume).ConfigureAwait(false);
            var answer = new ResumeAnswer();
            while (true)
            {
                Incoming incoming = await door.Socket.ReceiveAsync().ConfigureAwait(false);
                object message = incoming.Binary ? null : ServerMessages.Read(incoming.Raw);
                var refused = message as ErrorMessage;
                if (refused != null)
                    throw refused.Error;
                answer.Resumed = message as ResumedMessage;
                if (answer.Resumed != null || message is ResumeFailed)
                    return answer;
                answer.Received++;
            }
        }

        private byte[] ResumeMessage()
        {
            var frames = new Dictionary<string, long>();
            var texts = new Dictionary<string, long>();
            foreach (SpeechContext context in Contexts.Values)
            {
                if (context.NewestFrame.HasValue)
                    frames[context.Name] = context.NewestFrame.Value;
                if (context.NewestText.HasValue)
                    texts[context.Name] = context.NewestText.Value;
            }
            return ClientMessages.Resume(Ready.Session, token, received, frames, texts);
        }

        private void GoOn(Door door, ResumeAnswer answer)
        {
            bool first = !known;
            known = true;
            var change = new Reconnected { Resumed = answer.Resumed != null, AwaySeconds = Now - awaySince };
            if (answer.Resumed != null)
            {
                token = answer.Resumed.Token;
                Outbox.SayAgain(answer.Resumed.Received);
                foreach (SpeechContext context in new List<SpeechContext>(Contexts.Values))
                    context.WentOn(change);
            }
            else
            {
                Ready = door.Ready;
                token = door.Ready.Token;
                received = answer.Received;
                Draining = gone = false;
                if (!first)
                    BeginAnew(change);
            }
            if (!first)
                owner.Happened(this, change);
            Enter(door);
        }

        private void BeginAnew(Reconnected change)
        {
            Outbox.BeginAnew();
            numbers = new Dictionary<int, SpeechContext>();
            foreach (SpeechContext context in new List<SpeechContext>(Contexts.Values))
                context.Restart(this, change);
        }

        private void Enter(Door door)
        {
            socket = door.Socket;
            said = null;
            silent = null;
            Outbox.Flow(true);
        }
    }
}
