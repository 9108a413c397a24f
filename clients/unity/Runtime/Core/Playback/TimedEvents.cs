// The clauses, words, phonemes and visemes received, until playback reaches them. Pure; not thread-safe.

using System.Collections.Generic;

namespace Voxwire.Playback
{
    /// <summary>
    /// A queue sorted by pts. At one pts clauses come before marks, marks before words, words before phonemes and phonemes before visemes;
    /// events of one kind keep the order in which they were added.
    /// </summary>
    public sealed class TimedEvents
    {
        /// <summary>One of Clause, Mark, Word, Phoneme and Viseme.</summary>
        private struct TimedEvent
        {
            internal long Pts;
            internal int Rank;
            internal object Event;
        }

        private readonly List<TimedEvent> events = new List<TimedEvent>();
        private int next;

        /// <summary>How many were not taken yet.</summary>
        public int Count
        {
            get { return events.Count - next; }
        }

        public void Add(Clause clause)
        {
            Insert(clause.Pts, 0, clause);
        }

        public void Add(Mark mark)
        {
            Insert(mark.Pts, 1, mark);
        }

        public void Add(Timing timing)
        {
            foreach (Word each in timing.Words)
                Insert(each.Pts, 2, each);
            foreach (Phoneme each in timing.Phonemes)
                Insert(each.Pts, 3, each);
            foreach (Viseme each in timing.Visemes)
                Insert(each.Pts, 4, each);
        }

        /// <summary>
        /// Remove and return the first event before `heardPts`, the first sample not heard yet; null: there is none.
        /// </summary>
        public object Take(long heardPts)
        {
            if (next == events.Count || events[next].Pts >= heardPts)
                return null;
            object timedEvent = events[next++].Event;
            if (next > 256)
            {
                events.RemoveRange(0, next);
                next = 0;
            }
            return timedEvent;
        }

        /// <summary>Discard the events at or after a pts.</summary>
        public void DiscardFrom(long fromPts)
        {
            int at = events.FindIndex(next, each => each.Pts >= fromPts);
            if (at >= 0)
                events.RemoveRange(at, events.Count - at);
        }

        private void Insert(long pts, int rank, object timedEvent)
        {
            int at = events.Count;
            while (at > next && (events[at - 1].Pts > pts || (events[at - 1].Pts == pts && events[at - 1].Rank > rank)))
                at--;
            events.Insert(at, new TimedEvent { Pts = pts, Rank = rank, Event = timedEvent });
        }
    }
}
