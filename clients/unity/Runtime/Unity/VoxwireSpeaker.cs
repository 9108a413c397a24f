// A game object that speaks: connects, plays through its AudioSource, and raises events on the main thread.

using System;
using System.Threading.Tasks;
using UnityEngine;
using Voxwire.Playback;

namespace Voxwire.Unity
{
    /// <summary>
    /// `SayAsync` speaks, `InterruptAsync` stops; it speaks one utterance at a time. Events are raised on the main
    /// thread, when they are heard. Volume and spatial blend are those of the AudioSource.
    /// </summary>
    [RequireComponent(typeof(AudioSource))]
    [AddComponentMenu("Voxwire/Voxwire Speaker")]
    public sealed class VoxwireSpeaker : MonoBehaviour
    {
        [Tooltip("The URL of the server: ws, wss, http or https.")]
        public string url = "ws://127.0.0.1:8765";

        [Tooltip("An API key or a token; empty if the server requires none. Don't ship a key with a game: use tokens.")]
        public string apiKey = "";

        [Tooltip("A name of GET /v1/voices; empty: the server's default.")]
        public string voice = "";

        public event Action<Started> OnStart;
        public event Action<Clause> OnClause;
        public event Action<Mark> OnMark;
        public event Action<Word> OnWord;
        public event Action<Phoneme> OnPhoneme;
        public event Action<Viseme> OnViseme;
        public event Action OnDry;
        public event Action<Done> OnEnd;
        public event Action<Exception> OnError;

        private VoxwireClient client;
        private Task<VoxwireClient> connecting;
        private volatile VoxwireVoice speaking;
        private int outputRate;
        private double latencySeconds;
        private float[] mono = new float[0];
        private int requestCount;
        private bool destroyed;

        /// <summary>The utterance spoken last; null: none.</summary>
        public VoxwireVoice Current
        {
            get { return speaking; }
        }

        /// <summary>
        /// Speak; an utterance that is being spoken is cancelled. Completes when the request was sent, not when it was
        /// heard.
        /// </summary>
        /// <exception cref="VoxwireException">The server refused, or does not answer.</exception>
        public Task SayAsync(string text)
        {
            return SayAsync((on, options) => on.SpeakAsync(text, options));
        }

        /// <summary>
        /// Speak the context that `speak` opens on the client, such as a language model's pieces of text.
        /// </summary>
        /// <exception cref="VoxwireException">As above.</exception>
        public async Task SayAsync(Func<VoxwireClient, SpeakOptions, Task<SpeechContext>> speak)
        {
            int request = ++requestCount;
            Stop();
            VoxwireClient on = await ConnectAsync();
            var options = new SpeakOptions { Voice = voice.Length == 0 ? null : voice, Timings = Timings.All };
            SpeechContext context = await speak(on, options);
            // Another call came, or the object was destroyed, in the meantime.
            if (request != requestCount)
                context.Dispose();
            else
                Play(context);
        }

        /// <summary>Barge-in: silence at once. Returns what was heard; null if nothing was spoken.</summary>
        public async Task<Cancelled> InterruptAsync()
        {
            requestCount++;
            VoxwireVoice current = speaking;
            return current == null ? null : await current.InterruptAsync();
        }

        /// <summary>Fill `weights` with the fifteen weights of the mouth now; returns it.</summary>
        public float[] Mouth(float[] weights)
        {
            VoxwireVoice current = speaking;
            return current == null ? MouthTrack.Closed(weights) : current.Mouth(weights);
        }

        private async Task<VoxwireClient> ConnectAsync()
        {
            if (client != null && client.Lost == null)
                return client;
            if (connecting == null)
                connecting = VoxwireClient.ConnectAsync(url, new VoxwireClientOptions { ApiKey = apiKey });
            try
            {
                client = await connecting;
            }
            finally
            {
                connecting = null;
            }
            if (destroyed)
                client.Dispose();
            return client;
        }

        private void Play(SpeechContext context)
        {
            var next = new VoxwireVoice(context, new VoiceOptions { OutputLatencySeconds = latencySeconds });
            next.OnStart += each => Raise(OnStart, each);
            next.OnClause += each => Raise(OnClause, each);
            next.OnMark += each => Raise(OnMark, each);
            next.OnWord += each => Raise(OnWord, each);
            next.OnPhoneme += each => Raise(OnPhoneme, each);
            next.OnViseme += each => Raise(OnViseme, each);
            next.OnEnd += each => Raise(OnEnd, each);
            next.OnError += each => Raise(OnError, each);
            next.OnDry += () =>
            {
                if (OnDry != null)
                    OnDry();
            };
            Stop();
            speaking = next;
        }

        private void Stop()
        {
            VoxwireVoice previous = speaking;
            if (previous != null)
                previous.Dispose();
        }

        private static void Raise<T>(Action<T> listeners, T what)
        {
            if (listeners != null)
                listeners(what);
        }

        // -- called by Unity ------------------------------------------------------------------------------------------

        private void OnEnable()
        {
            ReadAudioFormat(false);
            AudioSettings.OnAudioConfigurationChanged += ReadAudioFormat;
            // The source plays a clip of ones, with which the voice is multiplied, so that its volume and position
            // apply to the voice.
            var ones = new float[outputRate];
            for (int i = 0; i < ones.Length; i++)
                ones[i] = 1;
            AudioClip clip = AudioClip.Create("voxwire", ones.Length, 1, outputRate, false);
            clip.SetData(ones, 0);
            AudioSource source = GetComponent<AudioSource>();
            source.clip = clip;
            source.loop = true;
            source.Play();
        }

        private void OnDisable()
        {
            AudioSettings.OnAudioConfigurationChanged -= ReadAudioFormat;
            Stop();
        }

        private void OnDestroy()
        {
            requestCount++;
            destroyed = true;
            if (client != null)
                client.Dispose();
        }

        private void Update()
        {
            VoxwireVoice current = speaking;
            if (current != null)
                current.Update();
        }

        /// <summary>Called on the audio thread, where Unity's API must not be used.</summary>
        private void OnAudioFilterRead(float[] data, int channels)
        {
            int frames = data.Length / channels;
            // Allocates only when the size of the sound card's buffer changes.
            if (mono.Length != frames)
                mono = new float[frames];
            VoxwireVoice current = speaking;
            if (current == null)
                Array.Clear(mono, 0, frames);
            else
                current.Read(mono, 1, outputRate);
            for (int i = 0; i < data.Length; i++)
                data[i] *= mono[i / channels];
        }

        private void ReadAudioFormat(bool deviceWasChanged)
        {
            int length, count;
            AudioSettings.GetDSPBufferSize(out length, out count);
            outputRate = AudioSettings.outputSampleRate;
            // One buffer is being filled; the others wait to be played.
            latencySeconds = (double)length * Math.Max(0, count - 1) / outputRate;
        }
    }
}
