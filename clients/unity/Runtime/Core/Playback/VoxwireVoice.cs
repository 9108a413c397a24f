// Plays one context: turns its audio frames into samples for the sound card, and raises its events when they are heard.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Audio;

namespace Voxwire.Playback
{
    /// <summary>How to play a context.</summary>
    public sealed class VoiceOptions
    {
        /// <summary>The time from when `Read` returns a sample until it is heard.</summary>
        public double OutputLatencySeconds { get; set; }

        /// <summary>How much audio has to be buffered before playback begins, and goes on after an underrun.</summary>
        public int PrebufferMs { get; set; } = 40;

        /// <summary>
        /// How much audio is buffered; more stays in the context, and beyond its bound at the server.
        /// </summary>
        public double BufferSeconds { get; set; } = 10;

        /// <summary>Seconds of a monotonic clock; called on any thread. Null: that of the machine.</summary>
        public Func<double> Clock { get; set; }
    }

    /// <summary>
    /// Reads all events of a context; nothing else may. The audio thread calls `Read`. One other thread calls `Update`,
    /// in which the events are raised, and every other member.
    /// </summary>
    public sealed class VoxwireVoice : IDisposable
    {
        private const int PollMs = 10;
        private static readonly Stopwatch MonotonicClock = Stopwatch.StartNew();

        /// <summary>The first sample was heard.</summary>
        public event Action<Started> OnStart;
        public event Action<Clause> OnClause;
        public event Action<Mark> OnMark;
        public event Action<Word> OnWord;
        public event Action<Phoneme> OnPhoneme;
        public event Action<Viseme> OnViseme;

        /// <summary>An underrun: the buffer is empty, and more audio is to come.</summary>
        public event Action OnDry;

        /// <summary>
        /// Every other event, when it is received: Flushed, Warning, Interrupted, Reconnected, Cancelled.
        /// </summary>
        public event Action<SpeechEvent> OnEvent;

        /// <summary>All audio was heard, or the context was cancelled.</summary>
        public event Action<Done> OnEnd;

        /// <summary>The speech failed. Raised after the audio that came before the error was heard.</summary>
        public event Action<Exception> OnError;

        public readonly SpeechContext Context;

        private readonly VoiceOptions options;
        private readonly Func<double> clock;
        private readonly object sync = new object();
        private readonly TimedEvents timedEvents = new TimedEvents();
        private readonly MouthTrack mouth = new MouthTrack();
        private readonly Queue<SpeechEvent> otherEvents = new Queue<SpeechEvent>();
        private readonly CancellationTokenSource stop = new CancellationTokenSource();
        private AudioRing ring;
        private PlayoutClock playoutClock;
        private Done done;
        private Exception error;
        private bool receivedAll;
        private bool startRaised;
        private bool endRaised;
        private bool interrupted;
        private bool held;
        private int underrunsRaised;
        private long heardPts;

        public VoxwireVoice(SpeechContext context, VoiceOptions options = null)
        {
            Context = context;
            this.options = options ?? new VoiceOptions();
            clock = this.options.Clock ?? (() => MonotonicClock.Elapsed.TotalSeconds);
            Task.Run(() => ReadEventsAsync());
        }

        /// <summary>The first sample not heard yet: `PlayedPts`, less the latency of the output.</summary>
        public long HeardPts
        {
            get { return heardPts; }
        }

        /// <summary>How many samples `Read` has returned; 0 before the context has started.</summary>
        public long PlayedPts
        {
            get { return Ring == null ? 0 : Ring.PlayedPts; }
        }

        /// <summary>How much audio is buffered that `Read` has not returned.</summary>
        public double LeadMs
        {
            get { return Ring == null ? 0 : 1000.0 * (Ring.WrittenPts - Ring.PlayedPts) / Ring.SampleRate; }
        }

        public int Underruns
        {
            get { return Ring == null ? 0 : Ring.Underruns; }
        }

        /// <summary>Whether `OnEnd` or `OnError` was raised: nothing more will be.</summary>
        public bool Finished
        {
            get { return endRaised; }
        }

        private AudioRing Ring
        {
            get { return Volatile.Read(ref ring); }
        }

        // -- the audio thread -----------------------------------------------------------------------------------------

        /// <summary>
        /// Fill `data`, interleaved, at `outputRate`, with silence where there is no audio. Takes no lock.
        /// </summary>
        public void Read(float[] data, int channels, int outputRate)
        {
            AudioRing from = Ring;
            if (from == null)
            {
                Array.Clear(data, 0, data.Length);
                return;
            }
            long before = from.PlayedPts;
            from.Read(data, channels, outputRate);
            long after = from.PlayedPts;
            if (after > before)
                playoutClock.Mark(before, after, clock());
        }

        // -- the thread that calls Update -----------------------------------------------------------------------------

        /// <summary>Raise the events that were heard since the last call. Call it once per game frame.</summary>
        public void Update()
        {
            if (Ring != null && !interrupted && playoutClock.At(clock()) > heardPts)
            {
                heardPts = playoutClock.At(clock());
                Context.Played(heardPts);
            }
            if (heardPts > 0 && !startRaised)
            {
                startRaised = true;
                Raise(OnStart, Context.Started);
            }
            lock (sync)
                mouth.ForgetBefore(heardPts);
            object timedEvent;
            while ((timedEvent = NextTimedEvent()) != null)
                RaiseTimedEvent(timedEvent);
            SpeechEvent other;
            while ((other = NextOtherEvent()) != null)
                Raise(OnEvent, other);
            if (Underruns > underrunsRaised && !interrupted)
            {
                underrunsRaised = Underruns;
                if (OnDry != null)
                    OnDry();
            }
            RaiseEnd();
        }

        /// <summary>
        /// Fill `weights` with the fifteen weights of the mouth now, closed while nothing sounds; returns it.
        /// </summary>
        public float[] Mouth(float[] weights)
        {
            lock (sync)
            {
                bool silent = Ring == null || interrupted || held || (!Ring.Playing && heardPts >= Ring.PlayedPts);
                return silent ? MouthTrack.Closed(weights) : mouth.Weights(heardPts, weights);
            }
        }

        /// <summary>
        /// Barge-in: fade out at once, and cancel the context at `HeardPts`. No timed event is raised any more.
        /// </summary>
        public Task<Cancelled> InterruptAsync(CancellationToken cancel = default(CancellationToken))
        {
            if (Ring != null && !interrupted)
            {
                heardPts = Math.Max(heardPts, playoutClock.At(clock()));
                Ring.Interrupt();
            }
            lock (sync)
            {
                interrupted = true;
                timedEvents.DiscardFrom(0);
            }
            return Context.InterruptAsync(heardPts, cancel);
        }

        /// <summary>Pause, and ask the server to hold, while it is not clear whether the user interrupts.</summary>
        public void Hold()
        {
            lock (sync)
            {
                held = true;
                if (Ring != null)
                    Ring.Pause();
            }
            Context.Hold();
        }

        /// <summary>Go on after `Hold`.</summary>
        public void Release()
        {
            lock (sync)
            {
                held = false;
                if (Ring != null)
                    Ring.Resume();
            }
            Context.Release();
        }

        /// <summary>Cancel without waiting for the report.</summary>
        public void Dispose()
        {
            if (Ring != null)
                Ring.Interrupt();
            stop.Cancel();
            Context.Dispose();
        }

        private object NextTimedEvent()
        {
            // Events at the very end of the audio are raised with its last sample.
            long untilPts = Ring != null && Ring.Finished && heardPts >= Ring.PlayedPts ? long.MaxValue : heardPts;
            lock (sync)
                return interrupted ? null : timedEvents.Take(untilPts);
        }

        private SpeechEvent NextOtherEvent()
        {
            lock (sync)
                return otherEvents.Count == 0 ? null : otherEvents.Dequeue();
        }

        private void RaiseTimedEvent(object timedEvent)
        {
            if (timedEvent is Viseme)
                Raise(OnViseme, (Viseme)timedEvent);
            else if (timedEvent is Word)
                Raise(OnWord, (Word)timedEvent);
            else if (timedEvent is Phoneme)
                Raise(OnPhoneme, (Phoneme)timedEvent);
            else if (timedEvent is Mark)
                Raise(OnMark, (Mark)timedEvent);
            else
                Raise(OnClause, (Clause)timedEvent);
        }

        private void RaiseEnd()
        {
            bool allRaised;
            lock (sync)
                allRaised = receivedAll && !endRaised && timedEvents.Count == 0;
            // An interrupted or empty context has nothing left to be heard.
            bool quiet = Ring == null || interrupted || (Ring.Finished && heardPts >= Ring.PlayedPts);
            if (!allRaised || !quiet)
                return;
            endRaised = true;
            if (error != null)
                Raise(OnError, error);
            else
                Raise(OnEnd, done);
        }

        private static void Raise<T>(Action<T> listeners, T what)
        {
            if (listeners != null)
                listeners(what);
        }

        // -- events of the context -------------------------------------------------------------------------------------

        private async Task ReadEventsAsync()
        {
            Exception failed = null;
            try
            {
                SpeechEvent speechEvent = await Context.ReadAsync(stop.Token).ConfigureAwait(false);
                while (speechEvent != null)
                {
                    await TakeAsync(speechEvent).ConfigureAwait(false);
                    speechEvent = await Context.ReadAsync(stop.Token).ConfigureAwait(false);
                }
            }
            catch (Exception raised)
            {
                failed = raised;
            }
            if (Ring != null)
                Ring.End();
            lock (sync)
            {
                error = failed;
                receivedAll = true;
            }
        }

        private async Task TakeAsync(SpeechEvent speechEvent)
        {
            var frame = speechEvent as AudioFrame;
            if (frame != null)
            {
                await PlayAsync(PcmDecoder.Decode(frame.Codec, frame.Payload)).ConfigureAwait(false);
                return;
            }
            var started = speechEvent as Started;
            if (started != null)
                Start(started.Audio);
            lock (sync)
                Store(speechEvent);
        }

        private void Start(AudioFormat format)
        {
            bool same = ring == null || ring.SampleRate == format.SampleRate;
            if (!PcmDecoder.Knows(format.Codec) || !same)
            {
                Context.Dispose();
                throw new VoxwireException("client.unsupported_audio", "this voice can't play " + format.Codec + " at " + format.SampleRate);
            }
            if (ring != null)
                return;
            playoutClock = new PlayoutClock(format.SampleRate, options.OutputLatencySeconds);
            var fresh = new AudioRing(format.SampleRate, options.BufferSeconds, options.PrebufferMs);
            lock (sync)
            {
                if (held)
                    fresh.Pause();
                Volatile.Write(ref ring, fresh);
            }
        }

        private void Store(SpeechEvent speechEvent)
        {
            var timing = speechEvent as Timing;
            var reconnected = speechEvent as Reconnected;
            if (timing != null)
            {
                timedEvents.Add(timing);
                mouth.Add(timing.Visemes);
            }
            else if (speechEvent is Clause)
                timedEvents.Add((Clause)speechEvent);
            else if (speechEvent is Mark)
                timedEvents.Add((Mark)speechEvent);
            else if (speechEvent is Done)
                done = (Done)speechEvent;
            else if (!(speechEvent is Started))
                otherEvents.Enqueue(speechEvent);
            if (reconnected != null && reconnected.Pts.HasValue)
            {
                timedEvents.DiscardFrom(reconnected.Pts.Value);
                mouth.RestartAt(reconnected.Pts.Value);
            }
        }

        private async Task PlayAsync(float[] samples)
        {
            int at = 0;
            while (at < samples.Length && !Ring.Finished)
            {
                at += Ring.Write(samples, at, samples.Length - at);
                // The audio thread notifies no other thread, so the free room is polled.
                if (at < samples.Length)
                    await Task.Delay(PollMs, stop.Token).ConfigureAwait(false);
            }
        }
    }
}
