// The errors of this client: what the server refused, and what became of the connection.

using System;
using System.Collections.Generic;

namespace Voxwire
{
    /// <summary>Something was refused or went wrong. `Code` is one of the protocol's, `client.…`, `server.…` or `system.…`.</summary>
    public class VoxwireException : Exception
    {
        internal const int PauseMs = 500;

        /// <summary>Stable; go by it, or by the part before the dot.</summary>
        public string Code { get; private set; }

        /// <summary>Whether the same can succeed later.</summary>
        public bool Retryable { get; private set; }

        /// <summary>Not before so many milliseconds; null: the server named none.</summary>
        public int? RetryAfterMs { get; private set; }

        /// <summary>What to do next, for a person; may be null.</summary>
        public string Hint { get; private set; }

        /// <summary>For programs; `field` names the field that is wrong. Never null. Values are what JSON has.</summary>
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

        /// <summary>The path of the field that is wrong; null: none is named.</summary>
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
            get { return RetryAfterMs ?? PauseMs; }
        }

        internal static VoxwireException OfField(string code, string field, string problem)
        {
            var details = new Dictionary<string, object> { { "field", field } };
            return new VoxwireException(code, field + " " + problem, details: details);
        }
    }

    /// <summary>
    /// There is no connection, or no longer one. `Code` is what the server said before it closed, `system.connection_lost`
    /// where it said nothing.
    /// </summary>
    public sealed class ConnectionLostException : VoxwireException
    {
        internal const string Silent = "system.connection_lost";
        internal const int Abnormal = 1006;

        /// <summary>That of the WebSocket close; 1006 without one.</summary>
        public int CloseCode { get; private set; }

        /// <summary>What the server said of the session before it closed; may be null.</summary>
        public VoxwireException Said { get; private set; }

        public ConnectionLostException(int closeCode, string reason, VoxwireException said = null, Exception inner = null)
            : base(
                said == null ? Silent : said.Code,
                "connection lost (" + closeCode + (Why(reason, said).Length > 0 ? ": " + Why(reason, said) : "") + ")",
                said == null ? IsPassing(closeCode) : said.Retryable,
                said == null ? null : said.RetryAfterMs,
                said == null ? "Is the server running, and the URL right?" : said.Hint,
                said == null ? null : said.Details,
                inner)
        {
            CloseCode = closeCode;
            Said = said;
        }

        /// <summary>Whether the session that was on this connection may go on at another one.</summary>
        internal bool Dropped
        {
            get { return IsPassing(CloseCode) && (Said == null || !IsFinal(Said.Code)); }
        }

        /// <summary>How the server closes a connection with an error.</summary>
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

        private static bool IsPassing(int closeCode)
        {
            return closeCode == Abnormal || closeCode == 1001 || (closeCode >= 1011 && closeCode <= 1013);
        }

        private static bool IsFinal(string code)
        {
            return code == "client.not_authenticated" || code == "client.not_allowed" || code == "client.abuse";
        }

        private static string Why(string reason, VoxwireException said)
        {
            return said == null ? reason ?? "" : said.Message;
        }
    }
}
