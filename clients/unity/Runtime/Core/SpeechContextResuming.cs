// The part of SpeechContext that handles a connection that drops, is back, or is lost. Called with the client's lock
// held.

using Voxwire.Connection;
using Voxwire.Protocol;

namespace Voxwire
{
    public sealed partial class SpeechContext
    {
        string IContextHandler.Name
        {
            get { return Name; }
        }

        long? IContextHandler.NewestFrame
        {
            get { return receiver.ReceivedSessionSeq; }
        }

        long? IContextHandler.NewestText
        {
            get { return sender.AcceptedSeq; }
        }

        void IContextHandler.OnInterrupted(Interrupted change)
        {
            if (phase == Phase.Cancelling)
                receiver.ReportLocally();
            else if (IsLive)
                receiver.Events.Put(change);
            changed.NotifyAll();
        }

        void IContextHandler.OnResumed(Reconnected change)
        {
            if (IsLive)
                receiver.Events.Put(new Reconnected { Context = Name, Resumed = true, AwaySeconds = change.AwaySeconds });
            changed.NotifyAll();
        }

        void IContextHandler.OnLost(ConnectionLostException lost)
        {
            OnLost(lost);
        }

        void IContextHandler.Restart(ResumableConnection on, Reconnected change)
        {
            Restart(on, change);
        }

        /// <summary>
        /// The session is lost: speak what was not received in the session of another connection, or the new session of
        /// this one. `change` becomes an event; null: none.
        /// </summary>
        internal void Restart(ResumableConnection on, Reconnected change)
        {
            connection = on;
            if (!IsLive || failure != null)
            {
                EndLocally();
                return;
            }
            if (++restarts > RestartsMax)
            {
                OnLost(new ConnectionLostException(1011, "context '" + Name + "' ended " + RestartsMax + " sessions"));
                return;
            }
            Reconnected from = receiver.Restart();
            from.AwaySeconds = change == null ? 0 : change.AwaySeconds;
            if (change != null)
                receiver.Events.Put(from);
            receiver.PutFlushed(sender.Restart(from.Chars.Value));
            if (sender.Ended && receiver.ReceivedAll(from.Chars.Value))
            {
                receiver.FinishLocally("completed");
                End();
                return;
            }
            phase = Phase.Opening;
            Post(ClientMessages.Start(Name, GrantedOptions()));
            if (held || heldBack)
                Post(ClientMessages.Plain("hold", Name));
            changed.NotifyAll();
            RunInBackground(sender.SendPendingAsync);
        }

        private void EndLocally()
        {
            if (phase == Phase.Cancelling)
                receiver.ReportLocally();
            receiver.Events.Close(failure);
            End();
        }

        /// <summary>
        /// The options with the voice and format of the first session: another server may have other defaults.
        /// </summary>
        private SpeakOptions GrantedOptions()
        {
            SpeakOptions granted = options.Copy();
            if (receiver.Started == null)
                return granted;
            AudioFormat format = receiver.Started.Audio;
            granted.Voice = receiver.Started.Voice;
            granted.Codec = format.Codec;
            granted.SampleRate = format.SampleRate;
            granted.FrameMs = format.FrameMs;
            granted.Bitrate = options.Bitrate ?? format.Bitrate;
            return granted;
        }

        private void OnLost(ConnectionLostException lost)
        {
            if (phase == Phase.Over)
                return;
            failure = failure ?? lost;
            receiver.Events.Close(lost);
            End();
        }
    }
}
