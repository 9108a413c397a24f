/** Owns what a session, its lines and its contexts want of each other. */

import type { Clock } from "./clock.js";
import type { ConnectionLost } from "./errors.js";
import type { InterruptedEvent, ReconnectedEvent } from "./events.js";
import type { Line } from "./line.js";
import type { AudioFrame } from "./protocol/audio.js";
import type { AckMessage, ServerMessage } from "./protocol/messages.js";

/** A message about one context. */
export type ContextMessage = Extract<ServerMessage, { readonly context?: string }>;

/** What a line needs of a context. */
export interface Listener {
  readonly context: string;
  /** Whether it only waits for the server's last word. */
  readonly leaving: boolean;
  take(message: ContextMessage): void;
  takeFrame(frame: AudioFrame): void;
  /** What to tell the server of audio received and played; null: nothing new. */
  acknowledgement(): AckMessage | null;
  /** The newest frame received and the newest text accepted, by the server's numbers; null: none. */
  progress(): { readonly seq: number | null; readonly textSeq: number | null };
  /** The connection dropped, and may come back. */
  interrupted(event: InterruptedEvent): void;
  /** The session goes on where it was. */
  resumed(event: ReconnectedEvent): void;
  /** The session is gone; `line` has a fresh one. Without an event nobody needs to be told. */
  restart(line: Line, event: ReconnectedEvent | null): void;
  /** The connection will not come back. */
  lost(error: ConnectionLost): void;
}

/** What a context needs of its session. */
export interface Link {
  readonly clock: Clock;
  /**
   * Takes the context's messages from now on; waits until a former context of its name is over.
   *
   * @throws RangeError the name is in use. ConnectionLost: there is no connection, nor will be.
   */
  attach(context: Listener): Promise<Line>;
  /** Lets the context begin anew elsewhere, as its server goes away; false where there is no elsewhere. */
  move(context: Listener): boolean;
}

/** Whose lines they are. */
export interface Owner {
  readonly reconnect: boolean;
  /** How long to try; null: as long as the server keeps the session, thirty seconds at least. */
  readonly reconnectMs: number | null;
  /** A connection dropped, or came back. */
  happened(line: Line, event: InterruptedEvent | ReconnectedEvent): void;
  /** The line to which what is left of this one's speech can go; null: it has to come back itself. */
  successor(line: Line): Line | null;
  /** A line is over. */
  ended(line: Line, lost: ConnectionLost): void;
  /** A context's name is free. */
  vacated(): void;
}
