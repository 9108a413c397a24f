// The events of one context in their order, then its end: nothing more, or an error.

using System;
using System.Collections.Generic;

namespace Voxwire.Speech
{
    /// <summary>Everything is called under the gate.</summary>
    internal sealed class Inbox
    {
        internal bool Closed { get; private set; }
        internal Exception Error { get; private set; }
        private LinkedList<SpeechEvent> events = new LinkedList<SpeechEvent>();

        internal int Count
        {
            get { return events.Count; }
        }

        /// <summary>Append an event; without effect after the end.</summary>
        internal void Put(SpeechEvent happened)
        {
            if (!Closed)
                events.AddLast(happened);
        }

        /// <summary>Forget audio that has not been taken out, and what describes it.</summary>
        internal void DropAudio()
        {
            var left = new LinkedList<SpeechEvent>();
            foreach (SpeechEvent each in events)
            {
                if (!(each is AudioFrame || each is Clause || each is Timing))
                    left.AddLast(each);
            }
            events = left;
        }

        /// <summary>Insert what should have come before a `done` that has not been taken out yet.</summary>
        internal void PutBeforeDone(SpeechEvent happened)
        {
            if (events.Last != null && events.Last.Value is Done)
                events.AddBefore(events.Last, happened);
        }

        /// <summary>Nothing more comes; `error` is raised after what is here. The first close counts.</summary>
        internal void Close(Exception error)
        {
            if (Closed)
                return;
            Closed = true;
            Error = error;
        }

        /// <summary>Raise `error` at once, ahead of everything that is here.</summary>
        internal void Fail(Exception error)
        {
            if (Closed)
                return;
            events.Clear();
            Close(error);
        }

        /// <summary>The next event; null where there is none now.</summary>
        internal SpeechEvent Take()
        {
            if (events.First == null)
                return null;
            SpeechEvent first = events.First.Value;
            events.RemoveFirst();
            return first;
        }
    }
}
