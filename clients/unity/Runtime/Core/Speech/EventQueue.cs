// The events of one context, in order, that its caller has not read yet; after them the end, or an error.

using System;
using System.Collections.Generic;

namespace Voxwire.Speech
{
    /// <summary>Used with the client's lock held.</summary>
    internal sealed class EventQueue
    {
        internal bool Closed { get; private set; }
        internal Exception Error { get; private set; }
        private LinkedList<SpeechEvent> events = new LinkedList<SpeechEvent>();

        internal int Count
        {
            get { return events.Count; }
        }

        /// <summary>Append an event; without effect once it is closed.</summary>
        internal void Put(SpeechEvent speechEvent)
        {
            if (!Closed)
                events.AddLast(speechEvent);
        }

        /// <summary>Discard unread audio, clauses, timings and marks.</summary>
        internal void DropAudio()
        {
            var kept = new LinkedList<SpeechEvent>();
            foreach (SpeechEvent each in events)
            {
                if (!(each is AudioFrame || each is Clause || each is Timing || each is Mark))
                    kept.AddLast(each);
            }
            events = kept;
        }

        /// <summary>Insert an event before an unread `done` at the end; without effect if there is none.</summary>
        internal void PutBeforeDone(SpeechEvent speechEvent)
        {
            if (events.Last != null && events.Last.Value is Done)
                events.AddBefore(events.Last, speechEvent);
        }

        /// <summary>
        /// Take no more events. `error`, if any, is thrown after the events that are queued. Only the first call
        /// counts.
        /// </summary>
        internal void Close(Exception error)
        {
            if (Closed)
                return;
            Closed = true;
            Error = error;
        }

        /// <summary>Close with an error and discard the events before it.</summary>
        internal void Fail(Exception error)
        {
            if (Closed)
                return;
            events.Clear();
            Close(error);
        }

        /// <summary>Remove and return the next event; null: there is none now.</summary>
        internal SpeechEvent Get()
        {
            if (events.First == null)
                return null;
            SpeechEvent first = events.First.Value;
            events.RemoveFirst();
            return first;
        }
    }
}
