// The messages of this client to one session: sent in order, each once, over any number of sockets.

using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Protocol;

namespace Voxwire.Connection
{
    /// <summary>
    /// Numbers the messages of one session, and keeps each until the server has acknowledged it. Methods that are not
    /// async are called with the client's lock held.
    /// </summary>
    internal sealed class Outbox
    {
        /// <summary>With more than this kept, `WaitSentAsync` waits until the server has acknowledged enough.</summary>
        internal const int BytesMax = 4 << 20;

        /// <summary>Why no message can be sent any more; null while the session is open.</summary>
        internal ConnectionLostException Lost;

        /// <summary>Whether there is a socket to write to.</summary>
        internal bool Connected;

        private readonly object sync;
        private readonly Condition appended = new Condition();
        private readonly Condition changed = new Condition();

        /// <summary>By the `t` of each unanswered ping: its message number.</summary>
        private readonly Dictionary<double, long> pings = new Dictionary<double, long>();

        /// <summary>The `t` of pings for which `PingAsync` waits.</summary>
        private readonly HashSet<double> awaitedPings = new HashSet<double>();
        private List<byte[]> kept = new List<byte[]>();
        private long first;
        private long bytes;
        private long written;
        private double pingCount;
        private int sessionCount;

        internal Outbox(object sync)
        {
            this.sync = sync;
        }

        /// <summary>How many messages of this session the server is known to have received.</summary>
        internal long AcknowledgedCount
        {
            get { return first; }
        }

        /// <summary>Whether a message was not written yet.</summary>
        internal bool HasUnsent
        {
            get { return written < End; }
        }

        private long End
        {
            get { return first + kept.Count; }
        }

        /// <summary>Send a message once there is a socket; returns its number, -1 if the session is closed.</summary>
        internal long Post(byte[] message)
        {
            if (Lost != null)
                return -1;
            kept.Add(message);
            bytes += message.Length;
            appended.NotifyAll();
            return End - 1;
        }

        /// <summary>
        /// Wait until a message was written. Returns at once where there is no socket, unless more than `BytesMax` is
        /// kept.
        /// </summary>
        /// <exception cref="ConnectionLostException">The session is closed.</exception>
        internal async Task WaitSentAsync(long number, CancellationToken cancel)
        {
            int session;
            lock (sync)
                session = sessionCount;
            while (true)
            {
                Task next;
                lock (sync)
                {
                    if (Lost != null)
                        throw Lost;
                    bool full = bytes > BytesMax;
                    if (session != sessionCount || (!full && !(Connected && written <= number)))
                        return;
                    // The pong acknowledges every message before the ping.
                    if (full && pings.Count == 0)
                        SendPing();
                    next = changed.Next;
                }
                await Condition.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }

        /// <summary>Send a `ping`; returns its `t`.</summary>
        internal double SendPing()
        {
            double t = ++pingCount;
            pings[t] = Post(ClientMessages.Ping(t));
            return t;
        }

        /// <summary>Wait until the server has answered a ping, and with it received every message before.</summary>
        /// <exception cref="ConnectionLostException">The session was closed first.</exception>
        internal async Task PingAsync(CancellationToken cancel)
        {
            double t;
            lock (sync)
            {
                t = SendPing();
                awaitedPings.Add(t);
            }
            while (true)
            {
                Task next;
                lock (sync)
                {
                    if (!awaitedPings.Contains(t))
                        return;
                    if (Lost != null)
                        throw Lost;
                    next = changed.Next;
                }
                await Condition.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }

        /// <summary>Write messages to a socket until the token is cancelled.</summary>
        internal async Task WriteToAsync(WebSocketTransport socket, CancellationToken cancel)
        {
            while (true)
            {
                byte[] raw = null;
                Task next;
                lock (sync)
                {
                    next = appended.Next;
                    // Counted before it is sent: the server may acknowledge it before this task goes on.
                    if (HasUnsent)
                        raw = kept[(int)(written++ - first)];
                }
                if (raw == null)
                {
                    await Condition.WaitAsync(next, cancel).ConfigureAwait(false);
                    continue;
                }
                cancel.ThrowIfCancellationRequested();
                await socket.SendAsync(raw).ConfigureAwait(false);
                changed.NotifyAll();
            }
        }

        /// <summary>There is a socket now, or none any more.</summary>
        internal void SetConnected(bool connected)
        {
            Connected = connected;
            changed.NotifyAll();
        }

        /// <summary>Discard the first `count` messages of the session: the server has received them.</summary>
        internal void Acknowledge(long count)
        {
            int arrived = (int)System.Math.Max(0, System.Math.Min(count, End) - first);
            for (int i = 0; i < arrived; i++)
                bytes -= kept[i].Length;
            kept.RemoveRange(0, arrived);
            first += arrived;
            written = System.Math.Max(written, first);
            changed.NotifyAll();
        }

        /// <summary>A `pong` came.</summary>
        internal void OnPong(double t)
        {
            long number;
            if (pings.TryGetValue(t, out number))
            {
                pings.Remove(t);
                Acknowledge(number + 1);
            }
            awaitedPings.Remove(t);
            changed.NotifyAll();
        }

        /// <summary>
        /// The session was resumed and the server has received `count` messages: write all others again.
        /// </summary>
        internal void Resend(long count)
        {
            Acknowledge(count);
            written = first;
            appended.NotifyAll();
        }

        /// <summary>Discard all messages but the pings for which a `PingAsync` waits: there is a new session.</summary>
        internal void Reset()
        {
            sessionCount++;
            kept = new List<byte[]>();
            first = bytes = written = 0;
            pings.Clear();
            foreach (double t in awaitedPings)
                pings[t] = Post(ClientMessages.Ping(t));
            changed.NotifyAll();
        }

        /// <summary>The session is closed: nothing can be sent any more.</summary>
        internal void Close(ConnectionLostException lost)
        {
            Lost = lost;
            Connected = false;
            changed.NotifyAll();
        }
    }
}
