// The part of ResumableConnection that uses one socket: reads and writes messages, acknowledges audio, watches the
// heartbeat.

using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Protocol;

namespace Voxwire.Connection
{
    internal sealed partial class ResumableConnection
    {
        private const int AckMs = 200;
        private const int SilentHeartbeatsMax = 3;

        /// <summary>Read and write until the socket is closed; returns why.</summary>
        private async Task<ConnectionLostException> TransferAsync(WebSocketTransport open)
        {
            ConnectionLostException lost;
            using (var stop = new CancellationTokenSource())
            {
                Task write = Outbox.WriteToAsync(open, stop.Token);
                Task acknowledge = AcknowledgeAsync(stop.Token);
                Task heartbeat = WatchHeartbeatAsync(open, stop.Token);
                try
                {
                    while (true)
                        OnIncoming(await open.ReceiveAsync().ConfigureAwait(false));
                }
                catch (ConnectionLostException error)
                {
                    lost = heartbeatLost;
                    if (lost == null)
                        lost = serverError == null ? error : new ConnectionLostException(error.CloseCode, error.Message, serverError);
                }
                catch (VoxwireException error)
                {
                    lost = new ConnectionLostException(1007, "the server sent an invalid message: " + error.Message, error);
                }
                lock (sync)
                {
                    if (Outbox.Lost == null)
                        Outbox.SetConnected(false);
                }
                open.Dispose();
                stop.Cancel();
                await Condition.IgnoreErrorsAsync(Task.WhenAll(write, acknowledge, heartbeat)).ConfigureAwait(false);
            }
            return lost;
        }

        private async Task AcknowledgeAsync(CancellationToken cancel)
        {
            while (true)
            {
                Task next;
                bool idle;
                lock (sync)
                {
                    next = contextAttached.Next;
                    idle = Contexts.Count == 0;
                }
                if (idle)
                    await Condition.WaitAsync(next, cancel).ConfigureAwait(false);
                await Task.Delay(AckMs, cancel).ConfigureAwait(false);
                lock (sync)
                {
                    // Where messages already wait to be sent, acks would only lengthen the queue.
                    if (Outbox.HasUnsent)
                        continue;
                    foreach (IContextHandler context in Contexts.Values)
                    {
                        byte[] ack = context.NextAck();
                        if (ack != null)
                            Outbox.Post(ack);
                    }
                }
            }
        }

        /// <summary>
        /// Disposes the socket after three heartbeat intervals in which nothing came. Counts intervals that this task
        /// has seen, not elapsed time: a program that was suspended has not lost its server.
        /// </summary>
        private async Task WatchHeartbeatAsync(WebSocketTransport open, CancellationToken cancel)
        {
            int silentHeartbeats = 0;
            while (silentHeartbeats < SilentHeartbeatsMax)
            {
                int heartbeatMs;
                lock (sync)
                {
                    receivedSinceHeartbeat = false;
                    heartbeatMs = Math.Max(1, Ready.HeartbeatMs);
                }
                await Task.Delay(heartbeatMs, cancel).ConfigureAwait(false);
                lock (sync)
                {
                    silentHeartbeats = receivedSinceHeartbeat ? 0 : silentHeartbeats + 1;
                    if (silentHeartbeats > 0)
                        Outbox.SendPing();
                }
            }
            heartbeatLost = new ConnectionLostException(ConnectionLostException.AbnormalClosure, "the server does not answer");
            open.Dispose();
        }

        // -- messages from the server ---------------------------------------------------------------------------------

        private void OnIncoming(Incoming incoming)
        {
            WireFrame frame = incoming.Binary ? WireFrame.Read(incoming.Raw) : null;
            object message = incoming.Binary ? null : ServerMessages.Read(incoming.Raw);
            lock (sync)
            {
                if (Outbox.Lost != null)
                    return;
                receivedSinceHeartbeat = true;
                receivedCount++;
                IContextHandler context;
                if (frame != null && contextsByNumber.TryGetValue(frame.Number, out context))
                    context.OnFrame(frame);
                else if (message != null)
                    OnMessage(message);
            }
        }

        private void OnMessage(object message)
        {
            var pong = message as Pong;
            var state = message as StateMessage;
            var speech = message as SpeechEvent;
            if (pong != null)
                Outbox.OnPong(pong.T);
            else if (state != null && state.Received.HasValue)
                Outbox.Acknowledge(state.Received.Value);
            else if (message is DrainingMessage)
                Draining = true;
            else if (speech != null && speech.Context == null)
                OnSessionMessage(speech);
            else if (speech != null)
                OnContextMessage(speech);
        }

        /// <summary>
        /// An error about the session explains the close that follows; warnings about it are ignored.
        /// </summary>
        private void OnSessionMessage(SpeechEvent message)
        {
            var error = message as ErrorMessage;
            if (error != null)
                serverError = error.Error;
        }

        private void OnContextMessage(SpeechEvent message)
        {
            IContextHandler context;
            if (!Contexts.TryGetValue(message.Context, out context))
                return;
            context.OnMessage(message);
            var started = message as Started;
            IContextHandler still;
            if (started != null && Contexts.TryGetValue(message.Context, out still) && still == context)
                contextsByNumber[started.Number] = context;
        }
    }
}
