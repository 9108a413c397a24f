// The audio, timings and end of one context, over all sessions that speak it; works out what its listener has heard.

using System;
using System.Collections.Generic;
using Voxwire.Protocol;

namespace Voxwire.Speech
{
    /// <summary>
    /// `Seq`, `Pts` and `Chars` count from the beginning of the context; numbers of the server, which count from the
    /// beginning of its session, are shifted by the offset of that session. Used with the client's lock held.
    /// </summary>
    internal sealed class AudioReceiver
    {
        internal readonly EventQueue Events = new EventQueue();
        internal readonly Transcript Transcript = new Transcript();
        internal Started Started;
        internal Done Done;
        internal Cancelled Cancelled;

        /// <summary>
        /// The `played_pts` with which the context was cancelled; null: it was not, or none was given.
        /// </summary>
        internal long? CancelledPts;

        /// <summary>Up to where a player has played; null: no player reports it.</summary>
        internal long? PlayedPts;

        private readonly string context;
        private TimelineOffset offset;
        private long receivedSeq = -1;
        private long receivedPts;

        /// <summary>The end of the newest frame marked `last`: the text flushed before it was received whole.</summary>
        private long completePts;
        private long ackedSeq = -1;
        private long? ackedPts;

        internal AudioReceiver(string context)
        {
            this.context = context;
        }

        // -- messages from the server ---------------------------------------------------------------------------------

        /// <summary>
        /// A session has started the context. An event follows for the first one, and where the audio format changes.
        /// </summary>
        internal void OnStarted(Started message)
        {
            Started known = Started;
            Started = message;
            if (known == null || !known.Audio.SameAs(message.Audio))
                Events.Put(message);
        }

        /// <summary>Take an audio frame; false: it was received before, and is ignored.</summary>
        internal bool OnFrame(WireFrame frame)
        {
            AudioFormat format = Started.Audio;
            long seq = frame.Seq + offset.Seq;
            if (seq <= receivedSeq)
                return false;
            var audio = new AudioFrame
            {
                Context = context,
                Payload = frame.Payload,
                Pts = frame.Pts + offset.Pts,
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
                completePts = audio.EndPts;
            Events.Put(audio);
            return true;
        }

        internal void OnClause(Clause clause)
        {
            offset.Shift(clause);
            Transcript.Add(clause);
        }

        internal void OnMark(Mark mark)
        {
            offset.Shift(mark);
        }

        internal void OnTiming(Timing timing)
        {
            offset.Shift(timing);
            Transcript.Add(timing);
        }

        internal void OnFlushed(Flushed flushed)
        {
            offset.Shift(flushed);
        }

        /// <summary>
        /// The server's report of what was heard, which covers its own session only. A second one is ignored.
        /// </summary>
        internal void OnCancelled(Cancelled message)
        {
            if (Cancelled != null)
                return;
            bool inSession = !CancelledPts.HasValue || CancelledPts.Value >= offset.Pts;
            Cancelled = inSession ? WholeReport(message) : Report(CancelledPts.Value);
            Events.Put(Cancelled);
        }

        /// <summary>A report about the current session, as one about the whole context.</summary>
        private Cancelled WholeReport(Cancelled message)
        {
            if (offset.IsZero)
                return message;
            string text = Transcript.Text;
            long chars = offset.Chars + message.HeardChars;
            return new Cancelled
            {
                Context = context,
                SentSeq = message.SentSeq.HasValue ? offset.Seq + message.SentSeq.Value : offset.Seq - 1,
                HeardPts = offset.Pts + message.HeardPts,
                HeardChars = chars,
                HeardText = CodePoints.Slice(text, 0, chars),
                HeardWord = message.HeardWord,
                UnheardChars = Transcript.Chars - chars,
                UnheardText = CodePoints.From(text, chars),
            };
        }

        /// <summary>The server's `done`; `error` is why the speech failed, null: it did not.</summary>
        internal void OnDone(Done message, Exception error)
        {
            offset.Shift(message);
            Finish(message, error);
        }

        private void Finish(Done done, Exception error)
        {
            Done = done;
            if (error == null)
                Events.Put(done);
            Events.Close(error);
        }

        // -- without the server ---------------------------------------------------------------------------------------

        /// <summary>What was heard up to `pts`, worked out from the timings received.</summary>
        internal Cancelled Report(long pts)
        {
            long? end = Done == null ? null : (long?)Done.Samples;
            Cancelled report = Transcript.Heard(Math.Min(pts, receivedPts), end);
            report.Context = context;
            report.SentSeq = receivedSeq >= 0 ? (long?)receivedSeq : null;
            return report;
        }

        /// <summary>End with the audio received, where the server's `done` will not come, or comes too late.</summary>
        internal void FinishLocally(string reason)
        {
            Finish(new Done
            {
                Context = context,
                Reason = reason,
                Frames = receivedSeq + 1,
                Samples = receivedPts,
                Chars = Transcript.Chars,
            }, null);
        }

        /// <summary>
        /// Answer a cancel in place of the server. Without effect if it was answered, or the context has ended.
        /// </summary>
        internal void ReportLocally()
        {
            if (Cancelled != null || Done != null)
                return;
            Cancelled = Report(CancelledPts ?? 0);
            Events.Put(Cancelled);
            FinishLocally("cancelled");
        }

        /// <summary>Put events for flushes whose audio was received, but not their answer.</summary>
        internal void PutFlushed(IEnumerable<string> flushIds)
        {
            foreach (string id in flushIds)
                Events.Put(new Flushed { Context = context, Id = id, Seq = receivedSeq });
        }

        /// <summary>Whether audio was received, and only spaces are left of the text from a character on.</summary>
        internal bool ReceivedAll(long fromChar)
        {
            return receivedSeq >= 0 && CodePoints.From(Transcript.Text, fromChar).Trim().Length == 0;
        }

        // -- the current session --------------------------------------------------------------------------------------

        /// <summary>A pts of the context, as one of the current session; not beyond the audio received.</summary>
        internal long? ToSessionPts(long? pts)
        {
            return pts.HasValue ? (long?)Math.Max(0, Math.Min(pts.Value, receivedPts) - offset.Pts) : null;
        }

        /// <summary>The newest frame of the current session, by the session's numbers; null: none came.</summary>
        internal long? ReceivedSessionSeq
        {
            get { return receivedSeq >= offset.Seq ? (long?)(receivedSeq - offset.Seq) : null; }
        }

        /// <summary>The next `ack`; null: no frame came, or nothing has changed since the last one.</summary>
        internal byte[] NextAck()
        {
            long? played = ToSessionPts(PlayedPts);
            if (!ReceivedSessionSeq.HasValue || (ReceivedSessionSeq.Value == ackedSeq && played == ackedPts))
                return null;
            ackedSeq = ReceivedSessionSeq.Value;
            ackedPts = played;
            return ClientMessages.Ack(context, ackedSeq, played);
        }

        /// <summary>Another session goes on; the result says from which pts and character.</summary>
        internal Reconnected Restart()
        {
            long chars = Transcript.FirstUnheard(receivedPts, completePts);
            Transcript.Cut(receivedPts, chars);
            offset = new TimelineOffset(receivedSeq + 1, receivedPts, chars);
            ackedSeq = -1;
            ackedPts = null;
            return new Reconnected { Context = context, Pts = receivedPts, Chars = chars };
        }
    }
}
