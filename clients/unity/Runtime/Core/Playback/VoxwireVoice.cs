// Plays one context: from its events to samples for the sound card, and to events at the moment they are heard.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Audio;

namespace Voxwire.Playback
{
    /// <summary>How to play.</summary>
    public sealed class VoiceOptions
    {
        /// <summary>How much later than it is taken a sample is heard.</summary>
        public double OutputLatencySeconds { get; set; }

        /// <summary>How much has to be there before it plays.</summary>
        public int PrebufferMs { get; set; } = 40;

        /// <summary>How much is kept beyond what is played; more waits in the context, and then at the server.</summary>
        public double BufferSeconds { get; set; } = 10;

        /// <summary>Seconds of a monotonic clock that may be read on any thread; null: the machine's own.</summary>
        public Func<double> Clock { get; set; }
    }

    /// <summary>
    /// Takes all events of a context. `Read` is for the audio thread; `Update` for the thread that wants the events, which are
    /// raised in it; everything else for that thread too.
    /// </summary>
    public sealed class VoxwireVoice : IDisposable
    {
        private const int FullMs = 10;
        private static readonly Stopwatch Machine = Stopwatch.StartNew();

        /// <summary>The first sound was given out.</summary>
        public event Action<Started> OnStart;
        public event Action<Clause> OnClause;
        public event Action<Word> OnWord;
        public event Action<Phoneme> OnPhoneme;
        public event Action<Viseme> OnViseme;

        /// <summary>The listener ran dry though more is to come.</summary>
        public event Action OnDry;

        /// <summary>Whatever else came, when it came: Flushed, Warning, Interrupted, Reconnected, Cancelled.</summary>
        public event Action<SpeechEvent> OnEvent;

        /// <summary>All was heard, or it was cancelled.</summary>
        public event Action<Done> OnEnd;

        /// <summary>The speech failed; what was ready before is heard first.</summary>
        public event Action<Exception> OnError;

        public readonly SpeechContext Context;

        private readonly VoiceOptions options;
        private readonly Func<double> clock;
        private readonly object gate = new object();
        private readonly CueSheet cues = new CueSheet();
        private readonly MouthTrack mouth = new MouthTrack();
        private readonly Queue<SpeechEvent> others = new Queue<SpeechEvent>();
        private readonly CancellationTokenSource stop = new CancellationTokenSource();
        private AudioRing ring;
        private HeardClock heard;
        private Done done;
        private Exception error;
        private bool drained;
        private bool startTold;
        private bool endTold;
        private bool interrupted;
        private bool held;
        private int dryTold;
        private long reached;

        public VoxwireVoice(SpeechContext context, VoiceOptions options = null)
        {
            Context = context;
            this.options = options ?? new VoiceOptions();
            clock = this.options.Clock ?? (() => Machine.Elapsed.TotalSeconds);
            Task.Run(() => PumpAsync());
        }

        /// <summary>The first sample that was not heard yet. Exact, less the output's latency.</summary>
        public long HeardPts
        {
            get { return reached; }
        }

        /// <summary>Samples that were given out; 0 before the context has started.</summary>
        public long PlayedPts
        {
            get { return Ring == null ? 0 : Ring.PlayedPts; }
        }

        /// <summary>How much has come beyond what was given out.</summary>
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
            get { return endTold; }
        }

        private AudioRing Ring
        {
            get { return Volatile.Read(ref ring); }
        }

        // -- the audio thread -----------------------------------------------------------------------------------------

        /// <summary>Fill `data`, interleaved, at `outputRate`; silence where there is nothing. Takes no lock.</summary>
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
                heard.Mark(before, after, clock());
        }

        // -- the thread that wants the events -------------------------------------------------------------------------

        /// <summary>Raise the events of what has been heard since the last time. Once a game frame is good.</summary>
        public void Update()
        {
            if (Ring != null && !interrupted && heard.At(clock()) > reached)
            {
                reached = heard.At(clock());
                Context.Played(reached);
            }
            if (reached > 0 && !startTold)
            {
                startTold = true;
                Raise(OnStart, Context.Started);
            }
            lock (gate)
                mouth.ForgetBefore(reached);
            object cue;
            while ((cue = NextCue()) != null)
                Tell(cue);
            SpeechEvent other;
            while ((other = NextOther()) != null)
                Raise(OnEvent, other);
            if (Underruns > dryTold && !interrupted)
            {
                dryTold = Underruns;
                if (OnDry != null)
                    OnDry();
            }
            TellEnd();
        }

        /// <summary>The weights of fifteen mouth shapes now, into `weights`; closed while nothing is heard. Returns it.</summary>
        public float[] Mouth(float[] weights)
        {
            lock (gate)
            {
                bool silent = Ring == null || interrupted || held || (!Ring.Playing && reached >= Ring.PlayedPts);
                return silent ? MouthTrack.Closed(weights) : mouth.Weights(reached, weights);
            }
        }

        /// <summary>Barge-in: fade out at once, and tell the server what was heard. Raises no event of speech any more.</summary>
        public Task<Cancelled> InterruptAsync(CancellationToken cancel = default(CancellationToken))
        {
            if (Ring != null && !interrupted)
            {
                reached = Math.Max(reached, heard.At(clock()));
                Ring.Interrupt();
            }
            lock (gate)
            {
                interrupted = true;
                cues.Forget(0);
            }
            return Context.InterruptAsync(reached, cancel);
        }

        /// <summary>Pause, and ask the server to: for an interruption that may be a false one.</summary>
        public void Hold()
        {
            lock (gate)
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
            lock (gate)
            {
                held = false;
                if (Ring != null)
                    Ring.Resume();
            }
            Context.Release();
        }

        /// <summary>Cancel without waiting for what was heard.</summary>
        public void Dispose()
        {
            if (Ring != null)
                Ring.Interrupt();
            stop.Cancel();
            Context.Dispose();
        }

        private object NextCue()
        {
            // What stands at the very end of the audio is told with its last sample.
            long before = Ring != null && Ring.Finished && reached >= Ring.PlayedPts ? long.MaxValue : reached;
            lock (gate)
                return interrupted ? null : cues.Take(before);
        }

        private SpeechEvent NextOther()
        {
            lock (gate)
                return others.Count == 0 ? null : others.Dequeue();
        }

        private void Tell(object cue)
        {
            if (cue is Viseme)
                Raise(OnViseme, (Viseme)cue);
            else if (cue is Word)
                Raise(OnWord, (Word)cue);
            else if (cue is Phoneme)
                Raise(OnPhoneme, (Phoneme)cue);
            else
                Raise(OnClause, (Clause)cue);
        }

        private void TellEnd()
        {
            bool over;
            lock (gate)
                over = drained && !endTold && cues.Count == 0;
            // Nobody hears the rest of what was interrupted; of an empty one there is nothing to hear.
            bool quiet = Ring == null || interrupted || (Ring.Finished && reached >= Ring.PlayedPts);
            if (!over || !quiet)
                return;
            endTold = true;
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

        // -- what comes -----------------------------------------------------------------------------------------------

        private async Task PumpAsync()
        {
            Exception failed = null;
            try
            {
                SpeechEvent happened = await Context.ReadAsync(stop.Token).ConfigureAwait(false);
                while (happened != null)
                {
                    await TakeAsync(happened).ConfigureAwait(false);
                    happened = await Context.ReadAsync(stop.Token).ConfigureAwait(false);
                }
            }
            catch (Exception raised)
            {
                failed = raised;
            }
            if (Ring != null)
                Ring.End();
            lock (gate)
            {
                error = failed;
                drained = true;
            }
        }

        private async Task TakeAsync(SpeechEvent happened)
        {
            var frame = happened as AudioFrame;
            if (frame != null)
            {
                await PlayAsync(PcmDecoder.Decode(frame.Codec, frame.Payload)).ConfigureAwait(false);
                return;
            }
            var started = happened as Started;
            if (started != null)
                Start(started.Audio);
            lock (gate)
                Note(happened);
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
            heard = new HeardClock(format.SampleRate, options.OutputLatencySeconds);
            var fresh = new AudioRing(format.SampleRate, options.BufferSeconds, options.PrebufferMs);
            lock (gate)
            {
                if (held)
                    fresh.Pause();
                Volatile.Write(ref ring, fresh);
            }
        }

        private void Note(SpeechEvent happened)
        {
            var timing = happened as Timing;
            var back = happened as Reconnected;
            if (timing != null)
            {
                cues.Add(timing);
                mouth.Add(timing.Visemes);
            }
            else if (happened is Clause)
                cues.Add((Clause)happened);
            else if (happened is Done)
                done = (Done)happened;
            else if (!(happened is Started))
                others.Enqueue(happened);
            if (back != null && back.Pts.HasValue)
            {
                cues.Forget(back.Pts.Value);
                mouth.BeginAnew(back.Pts.Value);
            }
        }

        private async Task PlayAsync(float[] samples)
        {
            int at = 0;
            while (at < samples.Length && !Ring.Finished)
            {
                at += Ring.Write(samples, at, samples.Length - at);
                // The audio thread wakes nobody; what it has taken is looked for.
                if (at < samples.Length)
                    await Task.Delay(FullMs, stop.Token).ConfigureAwait(false);
            }
        }
    }
}
