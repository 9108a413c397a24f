// A context: text goes in, audio and events come out. The public side of it.

using System;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Connection;
using Voxwire.Protocol;
using Voxwire.Speech;

namespace Voxwire
{
    /// <summary>
    /// One stream of text and its audio. `VoxwireClient.SpeakAsync` and `OpenAsync` make it. Take its events by `ReadAsync` or
    /// `TryRead` until `Done`; everything may be called from any thread. An error that ends the context is thrown where events are
    /// read, after the audio that was ready before it. `Dispose` cancels it unless it is over.
    /// </summary>
    public sealed partial class SpeechContext : IDisposable
    {
        private static readonly Stopwatch Clock = Stopwatch.StartNew();

        /// <summary>The context's name.</summary>
        public readonly string Name;

        internal static double Now
        {
            get { return Clock.Elapsed.TotalSeconds; }
        }

        /// <summary>What the server said it speaks with; null before that.</summary>
        public Started Started
        {
            get { lock (gate) return hearing.Started; }
        }

        /// <summary>How it ended; null before that.</summary>
        public Done Done
        {
            get { lock (gate) return hearing.Done; }
        }

        /// <summary>What was heard of it when it was cancelled; null if it was not.</summary>
        public Cancelled Cancelled
        {
            get { lock (gate) return hearing.Cancelled; }
        }

        /// <summary>From the first text written to the first frame received; null before that.</summary>
        public double? TtfaClientMs { get; private set; }

        /// <summary>The text that was written, less what was retracted.</summary>
        public string Text
        {
            get { lock (gate) return hearing.Transcript.Text; }
        }

        /// <summary>How many events wait to be read. Many: the server is asked to hold until they are.</summary>
        public int EventsWaiting
        {
            get { lock (gate) return hearing.Inbox.Count; }
        }

        // -- text in --------------------------------------------------------------------------------------------------

        /// <summary>
        /// Append text, in pieces of any size; a surrogate pair may be cut in two, a half that stays alone is spoken as U+FFFD. Waits
        /// while more would wait to be spoken than the server takes.
        /// </summary>
        /// <exception cref="VoxwireException">client.context_ended, or the error that ended the context.</exception>
        public Task AppendAsync(string text, CancellationToken cancel = default(CancellationToken))
        {
            if (text == null)
                throw new ArgumentNullException("text");
            return writing.TextAsync(text, cancel);
        }

        /// <summary>What was written is complete: speak it. A `Flushed` event follows its last frame.</summary>
        /// <exception cref="VoxwireException">As AppendAsync.</exception>
        public Task FlushAsync(string id = null, CancellationToken cancel = default(CancellationToken))
        {
            return writing.FlushAsync(id, cancel);
        }

        /// <summary>No more text; `Done` follows the last frame. Without effect when the context is over.</summary>
        public Task EndAsync(CancellationToken cancel = default(CancellationToken))
        {
            return writing.EndAsync(cancel);
        }

        /// <summary>Drop text that is not being spoken yet, from a code point on; returns how many are left.</summary>
        /// <exception cref="VoxwireException">As AppendAsync.</exception>
        public Task<long> RetractAsync(long fromChar, CancellationToken cancel = default(CancellationToken))
        {
            return writing.RetractAsync(Math.Max(0, fromChar), cancel);
        }

        // -- control --------------------------------------------------------------------------------------------------

        /// <summary>
        /// Barge-in: stop now. Silence your player before you call it. `playedPts` is what it has played; null: what `Played` told, or
        /// the server's own guess. No audio is read any more; `Cancelled` and `Done` are. Where everything had been sent, or the
        /// connection is away, the answer is worked out here. Throws nothing but for `cancel`, which only ends the waiting.
        /// </summary>
        public async Task<Cancelled> InterruptAsync(long? playedPts = null, CancellationToken cancel = default(CancellationToken))
        {
            while (true)
            {
                Task next;
                lock (gate)
                {
                    // Once: what was left stays left.
                    if (phase != Phase.Leaving && hearing.Cancelled == null)
                        Leave(playedPts);
                    if (hearing.Cancelled == null && phase != Phase.Leaving)
                    {
                        hearing.Cancelled = hearing.Report(hearing.CancelledPts ?? 0);
                        hearing.Inbox.PutBeforeDone(hearing.Cancelled);
                        news.Pulse();
                    }
                    if (hearing.Cancelled != null)
                        return hearing.Cancelled;
                    next = news.Next;
                }
                await Signal.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }

        /// <summary>Cancel without waiting for what was heard. Without effect when the context is over.</summary>
        public void Dispose()
        {
            lock (gate)
            {
                if (IsLive)
                    Leave(null);
            }
        }

        /// <summary>Send no more audio for now; nothing is lost. Pause your player too.</summary>
        public void Hold()
        {
            lock (gate)
            {
                held = true;
                if (IsLive)
                    Post(ClientMessages.Plain("hold", Name));
            }
        }

        /// <summary>Go on after `Hold`.</summary>
        public void Release()
        {
            lock (gate)
            {
                held = false;
                if (IsLive && !heldBack)
                    Post(ClientMessages.Plain("release", Name));
            }
        }

        /// <summary>Change Opus' bitrate, the pacing (`realtime`, `burst`) or the lead while it speaks.</summary>
        /// <exception cref="VoxwireException">client.unsupported_audio: the codec has no bitrate to choose.</exception>
        public void Configure(int? bitrate = null, string pacing = null, int? leadMs = null)
        {
            if (bitrate.HasValue && wanted.Codec != "opus")
                throw new VoxwireException("client.unsupported_audio", "the codec has no bitrate to choose");
            if (!bitrate.HasValue && pacing == null && !leadMs.HasValue)
                return;
            lock (gate)
            {
                if (!IsLive)
                    return;
                // A fresh session gets it with its `start`.
                wanted.Bitrate = bitrate ?? wanted.Bitrate;
                wanted.Pacing = pacing ?? wanted.Pacing;
                wanted.LeadMs = leadMs ?? wanted.LeadMs;
                Post(ClientMessages.Configure(Name, bitrate, pacing, leadMs));
            }
        }

        /// <summary>
        /// A player says up to where it has played. The client acknowledges it to the server a few times a second, and takes it for
        /// `playedPts` of a barge-in.
        /// </summary>
        public void Played(long pts)
        {
            lock (gate)
                hearing.PlayedPts = Math.Max(0, pts);
        }

        /// <summary>What the listener has heard up to a pts, as far as can be known here. Disturbs nothing.</summary>
        public Cancelled HeardUpTo(long pts)
        {
            lock (gate)
                return hearing.Report(pts);
        }

        // -- events out -----------------------------------------------------------------------------------------------

        /// <summary>The next event; null after the last.</summary>
        /// <exception cref="VoxwireException">The error that ended the context; ConnectionLostException among them.</exception>
        public async Task<SpeechEvent> ReadAsync(CancellationToken cancel = default(CancellationToken))
        {
            while (true)
            {
                Task next;
                lock (gate)
                {
                    SpeechEvent happened = Next();
                    if (happened != null || hearing.Inbox.Closed)
                        return happened;
                    next = news.Next;
                }
                await Signal.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }

        /// <summary>Take an event if there is one; never waits.</summary>
        /// <exception cref="VoxwireException">As ReadAsync.</exception>
        public bool TryRead(out SpeechEvent happened)
        {
            lock (gate)
                happened = Next();
            return happened != null;
        }

        private SpeechEvent Next()
        {
            SpeechEvent happened = hearing.Inbox.Take();
            LetMoreCome();
            if (happened == null && hearing.Inbox.Error != null)
                throw hearing.Inbox.Error;
            return happened;
        }
    }
}
