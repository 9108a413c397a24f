// Connects to a server: a WebSocket and its `ready` message, or the error that prevents it.

using System;
using System.Net.WebSockets;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Protocol;

namespace Voxwire.Connection
{
    /// <summary>A WebSocket on which `ready` has come.</summary>
    internal sealed class OpenSocket
    {
        internal WebSocketTransport Socket;
        internal Ready Ready;
    }

    /// <summary>Knows the server's address and the key for it.</summary>
    internal sealed class Dialer
    {
        private const string StreamPath = "/v1/stream";
        private const string Subprotocol = "voxwire.v1.json";

        internal readonly int TimeoutMs;
        private readonly Uri address;
        private readonly string apiKey;

        /// <exception cref="ArgumentException">The URL can't be that of a server.</exception>
        internal Dialer(string url, string apiKey, int timeoutMs)
        {
            address = StreamOf(url);
            this.apiKey = apiKey;
            TimeoutMs = timeoutMs;
        }

        /// <summary>The URL of a server's stream: `http` becomes `ws`, and a missing path `/v1/stream`.</summary>
        internal static Uri StreamOf(string url)
        {
            Uri given;
            if (!Uri.TryCreate(url, UriKind.Absolute, out given) || given.Host.Length == 0)
                throw new ArgumentException("'" + url + "' is no URL of a server; one looks like ws://127.0.0.1:8765");
            var stream = new UriBuilder(given);
            int port = given.IsDefaultPort ? -1 : given.Port;
            if (given.Scheme == "http" || given.Scheme == "ws")
                stream.Scheme = "ws";
            else if (given.Scheme == "https" || given.Scheme == "wss")
                stream.Scheme = "wss";
            else
                throw new ArgumentException("a server's URL begins with ws, wss, http or https, not with " + given.Scheme);
            stream.Port = port;
            stream.Path = given.AbsolutePath.TrimEnd('/').Length == 0 ? StreamPath : given.AbsolutePath.TrimEnd('/');
            stream.Fragment = "";
            return stream.Uri;
        }

        /// <summary>Connect. `resume` is the session to be resumed; null: none.</summary>
        /// <exception cref="VoxwireException">The server refused.</exception>
        /// <exception cref="ConnectionLostException">No server answers, or it is not a voxwire server.</exception>
        internal async Task<OpenSocket> DialAsync(string resume, CancellationToken cancel)
        {
            var socket = new ClientWebSocket();
            socket.Options.AddSubProtocol(Subprotocol);
            socket.Options.KeepAliveInterval = TimeSpan.Zero;
            if (!string.IsNullOrEmpty(apiKey))
                socket.Options.SetRequestHeader("Authorization", "Bearer " + apiKey);
            var transport = new WebSocketTransport(socket);
            try
            {
                return await HandshakeAsync(socket, transport, resume, cancel).ConfigureAwait(false);
            }
            catch (Exception)
            {
                transport.Dispose();
                throw;
            }
        }

        private async Task<OpenSocket> HandshakeAsync(
            ClientWebSocket socket,
            WebSocketTransport transport,
            string resume,
            CancellationToken cancel)
        {
            using (var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancel))
            using (timeout.Token.Register(transport.Dispose))
            {
                timeout.CancelAfter(TimeoutMs);
                try
                {
                    await socket.ConnectAsync(AddressFor(resume), timeout.Token).ConfigureAwait(false);
                    if (socket.SubProtocol != Subprotocol)
                        throw new ConnectionLostException(1008, address + " does not speak " + Subprotocol);
                    return await ReceiveReadyAsync(transport).ConfigureAwait(false);
                }
                catch (VoxwireException)
                {
                    cancel.ThrowIfCancellationRequested();
                    throw;
                }
                catch (Exception error)
                {
                    cancel.ThrowIfCancellationRequested();
                    string problem = timeout.IsCancellationRequested ? "no answer" : error.GetBaseException().Message;
                    throw new ConnectionLostException(ConnectionLostException.AbnormalClosure, address + ": " + problem, null, error);
                }
            }
        }

        private static async Task<OpenSocket> ReceiveReadyAsync(WebSocketTransport transport)
        {
            Incoming first = await transport.ReceiveAsync().ConfigureAwait(false);
            object message = first.Binary ? null : ServerMessages.Read(first.Raw);
            var refused = message as ErrorMessage;
            if (refused != null)
                throw refused.Error;
            var ready = message as Ready;
            if (ready == null)
                throw new ConnectionLostException(1008, "the server did not begin with ready");
            return new OpenSocket { Socket = transport, Ready = ready };
        }

        private Uri AddressFor(string resume)
        {
            if (resume == null)
                return address;
            var resuming = new UriBuilder(address);
            string query = resuming.Query.TrimStart('?');
            resuming.Query = (query.Length == 0 ? "" : query + "&") + "resume=" + Uri.EscapeDataString(resume);
            return resuming.Uri;
        }
    }
}
