// The exceptions of this client: errors of the server, and lost connections.

using System;
using System.Collections.Generic;

namespace Voxwire
{
    /// <summary>
    /// A request was refused, or failed. `Code` is an error code of the protocol: `client.…`, `server.…` or `system.…`.
    /// </summary>
    public class VoxwireException : Exception
    {
        /// <summary>The pause before a retry where the server names none.</summary>
        internal const int DefaultPauseMs = 500;

        /// <summary>Stable, for programs: compare it, or the part before the dot.</summary>
        public string Code { get; private set; }

        /// <summary>Whether the same request can succeed later.</summary>
        public bool Retryable { get; private set; }

        /// <summary>How long to wait before a retry; null: the server named no time.</summary>
        public int? RetryAfterMs { get; private set; }

        /// <summary>What to do next, for a person; may be null.</summary>
        public string Hint { get; private set; }

        /// <summary>
        /// More about the error, for programs, as JSON values; `field` is the path of a wrong field. Never null.
        /// </summary>
        public IDictionary<string, object> Details { get; private set; }

        public VoxwireException(
            string code,
            string message,
            bool retryable = false,
            int? retryAfterMs = null,
            string hint = null,
            IDictionary<string, object> details = null,
            Exception inner = null)
            : base(message, inner)
        {
            Code = code;
            Retryable = retryable;
            RetryAfterMs = retryAfterMs;
            Hint = hint;
            Details = details ?? new Dictionary<string, object>();
        }

        /// <summary>The path of the wrong field; null: none is named.</summary>
        public string Field
        {
            get
            {
                object field;
                return Details.TryGetValue("field", out field) ? field as string : null;
            }
        }

        internal int PauseBeforeRetryMs
        {
            get { return RetryAfterMs ?? DefaultPauseMs; }
        }

        internal static VoxwireException OfField(string code, string field, string problem)
        {
            var details = new Dictionary<string, object> { { "field", field } };
            return new VoxwireException(code, field + " " + problem, details: details);
        }
    }

    /// <summary>
    /// The connection could not be made, or is lost. `Code` is that of the error that the server sent before it closed,
    /// or `system.connection_lost` if it sent none.
    /// </summary>
    public sealed class ConnectionLostException : VoxwireException
    {
        internal const string LostCode = "system.connection_lost";
        internal const int AbnormalClosure = 1006;

        /// <summary>The code of the WebSocket close; 1006 if there was no close frame.</summary>
        public int CloseCode { get; private set; }

        /// <summary>The error about the session that the server sent before it closed; null: it sent none.</summary>
        public VoxwireException ServerError { get; private set; }

        public ConnectionLostException(int closeCode, string reason, VoxwireException serverError = null, Exception inner = null)
            : base(
                serverError == null ? LostCode : serverError.Code,
                "connection lost (" + closeCode + (ReasonOf(reason, serverError).Length > 0 ? ": " + ReasonOf(reason, serverError) : "") + ")",
                serverError == null ? IsTransient(closeCode) : serverError.Retryable,
                serverError == null ? null : serverError.RetryAfterMs,
                serverError == null ? "Is the server running, and the URL right?" : serverError.Hint,
                serverError == null ? null : serverError.Details,
                inner)
        {
            CloseCode = closeCode;
            ServerError = serverError;
        }

        /// <summary>Whether the session may go on over another connection.</summary>
        internal bool Dropped
        {
            get { return IsTransient(CloseCode) && (ServerError == null || !IsFinal(ServerError.Code)); }
        }

        /// <summary>The code with which the server closes a connection after an error about it.</summary>
        internal static int CloseCodeOf(string code)
        {
            switch (code)
            {
                case "client.not_authenticated": return 4401;
                case "client.not_allowed": return 4403;
                case "client.over_quota":
                case "client.rate_limited": return 4429;
                case "server.draining": return 1012;
                case "server.not_ready":
                case "server.overloaded":
                case "server.too_many_sessions": return 1013;
                case "server.internal": return 1011;
                default: return 1008;
            }
        }

        private static bool IsTransient(int closeCode)
        {
            return closeCode == AbnormalClosure || closeCode == 1001 || (closeCode >= 1011 && closeCode <= 1013);
        }

        private static bool IsFinal(string code)
        {
            return code == "client.not_authenticated" || code == "client.not_allowed" || code == "client.abuse";
        }

        private static string ReasonOf(string reason, VoxwireException serverError)
        {
            return serverError == null ? reason ?? "" : serverError.Message;
        }
    }
}
