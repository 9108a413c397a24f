// Plays speech of a server on a clock that the test advances, and on stubs of Unity's objects.

using System;
using System.Collections.Generic;
using System.IO;
using System.Security.Cryptography;
using System.Threading.Tasks;
using UnityEngine;
using Voxwire.Playback;
using Voxwire.Unity;

namespace Voxwire.Tests
{
    internal static class PlayScenarios
    {
        private const int BlockFrames = 512;
        private const int Channels = 2;

        /// <summary>
        /// Records the events of a voice, with HeardPts when they were raised and one game frame before.
        /// </summary>
        private sealed class Stage
        {
            internal readonly List<object> Events = new List<object>();
            internal readonly MemoryStream Samples = new MemoryStream();
            internal readonly VoxwireVoice Voice;
            internal bool Over;
            internal int Mouths;
            private readonly int rate;
            private readonly float[] data = new float[BlockFrames * Channels];
            private readonly float[] mouth = new float[MouthTrack.Channels];
            private double now;
            private long before;

            internal Stage(SpeechContext context, int rate)
            {
                this.rate = rate;
                Voice = new VoxwireVoice(context, new VoiceOptions { Clock = () => now });
                Voice.OnStart += each => Note("start", 0, each.Voice);
                Voice.OnClause += each => Note("clause", each.Pts, "");
                Voice.OnWord += each => Note("word", each.Pts, each.Text);
                Voice.OnPhoneme += each => Note("phoneme", each.Pts, each.Ipa);
                Voice.OnViseme += each => Note("viseme", each.Pts, VisemeShapes.Names[each.Id]);
                Voice.OnEvent += each => Note("event", 0, each.GetType().Name);
                Voice.OnEnd += each => End(each.Reason);
                Voice.OnError += each => End(each.Message);
            }

            private void Note(string kind, long pts, string what)
            {
                Events.Add(new List<object> { kind, what, pts, before, Voice.HeardPts });
            }

            private void End(string why)
            {
                Note("end", 0, why);
                Over = true;
            }

            /// <summary>
            /// Play one block of the sound card and one game frame; pause briefly where there was no audio.
            /// </summary>
            internal async Task StepAsync()
            {
                long played = Voice.PlayedPts;
                Voice.Read(data, Channels, rate);
                int count = (int)(Voice.PlayedPts - played);
                if (rate == Rate)
                    Keep(count);
                now += (double)BlockFrames / rate;
                before = Voice.HeardPts;
                Voice.Update();
                Mouths += Voice.Mouth(mouth)[0] < 0.5f ? 1 : 0;
                if (count == 0)
                    await Task.Delay(1);
            }

            private void Keep(int count)
            {
                for (int i = 0; i < count; i++)
                {
                    short sample = (short)Math.Round(data[i * Channels] * 32768);
                    Samples.WriteByte((byte)sample);
                    Samples.WriteByte((byte)(sample >> 8));
                }
            }

            private int Rate
            {
                get { return Voice.Context.Started == null ? 0 : Voice.Context.Started.Audio.SampleRate; }
            }

            internal bool MouthIsClosed
            {
                get { return Voice.Mouth(mouth)[0] == 1; }
            }
        }

        internal static async Task<Dictionary<string, object>> PlayAsync(Wish wish)
        {
            VoxwireClient client = await wish.ConnectAsync();
            var stage = new Stage(await client.SpeakAsync(wish.Text, wish.Options()), (int)wish.Number("rate"));
            while (!stage.Over)
                await stage.StepAsync();
            await client.CloseAsync();
            string pcm = BitConverter.ToString(new SHA256Managed().ComputeHash(stage.Samples.ToArray()));
            return new Dictionary<string, object>
            {
                { "events", stage.Events },
                { "pcm", pcm.Replace("-", "").ToLowerInvariant() },
                { "played", stage.Voice.PlayedPts },
                { "heard", stage.Voice.HeardPts },
                { "frames with an open mouth", (long)stage.Mouths },
                { "closed at the end", stage.MouthIsClosed },
            };
        }

        /// <summary>Barge in once HeardPts has reached a pts.</summary>
        internal static async Task<Dictionary<string, object>> InterruptAsync(Wish wish)
        {
            VoxwireClient client = await wish.ConnectAsync();
            var stage = new Stage(await client.SpeakAsync(wish.Text, wish.Options()), (int)wish.Number("rate"));
            while (stage.Voice.HeardPts < wish.Number("until_pts"))
                await stage.StepAsync();
            Task<Cancelled> interrupting = stage.Voice.InterruptAsync();
            long heard = stage.Voice.HeardPts;
            bool closed = stage.MouthIsClosed;
            int raised = stage.Events.Count;
            Cancelled report = await interrupting;
            while (!stage.Over)
                await stage.StepAsync();
            await client.CloseAsync();
            return new Dictionary<string, object>
            {
                { "heard_pts", report.HeardPts },
                { "voice's", heard },
                { "heard", report.HeardText },
                { "unheard", report.UnheardText },
                { "closed at once", closed },
                { "raised after", stage.Events.GetRange(raised, stage.Events.Count - raised) },
            };
        }

        /// <summary>
        /// A stubbed game object speaks in real time; records the greatest weights of closed lips and open jaw.
        /// </summary>
        internal static async Task<Dictionary<string, object>> FaceAsync(Wish wish)
        {
            var head = new GameObject();
            head.AddComponent<AudioSource>();
            VoxwireSpeaker speaker = head.AddComponent<VoxwireSpeaker>();
            SkinnedMeshRenderer face = Face(head, speaker);
            speaker.url = wish.Map("url");
            var words = new List<object>();
            string end = null;
            speaker.OnWord += each => words.Add(each.Text);
            speaker.OnEnd += each => end = each.Reason;
            speaker.OnError += each => end = each.Message;
            Call(head.Get<VoxwireLipSync>(), "Start");
            Call(speaker, "OnEnable");
            await speaker.SayAsync(wish.Text);
            var data = new float[1024 * Channels];
            float loudest = 0, lips = 0, jaw = 0;
            while (end == null)
            {
                await Task.Delay(5);
                for (int i = 0; i < data.Length; i++)
                    data[i] = head.Get<AudioSource>().clip.samples[i];
                Call(speaker, "OnAudioFilterRead", data, Channels);
                foreach (float each in data)
                    loudest = Math.Max(loudest, Math.Abs(each));
                Call(speaker, "Update");
                Call(head.Get<VoxwireLipSync>(), "LateUpdate");
                lips = Math.Max(lips, face.weights[0]);
                jaw = Math.Max(jaw, face.weights[1]);
            }
            Call(head.Get<VoxwireLipSync>(), "LateUpdate");
            float after = face.weights[1];
            Call(speaker, "OnDisable");
            Call(speaker, "OnDestroy");
            return new Dictionary<string, object>
            {
                { "words", words }, { "end", end }, { "loudest", loudest }, { "lips", lips }, { "jaw", jaw }, { "after", after },
            };
        }

        private static SkinnedMeshRenderer Face(GameObject head, VoxwireSpeaker speaker)
        {
            SkinnedMeshRenderer face = head.AddComponent<SkinnedMeshRenderer>();
            face.sharedMesh = new Mesh { names = new[] { "viseme_PP", "viseme_aa" } };
            VoxwireLipSync sync = head.AddComponent<VoxwireLipSync>();
            sync.face = face;
            sync.speaker = speaker;
            return face;
        }

        private static void Call(object component, string name, params object[] arguments)
        {
            var flags = System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance;
            component.GetType().GetMethod(name, flags).Invoke(component, arguments);
        }
    }
}
