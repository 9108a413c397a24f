/** Owns a session with a server: many utterances, over as many connections as it takes. */

import type { Context } from "./context.js";
import type { InterruptedEvent, ReconnectedEvent } from "./events.js";
import type { SpeakOptions } from "./options.js";
import type { ReadyMessage } from "./protocol/messages.js";
import type { Utterance } from "./utterance.js";

/** A text, or its pieces as they are written. null counts as empty: language models send deltas without text. */
export type Tokens = string | Iterable<string | null | undefined> | AsyncIterable<string | null | undefined>;

export interface ConnectOptions {
  readonly token?: string | (() => Promise<string>) | undefined;
  readonly apiKey?: string | undefined;
  readonly encoding?: "json" | "msgpack" | undefined;
  readonly reconnect?: boolean | undefined;
  readonly reconnectSeconds?: number | undefined;
  readonly onChange?: ((event: InterruptedEvent | ReconnectedEvent) => void) | undefined;
}

export class Session {
  get ready(): ReadyMessage { throw new Error("not there yet"); }
  get connected(): boolean { throw new Error("not there yet"); }
  speak(_text: Tokens, _options: SpeakOptions = {}): Utterance { throw new Error("not there yet"); }
  context(_options: SpeakOptions = {}): Context { throw new Error("not there yet"); }
  close(): Promise<void> { throw new Error("not there yet"); }
}

export function connect(_url: string, _options: ConnectOptions = {}): Promise<Session> { throw new Error("not there yet"); }
