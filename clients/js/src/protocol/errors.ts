/** Owns the error tree: each code, whether a retry helps, how it closes a connection, and what to do next. */

import type { ErrorMessage, JsonValue } from "./messages.js";

/** WebSocket close codes (RFC 6455, section 7.4.1; 4000 and above are the protocol's own). */
export const CloseCode = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  UNSUPPORTED_DATA: 1003,
  NO_STATUS: 1005,
  ABNORMAL: 1006,
  INVALID_DATA: 1007,
  POLICY: 1008,
  TOO_BIG: 1009,
  INTERNAL: 1011,
  RESTART: 1012,
  TRY_LATER: 1013,
  NOT_AUTHENTICATED: 4401,
  NOT_ALLOWED: 4403,
  RESUMED_ELSEWHERE: 4409,
  OVER_QUOTA: 4429,
} as const;

/** The defaults of an error code. `closeCode` null: the connection stays open. */
export interface ErrorFacts {
  readonly retryable: boolean;
  readonly closeCode: number | null;
  readonly hint: string;
}

function facts(retryable: boolean, closeCode: number | null, hint: string): ErrorFacts {
  return { retryable, closeCode, hint };
}

/** Every code that this version knows. The part before the dot is the `ErrorClass`. */
export const ERRORS = {
  "client.malformed_message": facts(false, null, "Send one map with a `type` in the encoding of the subprotocol."),
  "client.unknown_type": facts(false, null, "See the specification for the message types."),
  "client.missing_field": facts(false, null, "Add the field that `details.field` names."),
  "client.invalid_field": facts(false, null, "Correct the field that `details.field` names."),
  "client.unexpected_binary": facts(false, null, "Under voxwire.v1.json messages are text; offer voxwire.v1.msgpack."),
  "client.message_too_big": facts(false, 1009, "Keep messages below `ready.limits.message_bytes_max`."),
  "client.unknown_context": facts(false, null, "Open the context with `start` or `text` first."),
  "client.context_exists": facts(false, null, "Wait for `done`, cancel it, or choose another name."),
  "client.context_ended": facts(false, null, "Wait for `done`, or choose another name."),
  "client.hold_expired": facts(true, null, "Speak what was not heard in a new context."),
  "client.too_many_contexts": facts(true, null, "End or cancel a context first."),
  "client.text_too_long": facts(false, null, "Send the text in smaller pieces, or in another context."),
  "client.text_buffer_full": facts(true, null, "Wait until some of the text has been spoken."),
  "client.text_gap": facts(true, null, "Send the texts again from `details.expected` on."),
  "client.rate_limited": facts(true, 4429, "Slow down."),
  "client.abuse": facts(false, 1008, "Mend the client before it connects again."),
  "client.unknown_voice": facts(false, null, "Use a voice of GET /v1/voices."),
  "client.unsupported_language": facts(false, null, "Choose a voice that speaks it; see GET /v1/voices."),
  "client.unsupported_audio": facts(false, null, "See the specification for what goes together."),
  "client.unsupported_subprotocol": facts(false, 1008, "Offer voxwire.v1.json or voxwire.v1.msgpack, or none."),
  "client.not_authenticated": facts(false, 4401, "Send a valid API key, or a token that has not expired."),
  "client.not_allowed": facts(false, 4403, "Ask the operator of the server."),
  "client.over_quota": facts(true, 4429, "Wait, or ask the operator for more."),
  "client.slow_reader": facts(true, 1008, "Read faster, or ask for Opus."),
  "client.idle": facts(true, 1000, "Connect again when there is something to say."),
  "server.draining": facts(true, 1012, "Connect again; another server may answer."),
  "server.not_ready": facts(true, 1013, "Try again in a moment."),
  "server.overloaded": facts(true, 1013, "Try again after `retry_after_ms`."),
  "server.too_many_sessions": facts(true, 1013, "Try again after `retry_after_ms`."),
  "server.internal": facts(true, 1011, "Try again; the server's log has the details."),
  "system.engine_overloaded": facts(true, null, "Try again after `retry_after_ms`."),
  "system.engine_failed": facts(true, null, "Try again; the server's log has the details."),
  "system.engine_unavailable": facts(false, null, "Choose a voice of another engine."),
  "system.clause_failed": facts(true, null, "Send the text again, or change it."),
} as const;

/** A code that this version knows. */
export type ErrorCode = keyof typeof ERRORS;

/** Where the cause is: in the client's request, in the state of this server, or in the system behind it. */
export type ErrorClass = "client" | "server" | "system";

/** The fields of an error besides its code and message; the defaults of the code apply to what is left out. */
export interface ErrorParts {
  readonly retryable?: boolean | undefined;
  readonly retryAfterMs?: number | null | undefined;
  readonly context?: string | null | undefined;
  readonly details?: Readonly<Record<string, JsonValue>> | undefined;
  readonly hint?: string | undefined;
}

/** An error of the protocol. */
export class VoxwireError extends Error {
  override readonly name: string = "VoxwireError";
  /** The server's code. For one that this version does not know, the defaults of its class apply. */
  readonly code: ErrorCode | (string & {});
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;
  /** The context that it is about; null: the session. */
  readonly context: string | null;
  /** Machine-readable details. */
  readonly details: Readonly<Record<string, JsonValue>>;
  /** What to do about it, for humans. */
  readonly hint: string;
  /** The code with which the server closes the connection; null: it stays open. */
  readonly closeCode: number | null;

  constructor(code: ErrorCode | (string & {}), message: string, parts: ErrorParts = {}) {
    super(`${code}: ${message}`);
    const known = ERRORS[knownCode(code)];
    this.code = code;
    this.retryable = parts.retryable ?? known.retryable;
    this.retryAfterMs = parts.retryAfterMs ?? null;
    this.context = parts.context ?? null;
    this.details = parts.details ?? {};
    this.hint = parts.hint ?? known.hint;
    this.closeCode = known.closeCode;
  }

  /** Where the cause is. */
  get errorClass(): ErrorClass {
    return knownCode(this.code).slice(0, 6) as ErrorClass;
  }

  /** The error of an `error` message. */
  static fromMessage(message: ErrorMessage): VoxwireError {
    return new VoxwireError(message.code, message.message, {
      retryable: message.retryable,
      retryAfterMs: message.retry_after_ms,
      context: message.context,
      details: message.details,
      hint: message.hint,
    });
  }
}

/** An invalid message was received; `details.field` names the invalid field, if it is known. */
export class ProtocolError extends VoxwireError {
  override readonly name = "ProtocolError";
}

function knownCode(code: string): ErrorCode {
  if (Object.hasOwn(ERRORS, code)) return code as ErrorCode;
  if (code.startsWith("client.")) return "client.malformed_message";
  return code.startsWith("system.") ? "system.engine_failed" : "server.internal";
}
