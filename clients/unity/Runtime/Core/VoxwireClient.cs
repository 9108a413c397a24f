// A session with a server: many utterances, over as many connections as it takes.

using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Connection;
using Voxwire.Protocol;

namespace Voxwire
{
    /// <summary>How to connect.</summary>
    public sealed class VoxwireClientOptions
    {
        /// <summary>An API key or a token; null where the server wants none.</summary>
        public string ApiKey { get; set; }

        /// <summary>For the whole of connecting.</summary>
        public int TimeoutMs { get; set; } = 10000;

        /// <summary>Whether a session whose connection drops comes back by itself. The first connection is tried once.</summary>
        public bool Reconnect { get; set; } = true;

        /// <summary>How long it tries; null: as long as the server keeps the session, thirty seconds at least.</summary>
        public double? ReconnectSeconds { get; set; }
    }

    /// <summary>
    /// Many utterances can be spoken on it, one after another or at once. Where its connection drops it comes back by itself, and
    /// speech goes on where it was. Everything may be called from any thread; nothing here needs Unity.
    /// </summary>
    public sealed class VoxwireClient : ILineOwner, ISpeechHost, IDisposable
    {
        private const int SeedMax = int.MaxValue;

        /// <summary>
        /// `Interrupted` when the connection drops, `Reconnected` when it is back, without a context. Called on some thread; must
        /// return soon.
        /// </summary>
        public event Action<SpeechEvent> ConnectionChanged;

        private readonly object gate = new object();
        private readonly VoxwireClientOptions options;
        private readonly Dialer dialer;
        private readonly HashSet<Line> former = new HashSet<Line>();
        private readonly Signal vacated = new Signal();
        private readonly Random random = new Random(Guid.NewGuid().GetHashCode());
        private Line line;
        private ConnectionLostException lost;
        private long names;

        /// <summary>
        /// Connect to a server. `url` may begin with ws, wss, http or https, and may leave out the path.
        /// </summary>
        /// <exception cref="VoxwireException">The server refused (client.not_authenticated, server.too_many_sessions, …).</exception>
        /// <exception cref="ConnectionLostException">There is no server, or it is not one of ours.</exception>
        /// <exception cref="ArgumentException">The URL is none.</exception>
        public static Task<VoxwireClient> ConnectAsync(
            string url,
            VoxwireClientOptions options = null,
            CancellationToken cancel = default(CancellationToken))
        {
            options = options ?? new VoxwireClientOptions();
            var dialer = new Dialer(url, options.ApiKey, options.TimeoutMs);
            // On the pool: a game's main thread has a context that would run every step once a frame.
            return Task.Run(() => ConnectAsync(dialer, options, cancel));
        }

        private static async Task<VoxwireClient> ConnectAsync(Dialer dialer, VoxwireClientOptions options, CancellationToken cancel)
        {
            return new VoxwireClient(dialer, options, await dialer.DialAsync(null, cancel).ConfigureAwait(false));
        }

        private VoxwireClient(Dialer dialer, VoxwireClientOptions options, Door door)
        {
            this.dialer = dialer;
            this.options = options;
            // The line begins at once, and waits for the gate.
            lock (gate)
                line = new Line(this, dialer, door.Ready, door);
        }

        // -- speaking -------------------------------------------------------------------------------------------------

        /// <summary>Speak a text. `cancel` cancels the speech, whenever it is cancelled.</summary>
        /// <exception cref="ArgumentException">The context's name is in use, or can't be one.</exception>
        /// <exception cref="ConnectionLostException">There is no connection, nor will be.</exception>
        public Task<SpeechContext> SpeakAsync(string text, SpeakOptions options = null, CancellationToken cancel = default(CancellationToken))
        {
            return SpeakAsync(new[] { text }, options, cancel);
        }

        /// <summary>Speak pieces of text as they are written. They are drawn on a thread of the pool, and may be long in coming.</summary>
        /// <exception cref="ArgumentException">As above.</exception>
        public Task<SpeechContext> SpeakAsync(
            IEnumerable<string> pieces,
            SpeakOptions options = null,
            CancellationToken cancel = default(CancellationToken))
        {
            return SpeakAsync((context, stop) => WriteAsync(context, pieces, stop), options, cancel);
        }

        /// <summary>
        /// Speak pieces of text as they are written: `nextPiece` is asked again and again until it returns null. Its token is cancelled
        /// when no more text is needed. What it throws cancels the speech, and is thrown where its events are read.
        /// </summary>
        /// <exception cref="ArgumentException">As above.</exception>
        public Task<SpeechContext> SpeakAsync(
            Func<CancellationToken, Task<string>> nextPiece,
            SpeakOptions options = null,
            CancellationToken cancel = default(CancellationToken))
        {
            return SpeakAsync((context, stop) => WriteAsync(context, nextPiece, stop), options, cancel);
        }

        /// <summary>A context whose text you write yourself: AppendAsync, FlushAsync, EndAsync.</summary>
        /// <exception cref="ArgumentException">The context's name is in use, or can't be one.</exception>
        /// <exception cref="ConnectionLostException">There is no connection, nor will be.</exception>
        public async Task<SpeechContext> OpenAsync(SpeakOptions options = null, CancellationToken cancel = default(CancellationToken))
        {
            SpeakOptions wanted = options == null ? new SpeakOptions() : options.Copy();
            SpeechContext context;
            lock (gate)
            {
                context = new SpeechContext(this, wanted.Context ?? "u" + ++names, wanted);
                // What has to be spoken anew on another server is to sound the same there.
                if (!wanted.Seed.HasValue && this.options.Reconnect)
                    wanted.Seed = random.Next(SeedMax);
            }
            int chars = CodePoints.Count(context.Name);
            if (chars < 1 || chars > 64 || CodePoints.Mend(context.Name) != context.Name)
                throw new ArgumentException("a context's name has 1 to 64 characters");
            while (true)
            {
                Task next;
                lock (gate)
                {
                    SpeechContext holder = Named(context.Name);
                    if (holder == null)
                    {
                        Line open = OpenLine();
                        open.Adopt(context);
                        context.Begin(open);
                        return context;
                    }
                    if (!holder.IsLeaving)
                        throw new ArgumentException("context '" + context.Name + "' is in use");
                    next = vacated.Next;
                }
                await Signal.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }

        private async Task<SpeechContext> SpeakAsync(
            Func<SpeechContext, CancellationToken, Task> write,
            SpeakOptions options,
            CancellationToken cancel)
        {
            SpeechContext context = await OpenAsync(options, cancel).ConfigureAwait(false);
            context.InBackground(() => WriteAllAsync(context, write));
            if (cancel.CanBeCanceled)
            {
                CancellationTokenRegistration registration = cancel.Register(context.Dispose);
                context.NoMoreText.Register(() => registration.Dispose());
            }
            return context;
        }

        private async Task WriteAllAsync(SpeechContext context, Func<SpeechContext, CancellationToken, Task> write)
        {
            try
            {
                await write(context, context.NoMoreText).ConfigureAwait(false);
                await context.EndAsync(context.NoMoreText).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (context.NoMoreText.IsCancellationRequested)
            {
                // Nobody needs more text.
            }
            catch (Exception error)
            {
                lock (gate)
                    context.Fail(error);
            }
        }

        private static async Task WriteAsync(SpeechContext context, IEnumerable<string> pieces, CancellationToken stop)
        {
            foreach (string piece in pieces)
            {
                stop.ThrowIfCancellationRequested();
                if (!string.IsNullOrEmpty(piece))
                    await context.AppendAsync(piece, stop).ConfigureAwait(false);
            }
        }

        private static async Task WriteAsync(SpeechContext context, Func<CancellationToken, Task<string>> nextPiece, CancellationToken stop)
        {
            while (true)
            {
                string piece = await nextPiece(stop).ConfigureAwait(false);
                if (piece == null)
                    return;
                if (piece.Length > 0)
                    await context.AppendAsync(piece, stop).ConfigureAwait(false);
            }
        }

        // -- the connection -------------------------------------------------------------------------------------------

        /// <summary>Whether there is a connection now.</summary>
        public bool Connected
        {
            get { lock (gate) return line.Connected; }
        }

        /// <summary>Whether the server is going away; what comes next is spoken on another connection.</summary>
        public bool Draining
        {
            get { lock (gate) return line.Draining; }
        }

        /// <summary>Why the session is over; null while it is not.</summary>
        public ConnectionLostException Lost
        {
            get { lock (gate) return lost; }
        }

        /// <summary>How many contexts are open.</summary>
        public int OpenContexts
        {
            get
            {
                lock (gate)
                {
                    int count = line.Contexts.Count;
                    foreach (Line each in former)
                        count += each.Contexts.Count;
                    return count;
                }
            }
        }

        /// <summary>The longest text that the server takes at once, in code points. Longer ones are cut by themselves.</summary>
        public long TextCharsMax
        {
            get { lock (gate) return line.Ready.Limits.TextCharsMax; }
        }

        /// <summary>Ask the server for an answer; returns the milliseconds it took.</summary>
        /// <exception cref="ConnectionLostException">It does not answer any more.</exception>
        public async Task<double> PingAsync(CancellationToken cancel = default(CancellationToken))
        {
            double askedAt = SpeechContext.Now;
            Outbox outbox;
            lock (gate)
                outbox = line.Outbox;
            await outbox.PingAsync(cancel).ConfigureAwait(false);
            return (SpeechContext.Now - askedAt) * 1000;
        }

        /// <summary>End the session; what is still being spoken is dropped. Takes two seconds at most.</summary>
        public async Task CloseAsync()
        {
            List<Line> open;
            lock (gate)
                open = Lines();
            await Task.WhenAll(open.ConvertAll(each => each.CloseAsync())).ConfigureAwait(false);
        }

        /// <summary>End the session without waiting for the goodbye.</summary>
        public void Dispose()
        {
            Task.Run(() => CloseAsync());
        }

        // -- what contexts and lines want of it; all under the gate -----------------------------------------------------

        object ILineOwner.Gate
        {
            get { return gate; }
        }

        object ISpeechHost.Gate
        {
            get { return gate; }
        }

        bool ILineOwner.Reconnect
        {
            get { return options.Reconnect; }
        }

        double? ILineOwner.ReconnectSeconds
        {
            get { return options.ReconnectSeconds; }
        }

        void ILineOwner.Happened(Line where, SpeechEvent change)
        {
            Action<SpeechEvent> told = ConnectionChanged;
            if (where == line && told != null)
                Task.Run(() => told(change));
        }

        Line ILineOwner.Successor(Line where)
        {
            return where == line || lost != null ? null : line;
        }

        void ILineOwner.Ended(Line where, ConnectionLostException why)
        {
            former.Remove(where);
            if (where == line)
                lost = lost ?? why;
            vacated.Pulse();
        }

        void ILineOwner.Vacated()
        {
            vacated.Pulse();
        }

        bool ISpeechHost.Move(SpeechContext context)
        {
            Line on = null;
            SpeechContext held;
            foreach (Line each in Lines())
            {
                if (each.Contexts.TryGetValue(context.Name, out held) && held == context)
                    on = each;
            }
            if (!options.Reconnect || on == null || lost != null)
                return false;
            if (on == line)
                Succeed();
            on.Detach(context);
            line.Adopt(context);
            context.Restart(line, null);
            return true;
        }

        private List<Line> Lines()
        {
            return new List<Line>(former) { line };
        }

        private SpeechContext Named(string name)
        {
            SpeechContext held = null;
            foreach (Line each in Lines())
            {
                if (each.Contexts.TryGetValue(name, out held))
                    return held;
            }
            return null;
        }

        private Line OpenLine()
        {
            if (lost != null)
                throw lost;
            if (line.Draining && options.Reconnect)
                Succeed();
            return line;
        }

        /// <summary>Open another connection; on the one there is, speech under way is finished.</summary>
        private void Succeed()
        {
            former.Add(line);
            line = new Line(this, dialer, line.Ready, null);
        }
    }
}
