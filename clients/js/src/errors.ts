/** Owns the errors of the connection, and what the client does about error codes. Speech fails with `VoxwireError`s. */

import { CloseCode, type VoxwireError } from "./protocol/errors.js";

/** Close codes after which the client may connect again. */
const RETRYABLE: ReadonlySet<number> = new Set([
  CloseCode.ABNORMAL,
  CloseCode.GOING_AWAY,
  CloseCode.INTERNAL,
  CloseCode.RESTART,
  CloseCode.TRY_LATER,
]);
/** Error codes that forbid resuming, whatever the close code. */
const FINAL: ReadonlySet<string> = new Set(["client.not_authenticated", "client.not_allowed", "client.abuse"]);
/** Answers to a message that the client sent before it had received the end of the context. */
const LATE_MESSAGE: ReadonlySet<string> = new Set(["client.unknown_context", "client.context_ended"]);
/** Fields of `ack`. A refused `ack` has no consequences: no part of the client waits for it. */
const ACK_FIELDS: ReadonlySet<unknown> = new Set(["seq", "played_pts"]);
/** The pause before a retry where the server names none. */
const RETRY_MS = 500;

/** There is no connection, or no longer one. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
  /** The code of the server's last error before it closed; "connection_lost" without one. */
  readonly code: string;
  /** The code of the WebSocket's close, 1006 without one. */
  readonly closeCode: number;
  readonly reason: string;
  /** The server's last error about the session before it closed. */
  readonly error: VoxwireError | null;
  readonly retryAfterMs: number | null;

  constructor(closeCode: number, reason: string, error: VoxwireError | null = null) {
    const problem = error?.message ?? reason;
    super(`connection lost (${closeCode}${problem === "" ? "" : `: ${problem}`})`);
    this.code = error?.code ?? "connection_lost";
    this.closeCode = closeCode;
    this.reason = reason;
    this.error = error;
    this.retryAfterMs = error?.retryAfterMs ?? null;
  }

  /** Whether another attempt to connect may succeed. */
  get retryable(): boolean {
    return this.error?.retryable ?? RETRYABLE.has(this.closeCode);
  }

  /** Whether the session of this connection may be resumed on another one. */
  get dropped(): boolean {
    return RETRYABLE.has(this.closeCode) && !(this.error !== null && FINAL.has(this.error.code));
  }
}

/** Milliseconds to wait before the refused request is sent again. */
export function pauseMs(error: VoxwireError): number {
  return error.retryAfterMs ?? RETRY_MS;
}

/** Whether an error of a context has no effect on its audio, and the caller need not know of it. */
export function isHarmless(error: VoxwireError): boolean {
  const refusedAck = error.code === "client.invalid_field" && ACK_FIELDS.has(error.details["field"]);
  return refusedAck || LATE_MESSAGE.has(error.code);
}
