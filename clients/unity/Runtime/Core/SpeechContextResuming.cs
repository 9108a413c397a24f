// What becomes of a context where its connection drops, comes back, or is lost. Everything here is called under the gate.

using Voxwire.Connection;
using Voxwire.Protocol;

namespace Voxwire
{
    public sealed partial class SpeechContext
    {
        /// <summary>The connection dropped, and may come back.</summary>
        internal void Dropped(Interrupted change)
        {
            if (phase == Phase.Leaving)
                hearing.ReportHere();
            else if (IsLive)
                hearing.Inbox.Put(change);
            news.Pulse();
        }

        /// <summary>The session goes on where it was.</summary>
        internal void WentOn(Reconnected change)
        {
            if (IsLive)
                hearing.Inbox.Put(new Reconnected { Context = Name, Resumed = true, AwaySeconds = change.AwaySeconds });
            news.Pulse();
        }

        /// <summary>The session is gone: go on with what was not heard on another line. Without a change nobody is told.</summary>
        internal void Restart(Line on, Reconnected change)
        {
            line = on;
            if (!IsLive || failure != null)
            {
                EndHere();
                return;
            }
            if (++restarts > RestartsMax)
            {
                Lost(new ConnectionLostException(1011, "context '" + Name + "' ended " + RestartsMax + " sessions"));
                return;
            }
            Reconnected from = hearing.BeginAnew();
            from.AwaySeconds = change == null ? 0 : change.AwaySeconds;
            if (change != null)
                hearing.Inbox.Put(from);
            hearing.Answer(writing.BeginAnew(from.Chars.Value));
            if (writing.Ended && hearing.HeardAll(from.Chars.Value))
            {
                hearing.FinishHere("completed");
                GoOver();
                return;
            }
            phase = Phase.Opening;
            Post(ClientMessages.Start(Name, SameAgain()));
            if (held || heldBack)
                Post(ClientMessages.Plain("hold", Name));
            news.Pulse();
            InBackground(writing.SayLeftAsync);
        }

        private void EndHere()
        {
            if (phase == Phase.Leaving)
                hearing.ReportHere();
            hearing.Inbox.Close(failure);
            GoOver();
        }

        /// <summary>What asks for the voice and format that were granted, whatever another server prefers.</summary>
        private SpeakOptions SameAgain()
        {
            SpeakOptions again = wanted.Copy();
            if (hearing.Started == null)
                return again;
            AudioFormat granted = hearing.Started.Audio;
            again.Voice = hearing.Started.Voice;
            again.Codec = granted.Codec;
            again.SampleRate = granted.SampleRate;
            again.FrameMs = granted.FrameMs;
            again.Bitrate = wanted.Bitrate ?? granted.Bitrate;
            return again;
        }

        /// <summary>The connection is gone for good.</summary>
        internal void Lost(ConnectionLostException error)
        {
            if (phase == Phase.Over)
                return;
            failure = failure ?? error;
            hearing.Inbox.Close(error);
            GoOver();
        }
    }
}
