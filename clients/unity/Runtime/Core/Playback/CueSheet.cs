// What is to be told when it is heard, in the order in which it is heard. Pure; not thread-safe.

using System.Collections.Generic;

namespace Voxwire.Playback
{
    /// <summary>
    /// Cues come in batches, and are taken when the playout has reached their pts; at one pts clauses come before words, words before
    /// phonemes, those before visemes, and equal ones in the order in which they came.
    /// </summary>
    public sealed class CueSheet
    {
        /// <summary>One of Clause, Word, Phoneme and Viseme.</summary>
        private struct Cue
        {
            internal long Pts;
            internal int Rank;
            internal object What;
        }

        private readonly List<Cue> cues = new List<Cue>();
        private int next;

        /// <summary>How many wait.</summary>
        public int Count
        {
            get { return cues.Count - next; }
        }

        public void Add(Clause clause)
        {
            Insert(clause.Pts, 0, clause);
        }

        public void Add(Timing timing)
        {
            foreach (Word each in timing.Words)
                Insert(each.Pts, 1, each);
            foreach (Phoneme each in timing.Phonemes)
                Insert(each.Pts, 2, each);
            foreach (Viseme each in timing.Visemes)
                Insert(each.Pts, 3, each);
        }

        /// <summary>The next cue before `heardPts`, the first sample not heard yet; null: there is none.</summary>
        public object Take(long heardPts)
        {
            if (next == cues.Count || cues[next].Pts >= heardPts)
                return null;
            object what = cues[next++].What;
            if (next > 256)
            {
                cues.RemoveRange(0, next);
                next = 0;
            }
            return what;
        }

        /// <summary>What was to be told at or after a pts is not.</summary>
        public void Forget(long fromPts)
        {
            int at = cues.FindIndex(next, each => each.Pts >= fromPts);
            if (at >= 0)
                cues.RemoveRange(at, cues.Count - at);
        }

        private void Insert(long pts, int rank, object what)
        {
            int at = cues.Count;
            while (at > next && (cues[at - 1].Pts > pts || (cues[at - 1].Pts == pts && cues[at - 1].Rank > rank)))
                at--;
            cues.Insert(at, new Cue { Pts = pts, Rank = rank, What = what });
        }
    }
}
