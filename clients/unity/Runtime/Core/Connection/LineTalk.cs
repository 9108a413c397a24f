// The part of a line that talks over one connection: reads, writes, acknowledges, and notices silence.

using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Protocol;

namespace Voxwire.Connection
{
    internal sealed partial class Line
    {
        private const int AckMs = 200;
        private const int SilentHeartbeatsMax = 3;

        /// <summary>Read until the connection is gone; returns why.</summary>
        private async Task<ConnectionLostException> ConverseAsync(WireSocket open)
        {
            ConnectionLostException lost;
            using (var over = new CancellationTokenSource())
            {
                Task write = Outbox.WriteAsync(open, over.Token);
                Task acknowledge = AcknowledgeAsync(over.Token);
                Task watch = WatchAsync(open, over.Token);
                try
                {
                    while (true)
                        Take(await open.ReceiveAsync().ConfigureAwait(false));
                }
                catch (ConnectionLostException error)
                {
                    lost = silent ?? (said == null ? error : new ConnectionLostException(error.CloseCode, error.Message, said));
                }
                catch (VoxwireException error)
                {
                    lost = new ConnectionLostException(1007, "the server sent what is no message: " + error.Message, error);
                }
                lock (gate)
                {
                    if (Outbox.Over == null)
                        Outbox.Flow(false);
                }
                open.Dispose();
                over.Cancel();
                await Signal.QuietlyAsync(Task.WhenAll(write, acknowledge, watch)).ConfigureAwait(false);
            }
            return lost;
        }

        private async Task AcknowledgeAsync(CancellationToken cancel)
        {
            while (true)
            {
                Task next;
                bool idle;
                lock (gate)
                {
                    next = occupied.Next;
                    idle = Contexts.Count == 0;
                }
                if (idle)
                    await Signal.WaitAsync(next, cancel).ConfigureAwait(false);
                await Task.Delay(AckMs, cancel).ConfigureAwait(false);
                lock (gate)
                {
                    // What waits already is not helped by more.
                    if (Outbox.Waiting)
                        continue;
                    foreach (SpeechContext context in Contexts.Values)
                    {
                        byte[] ack = context.Acknowledgement();
                        if (ack != null)
                            Outbox.Post(ack);
                    }
                }
            }
        }

        /// <summary>Beats are counted, not seconds: a program that was busy itself has not lost its server.</summary>
        private async Task WatchAsync(WireSocket open, CancellationToken cancel)
        {
            int beats = 0;
            while (beats < SilentHeartbeatsMax)
            {
                int beatMs;
                lock (gate)
                {
                    alive = false;
                    beatMs = Math.Max(1, Ready.HeartbeatMs);
                }
                await Task.Delay(beatMs, cancel).ConfigureAwait(false);
                lock (gate)
                {
                    beats = alive ? 0 : beats + 1;
                    if (beats > 0)
                        Outbox.Ask();
                }
            }
            silent = new ConnectionLostException(ConnectionLostException.Abnormal, "the server does not answer");
            open.Dispose();
        }

        // -- what comes -----------------------------------------------------------------------------------------------

        private void Take(Incoming incoming)
        {
            WireFrame frame = incoming.Binary ? WireFrame.Read(incoming.Raw) : null;
            object message = incoming.Binary ? null : ServerMessages.Read(incoming.Raw);
            lock (gate)
            {
                if (Outbox.Over != null)
                    return;
                alive = true;
                received++;
                SpeechContext context;
                if (frame != null && numbers.TryGetValue(frame.Number, out context))
                    context.TakeFrame(frame);
                else if (message != null)
                    TakeMessage(message);
            }
        }

        private void TakeMessage(object message)
        {
            var pong = message as Pong;
            var state = message as StateMessage;
            var speech = message as SpeechEvent;
            if (pong != null)
                Outbox.Answered(pong.T);
            else if (state != null && state.Received.HasValue)
                Outbox.Arrived(state.Received.Value);
            else if (message is DrainingMessage)
                Draining = true;
            else if (speech != null && speech.Context == null)
                TakeNotice(speech);
            else if (speech != null)
                TakeOfContext(speech);
        }

        /// <summary>What is about the session; a warning of it says nothing that has to be done.</summary>
        private void TakeNotice(SpeechEvent message)
        {
            var error = message as ErrorMessage;
            if (error != null)
                said = error.Error;
        }

        private void TakeOfContext(SpeechEvent message)
        {
            SpeechContext context;
            if (!Contexts.TryGetValue(message.Context, out context))
                return;
            context.Take(message);
            var started = message as Started;
            SpeechContext still;
            if (started != null && Contexts.TryGetValue(message.Context, out still) && still == context)
                numbers[started.Number] = context;
        }
    }
}
