// The public members of a context: text goes in, audio and events come out.

using System;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Connection;
using Voxwire.Protocol;
using Voxwire.Speech;

namespace Voxwire
{
    /// <summary>
    /// One stream of text and its audio, made by `VoxwireClient.SpeakAsync` and `OpenAsync`. Read its events with
    /// `ReadAsync` or `TryRead` until `Done`; every member may be used from any thread. An error that ends the context
    /// is thrown where events are read, after the audio that was ready before it. `Dispose` cancels it unless it has
    /// ended.
    /// </summary>
    public sealed partial class SpeechContext : IContextHandler, ITextContext, IDisposable
    {
        /// <summary>The context's name.</summary>
        public readonly string Name;

        /// <summary>The voice and audio format that the server has chosen; null before it has.</summary>
        public Started Started
        {
            get { lock (sync) return receiver.Started; }
        }

        /// <summary>How it ended; null before it has.</summary>
        public Done Done
        {
            get { lock (sync) return receiver.Done; }
        }

        /// <summary>What was heard of it when it was cancelled; null if it was not.</summary>
        public Cancelled Cancelled
        {
            get { lock (sync) return receiver.Cancelled; }
        }

        /// <summary>Milliseconds from the first text written to the first frame received; null before that.</summary>
        public double? TtfaClientMs { get; private set; }

        /// <summary>The text that was written, without retracted text.</summary>
        public string Text
        {
            get { lock (sync) return receiver.Transcript.Text; }
        }

        /// <summary>
        /// How many events wait to be read. With 1500 the server is asked to hold until most are read.
        /// </summary>
        public int EventsWaiting
        {
            get { lock (sync) return receiver.Events.Count; }
        }

        // -- text in --------------------------------------------------------------------------------------------------

        /// <summary>
        /// Append text, in pieces of any size; a surrogate pair may be cut in two, and a half that stays alone is
        /// spoken as U+FFFD. Waits while the server's buffer for unspoken text is full.
        /// </summary>
        /// <exception cref="VoxwireException">client.context_ended, or the error that ended the context.</exception>
        public Task AppendAsync(string text, CancellationToken cancel = default(CancellationToken))
        {
            if (text == null)
                throw new ArgumentNullException("text");
            return sender.TextAsync(text, cancel);
        }

        /// <summary>Have all text written so far spoken now. A `Flushed` event follows its last frame.</summary>
        /// <exception cref="VoxwireException">As AppendAsync.</exception>
        public Task FlushAsync(string id = null, CancellationToken cancel = default(CancellationToken))
        {
            return sender.FlushAsync(id, cancel);
        }

        /// <summary>
        /// No more text follows; `Done` comes after the last frame. Without effect when the context has ended.
        /// </summary>
        public Task EndAsync(CancellationToken cancel = default(CancellationToken))
        {
            return sender.EndAsync(cancel);
        }

        /// <summary>
        /// Discard text that is not spoken yet, from a code point on; returns how many code points are left.
        /// </summary>
        /// <exception cref="VoxwireException">As AppendAsync.</exception>
        public Task<long> RetractAsync(long fromChar, CancellationToken cancel = default(CancellationToken))
        {
            return sender.RetractAsync(Math.Max(0, fromChar), cancel);
        }

        // -- control --------------------------------------------------------------------------------------------------

        /// <summary>
        /// Barge-in: stop now. Silence your player before you call it. `playedPts` is up to where it has played; null:
        /// the last `Played`, or the server's estimate. No more audio can be read, only `Cancelled` and `Done`. Where
        /// the server had already sent everything, or the connection is lost, the report is made by the client. Throws
        /// only if `cancel` is cancelled, which ends the waiting and nothing else.
        /// </summary>
        public async Task<Cancelled> InterruptAsync(long? playedPts = null, CancellationToken cancel = default(CancellationToken))
        {
            while (true)
            {
                Task next;
                lock (sync)
                {
                    // Only the first call cancels.
                    if (phase != Phase.Cancelling && receiver.Cancelled == null)
                        Cancel(playedPts);
                    if (receiver.Cancelled == null && phase != Phase.Cancelling)
                    {
                        receiver.Cancelled = receiver.Report(receiver.CancelledPts ?? 0);
                        receiver.Events.PutBeforeDone(receiver.Cancelled);
                        changed.NotifyAll();
                    }
                    if (receiver.Cancelled != null)
                        return receiver.Cancelled;
                    next = changed.Next;
                }
                await Condition.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }

        /// <summary>Cancel without waiting for the report. Without effect when the context has ended.</summary>
        public void Dispose()
        {
            lock (sync)
            {
                if (IsLive)
                    Cancel(null);
            }
        }

        /// <summary>Ask the server to send no more audio for now; none is lost. Pause your player too.</summary>
        public void Hold()
        {
            lock (sync)
            {
                held = true;
                if (IsLive)
                    Post(ClientMessages.Plain("hold", Name));
            }
        }

        /// <summary>Go on after `Hold`.</summary>
        public void Release()
        {
            lock (sync)
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
            if (bitrate.HasValue && options.Codec != "opus")
                throw new VoxwireException("client.unsupported_audio", "the codec has no bitrate to choose");
            if (!bitrate.HasValue && pacing == null && !leadMs.HasValue)
                return;
            lock (sync)
            {
                if (!IsLive)
                    return;
                // A new session gets them in its `start`.
                options.Bitrate = bitrate ?? options.Bitrate;
                options.Pacing = pacing ?? options.Pacing;
                options.LeadMs = leadMs ?? options.LeadMs;
                Post(ClientMessages.Configure(Name, bitrate, pacing, leadMs));
            }
        }

        /// <summary>
        /// Report up to where a player has played. The client passes it to the server a few times a second, and uses it
        /// as the `playedPts` of a barge-in.
        /// </summary>
        public void Played(long pts)
        {
            lock (sync)
                receiver.PlayedPts = Math.Max(0, pts);
        }

        /// <summary>
        /// What the listener has heard up to a pts, worked out from the timings received. Changes nothing.
        /// </summary>
        public Cancelled HeardUpTo(long pts)
        {
            lock (sync)
                return receiver.Report(pts);
        }

        // -- events out -----------------------------------------------------------------------------------------------

        /// <summary>The next event; null after the last.</summary>
        /// <exception cref="VoxwireException">The error that ended the context; ConnectionLostException among them.</exception>
        public async Task<SpeechEvent> ReadAsync(CancellationToken cancel = default(CancellationToken))
        {
            while (true)
            {
                Task next;
                lock (sync)
                {
                    SpeechEvent speechEvent = TakeNext();
                    if (speechEvent != null || receiver.Events.Closed)
                        return speechEvent;
                    next = changed.Next;
                }
                await Condition.WaitAsync(next, cancel).ConfigureAwait(false);
            }
        }

        /// <summary>Take an event if there is one; never waits.</summary>
        /// <exception cref="VoxwireException">As ReadAsync.</exception>
        public bool TryRead(out SpeechEvent speechEvent)
        {
            lock (sync)
                speechEvent = TakeNext();
            return speechEvent != null;
        }

        private SpeechEvent TakeNext()
        {
            SpeechEvent speechEvent = receiver.Events.Get();
            ReleaseBackpressure();
            if (speechEvent == null && receiver.Events.Error != null)
                throw receiver.Events.Error;
            return speechEvent;
        }
    }
}
