// A session with a server, in which any number of utterances are spoken.

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
        /// <summary>An API key or a token; null if the server requires none.</summary>
        public string ApiKey { get; set; }

        /// <summary>How long connecting may take, up to the server's `ready`.</summary>
        public int TimeoutMs { get; set; } = 10000;

        /// <summary>Whether to reconnect when the connection drops. The first connection is tried once.</summary>
        public bool Reconnect { get; set; } = true;

        /// <summary>
        /// How long to try to reconnect; null: as long as the server keeps the session, at least thirty seconds.
        /// </summary>
        public double? ReconnectSeconds { get; set; }
    }

    /// <summary>
    /// Speaks any number of utterances, one after another or at once. It reconnects by itself when the connection
    /// drops, and speech goes on where it was. Every member may be used from any thread; nothing here needs Unity.
    /// </summary>
    public sealed class VoxwireClient : IConnectionOwner, IContextSession, IDisposable
    {
        private const int SeedMax = int.MaxValue;

        /// <summary>
        /// `Interrupted` when the connection drops, `Reconnected` when it is back; both with `Context` null. Raised on
        /// a thread of the pool; handlers must return soon.
        /// </summary>
        public event Action<SpeechEvent> ConnectionChanged;

        private readonly object sync = new object();
        private readonly VoxwireClientOptions options;
        private readonly Dialer dialer;
        private readonly HashSet<ResumableConnection> drainingConnections = new HashSet<ResumableConnection>();
        private readonly Condition contextDetached = new Condition();
        private readonly Random random = new Random(Guid.NewGuid().GetHashCode());
        private ResumableConnection connection;
        private ConnectionLostException lost;
        private long nameCount;

        /// <summary>
        /// Connect to a server. `url` may begin with ws, wss, http or https, and may leave out the path.
        /// </summary>
        /// <exception cref="VoxwireException">The server refused (client.not_authenticated, server.too_many_sessions, …).</exception>
        /// <exception cref="ConnectionLostException">No server answers, or it is not a voxwire server.</exception>
        /// <exception cref="ArgumentException">The URL can't be that of a server.</exception>
        public static Task<VoxwireClient> ConnectAsync(
            string url,
            VoxwireClientOptions options = null,
            CancellationToken cancel = default(CancellationToken))
        {
            options = options ?? new VoxwireClientOptions();
            var dialer = new Dialer(url, options.ApiKey, options.TimeoutMs);
            // On the pool: on a game's main thread each continuation would wait for the next frame.
            return Task.Run(() => ConnectAsync(dialer, options, cancel));
        }

        private static async Task<VoxwireClient> ConnectAsync(Dialer dialer, VoxwireClientOptions options, CancellationToken cancel)
        {
            return new VoxwireClient(dialer, options, await dialer.DialAsync(null, cancel).ConfigureAwait(false));
        }

        private VoxwireClient(Dialer dialer, VoxwireClientOptions options, OpenSocket open)
        {
            this.dialer = dialer;
            this.options = options;
            // The connection starts a task that waits for this lock.
            lock (sync)
                connection = new ResumableConnection(this, dialer, open.Ready, open);
        }

        // -- speaking -------------------------------------------------------------------------------------------------

        /// <summary>
        /// Speak a text. Cancelling `cancel` cancels the speech, also after this method has returned.
        /// </summary>
        /// <exception cref="ArgumentException">The context's name is in use, or can't be one.</exception>
        /// <exception cref="ConnectionLostException">There is no connection, nor will be.</exception>
        public Task<SpeechContext> SpeakAsync(string text, SpeakOptions options = null, CancellationToken cancel = default(CancellationToken))
        {
            return SpeakAsync(new[] { text }, options, cancel);
        }

        /// <summary>
        /// Speak pieces of text as they are written. They are enumerated on a thread of the pool, and may take long.
        /// </summary>
        /// <exception cref="ArgumentException">As above.</exception>
        public Task<SpeechContext> SpeakAsync(
            IEnumerable<string> pieces,
            SpeakOptions options = null,
            CancellationToken cancel = default(CancellationToken))
        {
            return SpeakAsync((context, stop) => WriteAsync(context, pieces, stop), options, cancel);
        }

        /// <summary>
        /// Speak pieces of text as they are written: `nextPiece` is called until it returns null. Its token is
        /// cancelled when no more text is needed. An exception of it cancels the speech, and is thrown where the events
        /// are read.
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
            SpeakOptions contextOptions = options == null ? new SpeakOptions() : options.Copy();
            SpeechContext context;
            lock (sync)
            {
                context = new SpeechContext(this, contextOptions.Context ?? "u" + ++nameCount, contextOptions);
                // Chosen here, so that speech that is repeated in another session sounds the same.
                if (!contextOptions.Seed.HasValue && this.options.Reconnect)
                    contextOptions.Seed = random.Next(SeedMax);
            }
            int chars = CodePoints.Count(context.Name);
            if (chars < 1 || chars > 64 || CodePoints.Mend(context.Name) != context.Name)
                throw new ArgumentException("a context's name has 1 to 64 characters");
            while (true)
            {
                Task next;
                lock (sync)
                {
                    SpeechContext holder = FindContext(context.Name);
                    if (holder == null)
                    {
                        ResumableConnection open = UsableConnection();
                        open.Attach(context);
                        context.Start(open);
                        return context;
                    }
                    if (!holder.IsClosing)
                        throw new ArgumentException("context '" + context.Name + "' is in use");
                    next = contextDetached.Next;
                }
                await Condition.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }

        private async Task<SpeechContext> SpeakAsync(
            Func<SpeechContext, CancellationToken, Task> write,
            SpeakOptions options,
            CancellationToken cancel)
        {
            SpeechContext context = await OpenAsync(options, cancel).ConfigureAwait(false);
            SpeechContext.RunInBackground(() => WriteAllAsync(context, write));
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
                // No more text is needed.
            }
            catch (Exception error)
            {
                lock (sync)
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
            get { lock (sync) return connection.Connected; }
        }

        /// <summary>
        /// Whether the server has announced that it will close; new speech is spoken on another connection.
        /// </summary>
        public bool Draining
        {
            get { lock (sync) return connection.Draining; }
        }

        /// <summary>Why the session has ended; null while it has not.</summary>
        public ConnectionLostException Lost
        {
            get { lock (sync) return lost; }
        }

        /// <summary>How many contexts are open.</summary>
        public int OpenContexts
        {
            get
            {
                lock (sync)
                {
                    int count = connection.Contexts.Count;
                    foreach (ResumableConnection each in drainingConnections)
                        count += each.Contexts.Count;
                    return count;
                }
            }
        }

        /// <summary>
        /// The longest text of one message, in code points. Longer texts are sent in several messages.
        /// </summary>
        public long TextCharsMax
        {
            get { lock (sync) return connection.Ready.Limits.TextCharsMax; }
        }

        /// <summary>Send a ping; returns the milliseconds until the server's answer.</summary>
        /// <exception cref="ConnectionLostException">The session ended before the answer came.</exception>
        public async Task<double> PingAsync(CancellationToken cancel = default(CancellationToken))
        {
            double askedAt = ResumableConnection.Now;
            Outbox outbox;
            lock (sync)
                outbox = connection.Outbox;
            await outbox.PingAsync(cancel).ConfigureAwait(false);
            return (ResumableConnection.Now - askedAt) * 1000;
        }

        /// <summary>End the session and all speech in it. Takes two seconds at most.</summary>
        public async Task CloseAsync()
        {
            List<ResumableConnection> open;
            lock (sync)
                open = Connections();
            await Task.WhenAll(open.ConvertAll(each => each.CloseAsync())).ConfigureAwait(false);
        }

        /// <summary>End the session without waiting for the server's close frame.</summary>
        public void Dispose()
        {
            Task.Run(() => CloseAsync());
        }

        // -- for its connections and contexts; called with the lock held -----------------------------------------------

        object IConnectionOwner.SyncRoot
        {
            get { return sync; }
        }

        object IContextSession.SyncRoot
        {
            get { return sync; }
        }

        bool IConnectionOwner.Reconnect
        {
            get { return options.Reconnect; }
        }

        double? IConnectionOwner.ReconnectSeconds
        {
            get { return options.ReconnectSeconds; }
        }

        void IConnectionOwner.OnConnectionEvent(ResumableConnection from, SpeechEvent change)
        {
            Action<SpeechEvent> handler = ConnectionChanged;
            if (from == connection && handler != null)
                Task.Run(() => handler(change));
        }

        ResumableConnection IConnectionOwner.Successor(ResumableConnection from)
        {
            return from == connection || lost != null ? null : connection;
        }

        void IConnectionOwner.OnConnectionLost(ResumableConnection from, ConnectionLostException why)
        {
            drainingConnections.Remove(from);
            if (from == connection)
                lost = lost ?? why;
            contextDetached.NotifyAll();
        }

        void IConnectionOwner.OnContextDetached()
        {
            contextDetached.NotifyAll();
        }

        bool IContextSession.Move(SpeechContext context)
        {
            ResumableConnection on = null;
            IContextHandler named;
            foreach (ResumableConnection each in Connections())
            {
                if (each.Contexts.TryGetValue(context.Name, out named) && named == context)
                    on = each;
            }
            if (!options.Reconnect || on == null || lost != null)
                return false;
            if (on == connection)
                OpenSuccessor();
            on.Detach(context);
            connection.Attach(context);
            context.Restart(connection, null);
            return true;
        }

        private List<ResumableConnection> Connections()
        {
            return new List<ResumableConnection>(drainingConnections) { connection };
        }

        private SpeechContext FindContext(string name)
        {
            IContextHandler named;
            foreach (ResumableConnection each in Connections())
            {
                if (each.Contexts.TryGetValue(name, out named))
                    return (SpeechContext)named;
            }
            return null;
        }

        private ResumableConnection UsableConnection()
        {
            if (lost != null)
                throw lost;
            if (connection.Draining && options.Reconnect)
                OpenSuccessor();
            return connection;
        }

        /// <summary>Open another connection for new speech; the present one finishes its own.</summary>
        private void OpenSuccessor()
        {
            drainingConnections.Add(connection);
            connection = new ResumableConnection(this, dialer, connection.Ready, null);
        }
    }
}
