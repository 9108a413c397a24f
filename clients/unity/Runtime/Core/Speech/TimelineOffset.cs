// Where a session begins within a context that earlier sessions spoke in part, so that numbers and times go on. Pure.

using System.Collections.Generic;

namespace Voxwire.Speech
{
    /// <summary>
    /// What is added to the numbers of the current session: how many frames, samples and characters (code points) of
    /// the context came before it.
    /// </summary>
    internal struct TimelineOffset
    {
        internal readonly long Seq;
        internal readonly long Pts;
        internal readonly long Chars;

        internal TimelineOffset(long seq, long pts, long chars)
        {
            Seq = seq;
            Pts = pts;
            Chars = chars;
        }

        internal bool IsZero
        {
            get { return Seq == 0 && Pts == 0 && Chars == 0; }
        }

        internal void Shift(Clause clause)
        {
            clause.Chars = Range(clause.Chars);
            clause.Pts += Pts;
        }

        internal void Shift(Mark mark)
        {
            mark.Pts += Pts;
        }

        internal void Shift(Timing timing)
        {
            foreach (Word word in timing.Words)
            {
                word.Chars = Range(word.Chars);
                word.Pts += Pts;
                word.EndPts += Pts;
            }
            foreach (Phoneme phoneme in timing.Phonemes)
            {
                phoneme.Pts += Pts;
                phoneme.EndPts += Pts;
            }
            IList<Viseme> visemes = timing.Visemes;
            for (int i = 0; i < visemes.Count; i++)
                visemes[i] = new Viseme(visemes[i].Id, visemes[i].Weight, visemes[i].Pts + Pts);
        }

        internal void Shift(Flushed flushed)
        {
            long seq = flushed.Seq.HasValue ? flushed.Seq.Value + Seq : Seq - 1;
            flushed.Seq = seq >= 0 ? (long?)seq : null;
        }

        internal void Shift(Done done)
        {
            // The rest may have been an emoji alone; the context as a whole was speakable.
            if (done.Reason == "no_speakable_text" && Seq > 0)
                done.Reason = "completed";
            done.Frames += Seq;
            done.Samples += Pts;
            done.Chars += Chars;
        }

        private CharRange Range(CharRange chars)
        {
            return new CharRange(chars.Start + Chars, chars.End + Chars);
        }
    }
}
