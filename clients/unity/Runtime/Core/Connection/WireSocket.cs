// One WebSocket: whole messages in and out, and the end of it as one kind of exception.

using System;
using System.IO;
using System.Net.WebSockets;
using System.Threading;
using System.Threading.Tasks;

namespace Voxwire.Connection
{
    internal struct Incoming
    {
        internal bool Binary;
        internal byte[] Raw;
    }

    /// <summary>One reader and one writer at a time.</summary>
    internal sealed class WireSocket : IDisposable
    {
        /// <summary>`cancelled` may repeat a context's whole text.</summary>
        private const int MessageBytesMax = 32 << 20;
        private const int ReadBytes = 16384;
        private const int CloseMsMax = 2000;

        private readonly ClientWebSocket socket;
        private readonly byte[] buffer = new byte[ReadBytes];
        private int disposed;

        internal WireSocket(ClientWebSocket socket)
        {
            this.socket = socket;
        }

        /// <exception cref="ConnectionLostException">It is gone.</exception>
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

        /// <exception cref="ConnectionLostException">It is gone.</exception>
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

        /// <summary>Say goodbye; whoever receives sees the end within two seconds.</summary>
        internal async Task CloseAsync(Task reader)
        {
            using (var timeout = new CancellationTokenSource(CloseMsMax))
            {
                try
                {
                    await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", timeout.Token).ConfigureAwait(false);
                    await Signal.WaitAsync(reader, timeout.Token).ConfigureAwait(false);
                }
                catch (Exception)
                {
                    // The server does not answer, or is gone: then it is over all the same.
                }
            }
            Dispose();
        }

        /// <summary>Drop the connection without a word.</summary>
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
            return new ConnectionLostException(ConnectionLostException.Abnormal, root.Message, null, error);
        }
    }
}
