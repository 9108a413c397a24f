// What came of one context, across all sessions that spoke it, and what its listener has heard of it.

using System;
using System.Collections.Generic;
using Voxwire.Protocol;

namespace Voxwire.Speech
{
    /// <summary>
    /// Numbers and clocks are the caller's; what the server says is moved behind the seam first. Everything is called
    /// under the gate.
    /// </summary>
    internal sealed class Hearing
    {
        internal readonly Inbox Inbox = new Inbox();
        internal readonly Transcript Transcript = new Transcript();
        internal Started Started;
        internal Done Done;
        internal Cancelled Cancelled;

        /// <summary>Where the listener was when the speech was cancelled; null: nobody knows.</summary>
        internal long? CancelledPts;

        /// <summary>What a player said it has played; null: nobody said anything.</summary>
        internal long? PlayedPts;

        private readonly string context;
        private Seam seam;
        private long receivedSeq = -1;
        private long receivedPts;
        private long wholePts;
        private long ackedSeq = -1;
        private long? ackedPts;

        internal Hearing(string context)
        {
            this.context = context;
        }

        // -- what comes -----------------------------------------------------------------------------------------------

        /// <summary>The context is open; told once, unless a fresh session speaks it otherwise.</summary>
        internal void Start(Started message)
        {
            Started known = Started;
            Started = message;
            if (known == null || !known.Audio.SameAs(message.Audio))
                Inbox.Put(message);
        }

        /// <summary>An audio frame came; false for one that had come before.</summary>
        internal bool Take(WireFrame frame)
        {
            AudioFormat format = Started.Audio;
            long seq = frame.Seq + seam.Seq;
            if (seq <= receivedSeq)
                return false;
            var audio = new AudioFrame
            {
                Context = context,
                Payload = frame.Payload,
                Pts = frame.Pts + seam.Pts,
                Seq = seq,
                First = (frame.Flags & 1) != 0,
                Last = (frame.Flags & 2) != 0,
                Replayed = (frame.Flags & 4) != 0,
                Codec = format.Codec,
                SampleRate = format.SampleRate,
                FrameSamples = format.FrameSamples,
            };
            receivedSeq = seq;
            receivedPts = Math.Max(receivedPts, audio.EndPts);
            if (audio.Last)
                wholePts = audio.EndPts;
            Inbox.Put(audio);
            return true;
        }

        internal void Note(Clause clause)
        {
            seam.Shift(clause);
            Transcript.Add(clause);
        }

        internal void Note(Timing timing)
        {
            seam.Shift(timing);
            Transcript.Add(timing);
        }

        internal void Note(Flushed flushed)
        {
            seam.Shift(flushed);
        }

        /// <summary>The server says what was heard; it knows nothing of what came before the seam.</summary>
        internal void Cancel(Cancelled message)
        {
            if (Cancelled != null)
                return;
            bool known = !CancelledPts.HasValue || CancelledPts.Value >= seam.Pts;
            Cancelled = known ? Spanning(message) : Report(CancelledPts.Value);
            Inbox.Put(Cancelled);
        }

        private Cancelled Spanning(Cancelled message)
        {
            if (seam.IsStart)
                return message;
            string text = Transcript.Text;
            long chars = seam.Chars + message.HeardChars;
            return new Cancelled
            {
                Context = context,
                SentSeq = message.SentSeq.HasValue ? seam.Seq + message.SentSeq.Value : seam.Seq - 1,
                HeardPts = seam.Pts + message.HeardPts,
                HeardChars = chars,
                HeardText = CodePoints.Slice(text, 0, chars),
                HeardWord = message.HeardWord,
                UnheardChars = Transcript.Chars - chars,
                UnheardText = CodePoints.From(text, chars),
            };
        }

        /// <summary>Nothing more comes; `error` is why, if the speech failed.</summary>
        internal void Finish(Done done, Exception error, bool shift)
        {
            if (shift)
                seam.Shift(done);
            Done = done;
            if (error == null)
                Inbox.Put(done);
            Inbox.Close(error);
        }

        // -- what is worked out here ----------------------------------------------------------------------------------

        /// <summary>What was heard up to `pts`, as far as can be known here.</summary>
        internal Cancelled Report(long pts)
        {
            long? end = Done == null ? null : (long?)Done.Samples;
            Cancelled report = Transcript.Heard(Math.Min(pts, receivedPts), end);
            report.Context = context;
            report.SentSeq = receivedSeq >= 0 ? (long?)receivedSeq : null;
            return report;
        }

        /// <summary>End with what was received, as the server's own end will not come, or comes too late.</summary>
        internal void FinishHere(string reason)
        {
            var done = new Done
            {
                Context = context,
                Reason = reason,
                Frames = receivedSeq + 1,
                Samples = receivedPts,
                Chars = Transcript.Chars,
            };
            Finish(done, null, false);
        }

        /// <summary>Answer a cancel in the server's place. Without effect when it is answered, or over.</summary>
        internal void ReportHere()
        {
            if (Cancelled != null || Done != null)
                return;
            Cancelled = Report(CancelledPts ?? 0);
            Inbox.Put(Cancelled);
            FinishHere("cancelled");
        }

        // -- over sessions --------------------------------------------------------------------------------------------

        /// <summary>A place of the caller's on the clock of the session that speaks now.</summary>
        internal long? There(long? pts)
        {
            return pts.HasValue ? (long?)Math.Max(0, Math.Min(pts.Value, receivedPts) - seam.Pts) : null;
        }

        /// <summary>The newest frame of the session that speaks now, by its own number; null: none came.</summary>
        internal long? ReceivedThere
        {
            get { return receivedSeq >= seam.Seq ? (long?)(receivedSeq - seam.Seq) : null; }
        }

        /// <summary>What to tell the server of audio received and played; null when it knows.</summary>
        internal byte[] Acknowledgement()
        {
            long? played = There(PlayedPts);
            if (!ReceivedThere.HasValue || (ReceivedThere.Value == ackedSeq && played == ackedPts))
                return null;
            ackedSeq = ReceivedThere.Value;
            ackedPts = played;
            return ClientMessages.Ack(context, ackedSeq, played);
        }

        /// <summary>Another session goes on, where this says: its pts and its first character.</summary>
        internal Reconnected BeginAnew()
        {
            long chars = Transcript.FirstUnheard(receivedPts, wholePts);
            Transcript.Cut(receivedPts, chars);
            seam = new Seam(receivedSeq + 1, receivedPts, chars);
            ackedSeq = -1;
            ackedPts = null;
            return new Reconnected { Context = context, Pts = receivedPts, Chars = chars };
        }

        /// <summary>Flushes whose audio has come, but not their answer.</summary>
        internal void Answer(IEnumerable<string> flushIds)
        {
            foreach (string id in flushIds)
                Inbox.Put(new Flushed { Context = context, Id = id, Seq = receivedSeq });
        }

        /// <summary>Whether nothing is left to hear of the text from a character on, and something was heard.</summary>
        internal bool HeardAll(long chars)
        {
            return receivedSeq >= 0 && CodePoints.IsBlank(CodePoints.From(Transcript.Text, chars), 0);
        }
    }
}
