/** Owns the events that callers receive: audio frames, the server's messages as they are, changes of the connection. */

import type {
  CancelledMessage,
  ClauseMessage,
  Codec,
  DoneMessage,
  FlushedMessage,
  MarkMessage,
  StartedMessage,
  TimingMessage,
  WarningMessage,
} from "./protocol/messages.js";

/** One audio frame: `payload` in `codec`, its first sample at `pts` of the context's clock. */
export interface AudioEvent {
  readonly type: "audio";
  readonly payload: Uint8Array;
  readonly seq: number;
  readonly pts: number;
  /** The first of an utterance. */
  readonly first: boolean;
  /** The last of an utterance. */
  readonly last: boolean;
  /** Sent again after a resume: the first time it did not arrive. */
  readonly replayed: boolean;
  readonly codec: Codec;
  readonly sampleRate: number;
  readonly frameSamples: number;
}

/** The connection dropped; the client reconnects by itself. Callers can ignore this. */
export interface InterruptedEvent {
  readonly type: "interrupted";
  /** The WebSocket's close code, 1006 without one. */
  readonly code: number;
  readonly reason: string;
}

/**
 * The connection is back. Callers can ignore this: audio continues with the next frame.
 *
 * If the session could not be `resumed`, the text that was not heard is synthesized again: speech continues at code
 * point `chars` of the text and at `pts` of the context's clock, and earlier timings at or after `pts` are void.
 */
export interface ReconnectedEvent {
  readonly type: "reconnected";
  readonly resumed: boolean;
  readonly awayMs: number;
  readonly pts?: number;
  readonly chars?: number;
}

/** An event of the loop `for await` over an utterance. */
export type SpeechEvent =
  | AudioEvent
  | StartedMessage
  | ClauseMessage
  | TimingMessage
  | MarkMessage
  | FlushedMessage
  | WarningMessage
  | CancelledMessage
  | DoneMessage
  | InterruptedEvent
  | ReconnectedEvent;
