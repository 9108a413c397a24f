/** Owns what a listener gets: audio frames, the server's messages as they are, and what became of the connection. */

import type {
  CancelledMessage,
  ClauseMessage,
  Codec,
  DoneMessage,
  FlushedMessage,
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
  /** Sent a second time, after a resume; the first time it did not come. */
  readonly replayed: boolean;
  readonly codec: Codec;
  readonly sampleRate: number;
  readonly frameSamples: number;
}

/** The connection dropped; the client tries to come back. Needs no answer. */
export interface InterruptedEvent {
  readonly type: "interrupted";
  /** The WebSocket's close code, 1006 without one. */
  readonly code: number;
  readonly reason: string;
}

/**
 * The connection is back. Needs no answer: audio goes on with the very next frame.
 *
 * Where the session could not be `resumed`, what was not heard is spoken anew: a context's speech goes on at code point
 * `chars` of its text and at `pts` of its clock; timings at or after `pts` that were told before count no more.
 */
export interface ReconnectedEvent {
  readonly type: "reconnected";
  readonly resumed: boolean;
  readonly awayMs: number;
  readonly pts?: number;
  readonly chars?: number;
}

/** What `for await` over an utterance gives. */
export type SpeechEvent =
  | AudioEvent
  | StartedMessage
  | ClauseMessage
  | TimingMessage
  | FlushedMessage
  | WarningMessage
  | CancelledMessage
  | DoneMessage
  | InterruptedEvent
  | ReconnectedEvent;
