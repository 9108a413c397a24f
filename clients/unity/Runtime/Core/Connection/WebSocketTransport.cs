// One WebSocket: sends and receives whole messages, and reports every failure and close as ConnectionLostException.

using System;
using System.IO;
using System.Net.WebSockets;
using System.Threading;
using System.Threading.Tasks;

namespace Voxwire.Connection
{
    /// <summary>A message received.</summary>
    internal struct Incoming
    {
        internal bool Binary;
        internal byte[] Raw;
    }

    /// <summary>For one reading and one writing task at a time.</summary>
    internal sealed class WebSocketTransport : IDisposable
    {
        /// <summary>Large, as `cancelled` may repeat a context's whole text.</summary>
        private const int MessageBytesMax = 32 << 20;
        private const int ReadBytes = 16384;
        private const int CloseMsMax = 2000;

        private readonly ClientWebSocket socket;
        private readonly byte[] buffer = new byte[ReadBytes];
        private int disposed;

        internal WebSocketTransport(ClientWebSocket socket)
        {
            this.socket = socket;
        }

        /// <exception cref="ConnectionLostException">The WebSocket is closed.</exception>
        internal async Task SendAsync(byte[] text)
        {
            try
            {
                var segment = new ArraySegment<byte>(text);
                await socket.SendAsync(segment, WebSocketMessageType.Text, true, CancellationToken.None).ConfigureAwait(false);
            }
            catch (Exception error) when (IsEnd(error))
            {
                throw Lost(error);
            }
        }

        /// <exception cref="ConnectionLostException">The WebSocket is closed.</exception>
        internal async Task<Incoming> ReceiveAsync()
        {
            try
            {
                return await ReceiveWholeAsync().ConfigureAwait(false);
            }
            catch (Exception error) when (IsEnd(error))
            {
                throw Lost(error);
            }
        }

        private async Task<Incoming> ReceiveWholeAsync()
        {
            MemoryStream parts = null;
            while (true)
            {
                WebSocketReceiveResult part = await socket
                    .ReceiveAsync(new ArraySegment<byte>(buffer), CancellationToken.None).ConfigureAwait(false);
                if (part.MessageType == WebSocketMessageType.Close)
                    throw Closed();
                if (part.EndOfMessage && parts == null)
                {
                    var whole = new byte[part.Count];
                    Buffer.BlockCopy(buffer, 0, whole, 0, part.Count);
                    return new Incoming { Binary = part.MessageType == WebSocketMessageType.Binary, Raw = whole };
                }
                parts = parts ?? new MemoryStream();
                parts.Write(buffer, 0, part.Count);
                if (parts.Length > MessageBytesMax)
                    throw new ConnectionLostException(1009, "the server sent too long a message");
                if (part.EndOfMessage)
                    return new Incoming { Binary = part.MessageType == WebSocketMessageType.Binary, Raw = parts.ToArray() };
            }
        }

        /// <summary>Send a close frame, and wait for `reader` to see the server's, for two seconds at most.</summary>
        internal async Task CloseAsync(Task reader)
        {
            using (var timeout = new CancellationTokenSource(CloseMsMax))
            {
                try
                {
                    await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", timeout.Token).ConfigureAwait(false);
                    await Condition.WaitAsync(reader, timeout.Token).ConfigureAwait(false);
                }
                catch (Exception)
                {
                    // The server does not answer: the socket is disposed below all the same.
                }
            }
            Dispose();
        }

        /// <summary>Drop the connection without a close frame.</summary>
        public void Dispose()
        {
            if (Interlocked.Exchange(ref disposed, 1) == 0)
            {
                socket.Abort();
                socket.Dispose();
            }
        }

        private ConnectionLostException Closed()
        {
            int code = socket.CloseStatus.HasValue ? (int)socket.CloseStatus.Value : 1005;
            return new ConnectionLostException(code == 0 ? 1005 : code, socket.CloseStatusDescription);
        }

        private static bool IsEnd(Exception error)
        {
            return !(error is ConnectionLostException);
        }

        private static ConnectionLostException Lost(Exception error)
        {
            Exception root = error.GetBaseException();
            return new ConnectionLostException(ConnectionLostException.AbnormalClosure, root.Message, null, error);
        }
    }
}
