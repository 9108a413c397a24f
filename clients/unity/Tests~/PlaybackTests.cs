// Mouth tracks, timed events, the playout clock and transcripts, at times that the tests give.

using System;
using System.Collections.Generic;
using Voxwire.Json;
using Voxwire.Playback;
using Voxwire.Speech;

namespace Voxwire.Tests
{
    internal static class PlaybackTests
    {
        public static void MouthsAreShapedAsTheGoldenVectorsSay()
        {
            int count = 0;
            foreach (Dictionary<string, object> each in Units.Maps(Units.Vectors("visemes.json")))
            {
                var track = new MouthTrack();
                track.Add(Keyframes(each));
                foreach (Dictionary<string, object> sample in Units.Maps(each["samples"]))
                {
                    Check(track, sample, (string)each["name"]);
                    count++;
                }
            }
            Units.That(count > 10, "only " + count);
        }

        public static void WhatWasBeforeCanBeForgottenWhileItPlays()
        {
            foreach (Dictionary<string, object> each in Units.Maps(Units.Vectors("visemes.json")))
            {
                var track = new MouthTrack();
                track.Add(Keyframes(each));
                var samples = new List<Dictionary<string, object>>(Units.Maps(each["samples"]));
                samples.Sort((a, b) => ((long)a["pts"]).CompareTo((long)b["pts"]));
                foreach (Dictionary<string, object> sample in samples)
                {
                    track.ForgetBefore((long)sample["pts"]);
                    Check(track, sample, (string)each["name"]);
                }
            }
        }

        public static void KeyframesFromAPtsOnCanBeForgotten()
        {
            var track = new MouthTrack();
            track.Add(new[] { new Viseme(10, 0, 100), new Viseme(10, 1, 200), new Viseme(10, 0, 300), new Viseme(99, 1, 100) });
            track.Forget(300);
            Units.That(track.Weights(1000, new float[15])[10] == 1, "it stays");
            track.Forget(0);
            Units.That(track.Weights(1000, new float[15])[0] == 1, "closed");
        }

        public static void AFreshSessionBeginsWithAClosedMouth()
        {
            var track = new MouthTrack();
            track.Add(new[] { new Viseme(0, 1, 100), new Viseme(10, 0, 100), new Viseme(0, 0, 200), new Viseme(10, 1, 200) });
            track.RestartAt(150);
            Units.That(track.Weights(149, new float[15])[10] > 0.48f, "on its way until then");
            Units.That(track.Weights(150, new float[15])[0] == 1 && track.Weights(1000, new float[15])[10] == 0, "closed");
            track.Add(new[] { new Viseme(0, 1, 300), new Viseme(4, 0, 300), new Viseme(0, 0, 400), new Viseme(4, 1, 400) });
            float[] open = track.Weights(400, new float[15]);
            Units.That(open[4] == 1 && open[0] == 0 && open[10] == 0, "and nothing else is open");
        }

        private static List<Viseme> Keyframes(Dictionary<string, object> vector)
        {
            var keyframes = new List<Viseme>();
            foreach (Dictionary<string, object> each in Units.Maps(vector["visemes"]))
                keyframes.Add(new Viseme((int)(long)each["id"], Convert.ToSingle(each["weight"]), (long)each["pts"]));
            return keyframes;
        }

        private static void Check(MouthTrack track, Dictionary<string, object> sample, string name)
        {
            float[] found = track.Weights((long)sample["pts"], new float[MouthTrack.Channels]);
            var wanted = (List<object>)sample["weights"];
            for (int id = 0; id < MouthTrack.Channels; id++)
                Units.That(Math.Abs(found[id] - Convert.ToDouble(wanted[id])) < 1e-5, name + " at " + sample["pts"] + ": " + id + " is " + found[id]);
        }

        public static void TimedEventsAreTakenInTheOrderInWhichTheyAreHeard()
        {
            var events = new TimedEvents();
            events.Add(new Clause { Pts = 100 });
            events.Add(Timing(new[] { 100L, 300 }, new[] { 100L, 200, 300 }, new[] { 50L, 100, 250 }));
            events.Add(new Clause { Pts = 400 });
            events.Add(Timing(new[] { 400L }, new[] { 400L }, new[] { 350L }));
            Units.That(events.Take(50) == null, "nothing before it is heard");
            string order = "";
            for (long heard = 0; heard <= 401; heard++)
            {
                object next;
                while ((next = events.Take(heard)) != null)
                    order += heard + next.GetType().Name.Substring(0, 1) + " ";
            }
            Units.That(order == "51V 101C 101W 101P 101V 201P 251V 301W 301P 351V 401C 401W 401P ", order);
        }

        public static void TimedEventsOfAudioThatWillNotComeAreForgotten()
        {
            var events = new TimedEvents();
            events.Add(Timing(new[] { 100L, 300, 300, 500 }, new long[0], new long[0]));
            events.DiscardFrom(300);
            Units.That(events.Count == 1 && events.Take(1000) is Word && events.Take(1000) == null, "one is left");
            for (int i = 0; i < 2000; i++)
            {
                events.Add(new Clause { Pts = i });
                Units.That(((Clause)events.Take(i + 1)).Pts == i, "many");
            }
        }

        private static Timing Timing(long[] words, long[] phonemes, long[] visemes)
        {
            return new Timing
            {
                Words = Array.ConvertAll(words, pts => new Word { Text = "w", Pts = pts }),
                Phonemes = Array.ConvertAll(phonemes, pts => new Phoneme { Ipa = "p", Pts = pts }),
                Visemes = Array.ConvertAll(visemes, pts => new Viseme(1, 1, pts)),
            };
        }

        public static void WhatIsHeardRunsWithinABlockAndStandsAtItsEnd()
        {
            // Binary fractions, so that nothing is rounded.
            var clock = new PlayoutClock(1024, 0.0625);
            Units.That(clock.At(5) == 0, "nothing yet");
            clock.Mark(0, 128, 10);
            Units.That(clock.At(10.03125) == 0, "the latency");
            Units.That(clock.At(10.09375) == 32, "a part of it");
            clock.Mark(128, 256, 10.125);
            Units.That(clock.At(10.140625) == 80, "the block before still sounds");
            Units.That(clock.At(10.125) == 80, "never back");
            Units.That(clock.At(10.25) == 192 && clock.At(11) == 256 && clock.At(20) == 256, "dry");
            clock.Mark(256, 384, 30);
            Units.That(clock.At(30.03125) == 256 && clock.At(30.078125) == 272, "goes on");
        }

        public static void BlendShapesAreMixedByTheirShares()
        {
            var weights = new float[15];
            weights[10] = 0.5f;
            weights[1] = 0.5f;
            BlendShapeMap oculus = BlendShapeMap.Oculus();
            float[] blends = oculus.Apply(weights, new float[oculus.Names.Length]);
            Units.That(oculus.Names[1] == "viseme_PP" && blends[1] == 0.5f && blends[10] == 0.5f && blends[0] == 0, "Oculus");
            BlendShapeMap arkit = BlendShapeMap.Arkit();
            int jaw = Array.IndexOf(arkit.Names, "jawOpen");
            float open = 0;
            foreach (BlendWeight each in VisemeShapes.Arkit[10])
                open += each.Name == "jawOpen" ? each.Weight : 0;
            float[] face = arkit.Apply(weights, new float[arkit.Names.Length]);
            Units.That(open > 0 && Math.Abs(face[jaw] - open / 2) < 1e-6, "ARKit");
            Units.That(BlendShapeMap.Vrm().Names.Length == 5, "VRM");
        }
    }

    internal static class TextTests
    {
        private static Transcript Spoken()
        {
            var transcript = new Transcript();
            transcript.Append("One \U0001F389 two. Three four.");
            transcript.Add(new Clause { Chars = new CharRange(0, 11), Pts = 0 });
            transcript.Add(Words("One", 0, 3, 100, 200, "two", 6, 9, 250, 350));
            transcript.Add(new Clause { Chars = new CharRange(11, 22), Pts = 400 });
            transcript.Add(Words("Three", 11, 16, 450, 550, "four", 17, 21, 600, 700));
            return transcript;
        }

        private static Timing Words(params object[] fields)
        {
            var words = new List<Word>();
            for (int i = 0; i < fields.Length; i += 5)
            {
                words.Add(new Word
                {
                    Text = (string)fields[i],
                    Chars = new CharRange((int)fields[i + 1], (int)fields[i + 2]),
                    Pts = (int)fields[i + 3],
                    EndPts = (int)fields[i + 4],
                });
            }
            return new Timing { Words = words, Phonemes = new Phoneme[0], Visemes = new Viseme[0] };
        }

        public static void WhatWasHeardEndsWithTheLastWholeWord()
        {
            Transcript transcript = Spoken();
            CheckHeard(transcript, 0, "", null);
            CheckHeard(transcript, 150, "", "One");
            CheckHeard(transcript, 220, "One", null);
            CheckHeard(transcript, 300, "One", "two");
            CheckHeard(transcript, 399, "One \U0001F389 two", null);
            CheckHeard(transcript, 500, "One \U0001F389 two. ", "Three");
            CheckHeard(transcript, 800, "One \U0001F389 two. Three four.", null);
        }

        private static void CheckHeard(Transcript transcript, long pts, string text, string word)
        {
            Cancelled report = transcript.Heard(pts, 750);
            Units.That(report.HeardText == text && report.HeardWord == word, pts + ": '" + report.HeardText + "' " + report.HeardWord);
            Units.That(report.HeardText + report.UnheardText == transcript.Text, "together it is all");
            Units.That(report.HeardChars == CodePoints.Count(text) && report.HeardChars + report.UnheardChars == 22, "counted in code points");
        }

        public static void WhatIsSpokenAgainBeginsWithTheFirstBrokenWord()
        {
            Units.That(Spoken().FirstUnheard(0, 0) == 0, "all");
            Units.That(Spoken().FirstUnheard(300, 0) == 6, "the second word");
            Units.That(Spoken().FirstUnheard(400, 0) == 11, "the second clause");
            Units.That(Spoken().FirstUnheard(640, 0) == 17, "the last word");
            Units.That(Spoken().FirstUnheard(720, 0) == 22, "nothing but its full stop is left");
            Transcript transcript = Spoken();
            transcript.Cut(300, 6);
            Units.That(transcript.SpokenChars == 6 && transcript.Heard(300, null).HeardText == "One", "its timings are discarded");
        }

        public static void WordsWhoseTimingsDidNotComeAreSpokenAgain()
        {
            var transcript = new Transcript();
            transcript.Append("One. Two three.");
            transcript.Add(new Clause { Chars = new CharRange(0, 15), Pts = 0 });
            transcript.Add(Words("One", 0, 3, 100, 200));
            Units.That(transcript.FirstUnheard(250, 0) == 4, "from the second sentence on");
            transcript.Add(Words("Two", 5, 8, 300, 400, "three", 9, 14, 450, 550));
            Units.That(transcript.FirstUnheard(420, 0) == 9, "the last word");
        }

        public static void TruncatedTextCountsCodePoints()
        {
            Transcript transcript = Spoken();
            transcript.Truncate(5);
            Units.That(transcript.Text == "One \U0001F389" && transcript.Chars == 5, transcript.Text);
        }

        public static void AfterAnOffsetNumbersGoOn()
        {
            var offset = new TimelineOffset(10, 4800, 7);
            var clause = new Clause { Chars = new CharRange(0, 5), Pts = 3 };
            offset.Shift(clause);
            Units.That(clause.Pts == 4803 && clause.Chars.Start == 7 && clause.Chars.End == 12, "clause");
            var done = new Done { Reason = "no_speakable_text", Frames = 0, Samples = 0, Chars = 2 };
            offset.Shift(done);
            Units.That(done.Reason == "completed" && done.Frames == 10 && done.Samples == 4800 && done.Chars == 9, "done");
            var flushed = new Flushed();
            offset.Shift(flushed);
            Units.That(flushed.Seq == 9, "flushed");
        }

        public static void BackingOffGrowsAndIsNeverInStep()
        {
            var backoff = new Connection.Backoff(() => 1);
            double[] expected = { 50, 100, 200, 400, 800, 1600, 3200, 5000, 5000 };
            foreach (double ms in expected)
                Units.That(backoff.NextMs(null) == ms, "bound " + ms);
            Units.That(backoff.NextMs(2000) == 7000 && backoff.NextMs(1e9) == 65000, "asked");
            backoff.Succeeded();
            Units.That(backoff.NextMs(null) == 50, "again");
        }

        public static void UrlsAreCompletedOrRefused()
        {
            CheckUrl("ws://127.0.0.1:8765", "ws://127.0.0.1:8765/v1/stream");
            CheckUrl("https://speech.example/", "wss://speech.example/v1/stream");
            CheckUrl("http://h:1/base/v1/stream?x=1", "ws://h:1/base/v1/stream?x=1");
            foreach (string wrong in new[] { "", "nonsense", "ftp://h", "/path" })
                Units.Throws<ArgumentException>(() => Connection.Dialer.StreamOf(wrong), wrong);
        }

        private static void CheckUrl(string given, string stream)
        {
            string found = Connection.Dialer.StreamOf(given).AbsoluteUri;
            Units.That(found == stream, found);
        }
    }
}
