/** Owns what goes wrong with a connection. What goes wrong with speech is a `VoxwireError` of the protocol. */

import { CloseCode, type VoxwireError } from "./protocol/errors.js";

const RETRYABLE: ReadonlySet<number> = new Set([
  CloseCode.ABNORMAL,
  CloseCode.GOING_AWAY,
  CloseCode.INTERNAL,
  CloseCode.RESTART,
  CloseCode.TRY_LATER,
]);
/** Whoever was told this is not wanted, whatever the close code says. */
const FINAL: ReadonlySet<string> = new Set(["client.not_authenticated", "client.not_allowed", "client.abuse"]);
/** Answers to what crossed the end of a context on the wire. */
const CROSSED: ReadonlySet<string> = new Set(["client.unknown_context", "client.context_ended"]);
/** What a context is refused of an `ack`, which nobody waits for. */
const ACKED_FIELDS: ReadonlySet<unknown> = new Set(["seq", "played_pts"]);
/** The pause where the server names none. */
const RETRY_MS = 500;

/** There is no connection, or no longer one. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
  /** The code of what the server said before it closed; "connection_lost" where it said nothing. */
  readonly code: string;
  /** The code of the WebSocket's close, 1006 without one. */
  readonly closeCode: number;
  readonly reason: string;
  /** What the server said of the session before it closed. */
  readonly error: VoxwireError | null;
  readonly retryAfterMs: number | null;

  constructor(closeCode: number, reason: string, error: VoxwireError | null = null) {
    const said = error?.message ?? reason;
    super(`connection lost (${closeCode}${said === "" ? "" : `: ${said}`})`);
    this.code = error?.code ?? "connection_lost";
    this.closeCode = closeCode;
    this.reason = reason;
    this.error = error;
    this.retryAfterMs = error?.retryAfterMs ?? null;
  }

  /** Whether connecting anew may succeed. */
  get retryable(): boolean {
    return this.error?.retryable ?? RETRYABLE.has(this.closeCode);
  }

  /** Whether the session that was on this connection may go on at another one. */
  get dropped(): boolean {
    return RETRYABLE.has(this.closeCode) && !(this.error !== null && FINAL.has(this.error.code));
  }
}

/** How long to wait before the same is asked for again. */
export function pauseMs(error: VoxwireError): number {
  return error.retryAfterMs ?? RETRY_MS;
}

/** Whether an error of a context changes nothing for whoever listens to it. */
export function isHarmless(error: VoxwireError): boolean {
  const acked = error.code === "client.invalid_field" && ACKED_FIELDS.has(error.details["field"]);
  return acked || CROSSED.has(error.code);
}
