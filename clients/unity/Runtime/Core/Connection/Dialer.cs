// Opens connections to a server: one WebSocket with its `ready`, or what is in the way of it.

using System;
using System.Net.WebSockets;
using System.Threading;
using System.Threading.Tasks;
using Voxwire.Protocol;

namespace Voxwire.Connection
{
    /// <summary>A connection that the server has greeted.</summary>
    internal sealed class Door
    {
        internal WireSocket Socket;
        internal Ready Ready;
    }

    /// <summary>Knows the server's address and how to come in.</summary>
    internal sealed class Dialer
    {
        private const string StreamPath = "/v1/stream";
        private const string Subprotocol = "voxwire.v1.json";

        internal readonly int TimeoutMs;
        private readonly Uri address;
        private readonly string apiKey;

        /// <exception cref="ArgumentException">The URL is none of a server.</exception>
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

        /// <summary>Connect; `resume` names the session that is to go on.</summary>
        /// <exception cref="VoxwireException">The server refused.</exception>
        /// <exception cref="ConnectionLostException">There is no server, or it is not one of ours.</exception>
        internal async Task<Door> DialAsync(string resume, CancellationToken cancel)
        {
            var socket = new ClientWebSocket();
            socket.Options.AddSubProtocol(Subprotocol);
            socket.Options.KeepAliveInterval = TimeSpan.Zero;
            if (!string.IsNullOrEmpty(apiKey))
                socket.Options.SetRequestHeader("Authorization", "Bearer " + apiKey);
            var wire = new WireSocket(socket);
            try
            {
                return await GreetAsync(socket, wire, resume, cancel).ConfigureAwait(false);
            }
            catch (Exception)
            {
                wire.Dispose();
                throw;
            }
        }

        private async Task<Door> GreetAsync(ClientWebSocket socket, WireSocket wire, string resume, CancellationToken cancel)
        {
            using (var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancel))
            using (timeout.Token.Register(wire.Dispose))
            {
                timeout.CancelAfter(TimeoutMs);
                try
                {
                    await socket.ConnectAsync(AddressFor(resume), timeout.Token).ConfigureAwait(false);
                    if (socket.SubProtocol != Subprotocol)
                        throw new ConnectionLostException(1008, address + " does not speak " + Subprotocol);
                    return await ReadyAsync(wire).ConfigureAwait(false);
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
                    throw new ConnectionLostException(ConnectionLostException.Abnormal, address + ": " + problem, null, error);
                }
            }
        }

        private static async Task<Door> ReadyAsync(WireSocket wire)
        {
            Incoming first = await wire.ReceiveAsync().ConfigureAwait(false);
            object message = first.Binary ? null : ServerMessages.Read(first.Raw);
            var refused = message as ErrorMessage;
            if (refused != null)
                throw refused.Error;
            var ready = message as Ready;
            if (ready == null)
                throw new ConnectionLostException(1008, "the server did not begin with ready");
            return new Door { Socket = wire, Ready = ready };
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
