// What this side says to one session: in order, each message once, whatever becomes of the sockets under it.

using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Protocol;

namespace Voxwire.Connection
{
    /// <summary>
    /// Numbers the messages of one session, and keeps each until the server is known to have it. Everything but the tasks
    /// is called under the gate.
    /// </summary>
    internal sealed class Outbox
    {
        /// <summary>Whoever writes more than that waits until the server has told how much of it came.</summary>
        internal const int BytesMax = 4 << 20;

        /// <summary>Why nothing can be said any more; null while it can.</summary>
        internal ConnectionLostException Over;

        /// <summary>Whether there is a connection now.</summary>
        internal bool Flowing;

        private readonly object gate;
        private readonly Signal wake = new Signal();
        private readonly Signal moved = new Signal();
        private readonly Dictionary<double, long> pings = new Dictionary<double, long>();
        private readonly HashSet<double> awaited = new HashSet<double>();
        private List<byte[]> kept = new List<byte[]>();
        private long first;
        private long bytes;
        private long written;
        private double times;
        private int sessions;

        internal Outbox(object gate)
        {
            this.gate = gate;
        }

        /// <summary>How many messages the server is known to have.</summary>
        internal long Received
        {
            get { return first; }
        }

        /// <summary>Whether something has not been written yet.</summary>
        internal bool Waiting
        {
            get { return written < End; }
        }

        /// <summary>The next time a connection comes or goes, or something is written or known to have arrived.</summary>
        internal Task Moved
        {
            get { return moved.Next; }
        }

        private long End
        {
            get { return first + kept.Count; }
        }

        /// <summary>Say something as soon as there is a connection; returns its number. Lost where there will be none.</summary>
        internal long Post(byte[] message)
        {
            if (Over != null)
                return -1;
            kept.Add(message);
            bytes += message.Length;
            wake.Pulse();
            return End - 1;
        }

        /// <summary>Wait until a message is on its way; not while the connection is away, unless too much waits.</summary>
        /// <exception cref="ConnectionLostException">There is nobody to say it to, nor will be.</exception>
        internal async Task SentAsync(long number, CancellationToken cancel)
        {
            int session;
            lock (gate)
                session = sessions;
            while (true)
            {
                Task next;
                lock (gate)
                {
                    if (Over != null)
                        throw Over;
                    bool full = bytes > BytesMax;
                    if (session != sessions || (!full && !(Flowing && written <= number)))
                        return;
                    // The answer tells that everything before it has come.
                    if (full && pings.Count == 0)
                        Ask();
                    next = moved.Next;
                }
                await Signal.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }

        /// <summary>Say a `ping`; returns its `t`.</summary>
        internal double Ask()
        {
            double t = ++times;
            pings[t] = Post(ClientMessages.Ping(t));
            return t;
        }

        /// <summary>Wait until the server has answered everything that was said so far.</summary>
        /// <exception cref="ConnectionLostException">It does not answer any more.</exception>
        internal async Task PingAsync(CancellationToken cancel)
        {
            double t;
            lock (gate)
            {
                t = Ask();
                awaited.Add(t);
            }
            while (true)
            {
                Task next;
                lock (gate)
                {
                    if (!awaited.Contains(t))
                        return;
                    if (Over != null)
                        throw Over;
                    next = moved.Next;
                }
                await Signal.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }

        /// <summary>Write everything there is and will be, until the token is cancelled.</summary>
        internal async Task WriteAsync(WireSocket socket, CancellationToken cancel)
        {
            while (true)
            {
                byte[] raw = null;
                Task next;
                lock (gate)
                {
                    next = wake.Next;
                    // Counted before: the server may have told that it came before this task goes on.
                    if (Waiting)
                        raw = kept[(int)(written++ - first)];
                }
                if (raw == null)
                {
                    await Signal.WaitAsync(next, cancel).ConfigureAwait(false);
                    continue;
                }
                cancel.ThrowIfCancellationRequested();
                await socket.SendAsync(raw).ConfigureAwait(false);
                moved.Pulse();
            }
        }

        /// <summary>A connection came, or went.</summary>
        internal void Flow(bool flowing)
        {
            Flowing = flowing;
            moved.Pulse();
        }

        /// <summary>The server has got the first `count` messages.</summary>
        internal void Arrived(long count)
        {
            int gone = (int)System.Math.Max(0, System.Math.Min(count, End) - first);
            for (int i = 0; i < gone; i++)
                bytes -= kept[i].Length;
            kept.RemoveRange(0, gone);
            first += gone;
            written = System.Math.Max(written, first);
            moved.Pulse();
        }

        /// <summary>A `pong` came.</summary>
        internal void Answered(double t)
        {
            long number;
            if (pings.TryGetValue(t, out number))
            {
                pings.Remove(t);
                Arrived(number + 1);
            }
            awaited.Remove(t);
            moved.Pulse();
        }

        /// <summary>The server has got the first `count` messages, and none of the rest.</summary>
        internal void SayAgain(long count)
        {
            Arrived(count);
            written = first;
            wake.Pulse();
        }

        /// <summary>There is a fresh session: nothing that was said counts any more, but for pings that somebody awaits.</summary>
        internal void BeginAnew()
        {
            sessions++;
            kept = new List<byte[]>();
            first = bytes = written = 0;
            pings.Clear();
            foreach (double t in awaited)
                pings[t] = Post(ClientMessages.Ping(t));
            moved.Pulse();
        }

        /// <summary>Nothing can be said any more.</summary>
        internal void Finish(ConnectionLostException lost)
        {
            Over = lost;
            Flowing = false;
            moved.Pulse();
        }
    }
}
