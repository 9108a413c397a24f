/** Owns a session with a server: many utterances, over as many connections as it takes. */

import { type Clock, SYSTEM_CLOCK } from "./clock.js";
import { Context } from "./context.js";
import { Dialer, type Door } from "./dial.js";
import type { ConnectionLost } from "./errors.js";
import type { InterruptedEvent, ReconnectedEvent } from "./events.js";
import { Line } from "./line.js";
import { type SpeakOptions, start } from "./options.js";
import type { Link, Listener, Owner } from "./parties.js";
import type { Tokens } from "./pieces.js";
import type { Encoding } from "./protocol/codec.js";
import type { ContextState, DrainingMessage, ReadyMessage, StartMessage } from "./protocol/messages.js";
import type { SocketClass } from "./socket.js";
import { Speaking } from "./speaking.js";
import { Utterance } from "./utterance.js";
import { News } from "./waiting.js";

const CONNECT_MS_MAX = 10_000;
/** Any whole number will do; short ones are easier to write down. */
const SEEDS = 2 ** 32;

/** How to connect. */
export interface ConnectOptions {
  /** A token of `POST /v1/tokens`, or what fetches one; asked again for every connection. */
  readonly token?: string | (() => Promise<string>) | undefined;
  /** An API key, where headers can be sent: in Node, with the package `ws`. Never in a page. */
  readonly apiKey?: string | undefined;
  /** "json" by default. */
  readonly encoding?: Encoding | undefined;
  /** Whether a session whose connection drops comes back by itself; true by default. */
  readonly reconnect?: boolean | undefined;
  /** How long it tries; by default as long as the server keeps the session, thirty seconds at least. */
  readonly reconnectSeconds?: number | undefined;
  /** For the whole of one attempt to connect, in milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** The class of WebSockets to use. */
  readonly WebSocket?: SocketClass | undefined;
  /** Called when the connection drops and when it is back; `pts` and `chars` are left out. */
  readonly onChange?: ((event: InterruptedEvent | ReconnectedEvent) => void) | undefined;
  /** The time, for tests. */
  readonly clock?: Clock | undefined;
}

/**
 * A session; `connect` makes it. Many utterances can be spoken on it, one after another or at once.
 *
 * Where its connection drops it comes back by itself, and speech goes on where it was. It is `closed` only when that
 * fails, is not wanted, or when `close` was called.
 */
export class Session {
  readonly #lines: Lines;
  readonly #seeded: boolean;
  #names = 0;

  /** @internal `connect` makes them. */
  constructor(dialer: Dialer, door: Door, options: ConnectOptions) {
    this.#lines = new Lines(dialer, door, options);
    this.#seeded = options.reconnect ?? true;
  }

  /** The server's greeting, with its limits; another one where the session had to begin anew. */
  get ready(): ReadyMessage {
    return this.#lines.current.ready;
  }

  /** Whether there is a connection now. */
  get connected(): boolean {
    return this.#lines.current.connected;
  }

  /** Whether the session is over: the connection is gone and will not come back. */
  get closed(): boolean {
    return this.#lines.lost !== null;
  }

  /** Set once the server is going away; what comes next is spoken on another connection. */
  get draining(): DrainingMessage | null {
    return this.#lines.current.draining;
  }

  /** What each open context is doing, as the server last said. */
  get states(): Readonly<Record<string, ContextState>> {
    return this.#lines.current.conversation.states;
  }

  /**
   * Speaks a text, or pieces of text as they are written. Iterate over the result for its events.
   *
   * @throws RangeError a context can't be named so.
   */
  speak(text: Tokens, options: SpeakOptions = {}): Utterance {
    return new Utterance(this.#speaking(options), text);
  }

  /** A context whose text you write yourself: `text`, `flush`, `end`. Options as in `speak`. */
  context(options: SpeakOptions = {}): Context {
    return new Context(this.#speaking(options));
  }

  /**
   * Asks the server for an answer; returns the milliseconds it took.
   *
   * @throws ConnectionLost it does not answer any more.
   */
  async ping(): Promise<number> {
    const { current, clock } = this.#lines;
    const askedAt = clock.now();
    if (current.over !== null) throw current.over;
    await current.outbox.ping();
    return clock.now() - askedAt;
  }

  /** Waits until the session is over; returns why. */
  whenClosed(): Promise<ConnectionLost> {
    return this.#lines.whenLost;
  }

  /** Ends the session; what is still being spoken is dropped. */
  async close(): Promise<void> {
    await this.#lines.close();
  }

  #speaking(options: SpeakOptions): Speaking {
    const message = start(options, `u${++this.#names}`);
    return new Speaking(this.#lines, this.#seeded ? seeded(message) : message, options.signal);
  }
}

/** What has to be spoken anew on another server is to sound the same there. */
function seeded(message: StartMessage): StartMessage {
  return message.seed === undefined ? { ...message, seed: Math.floor(Math.random() * SEEDS) } : message;
}

/** The connection there is, and former ones on which speech is finished. */
class Lines implements Link, Owner {
  current: Line;
  lost: ConnectionLost | null = null;
  readonly reconnect: boolean;
  readonly reconnectMs: number | null;
  readonly clock: Clock;
  readonly whenLost: Promise<ConnectionLost>;
  readonly #dialer: Dialer;
  readonly #onChange: ConnectOptions["onChange"];
  readonly #former = new Set<Line>();
  readonly #vacated = new News();
  #resolveLost: (lost: ConnectionLost) => void = () => undefined;

  constructor(dialer: Dialer, door: Door, options: ConnectOptions) {
    this.reconnect = options.reconnect ?? true;
    this.reconnectMs = options.reconnectSeconds === undefined ? null : options.reconnectSeconds * 1000;
    this.clock = dialer.clock;
    this.#dialer = dialer;
    this.#onChange = options.onChange;
    this.whenLost = new Promise((resolve) => (this.#resolveLost = resolve));
    this.current = new Line(this, dialer, door.ready, door);
  }

  async close(): Promise<void> {
    await Promise.all([this.current, ...this.#former].map((line) => line.close()));
  }

  async attach(context: Listener): Promise<Line> {
    for (let former = this.#named(context.context); former !== null; former = this.#named(context.context)) {
      if (!former.leaving) throw new RangeError(`context ${context.context} is in use`);
      await this.#vacated.wait();
    }
    if (this.lost !== null) throw this.lost;
    if (this.current.draining !== null && this.reconnect) this.#succeed();
    this.current.adopt(context);
    return this.current;
  }

  move(context: Listener): boolean {
    const lines = [this.current, ...this.#former];
    const line = lines.find((each) => each.contexts.get(context.context) === context);
    if (!this.reconnect || line === undefined || this.lost !== null) return false;
    if (line === this.current) this.#succeed();
    line.detach(context);
    this.current.adopt(context);
    context.restart(this.current, null);
    return true;
  }

  happened(line: Line, event: InterruptedEvent | ReconnectedEvent): void {
    if (line !== this.current) return;
    try {
      this.#onChange?.(event);
    } catch (error) {
      // The caller's mistake, which is told as such, and must not end the session.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  successor(line: Line): Line | null {
    return line === this.current || this.lost !== null ? null : this.current;
  }

  ended(line: Line, lost: ConnectionLost): void {
    this.#former.delete(line);
    if (line === this.current && this.lost === null) {
      this.lost = lost;
      this.#resolveLost(lost);
    }
    this.#vacated.tell();
  }

  vacated(): void {
    this.#vacated.tell();
  }

  #named(name: string): Listener | null {
    for (const line of [this.current, ...this.#former]) {
      const found = line.contexts.get(name);
      if (found !== undefined) return found;
    }
    return null;
  }

  /** Opens another connection; on the one there is, speech under way is finished. */
  #succeed(): void {
    this.#former.add(this.current);
    this.current = new Line(this, this.#dialer, this.current.ready, null);
  }
}

/**
 * Connects to a server. `url` may leave out the path, may begin with http or https, and in a page may be relative.
 *
 * The first connection is tried once.
 *
 * @throws VoxwireError the server refused (client.not_authenticated, server.too_many_sessions, …).
 * @throws ConnectionLost there is no server, or it is not one of ours.
 * @throws TypeError the URL is none.
 * @throws Error the package `ws` is needed, and not installed.
 */
export async function connect(url: string, options: ConnectOptions = {}): Promise<Session> {
  const dialer = await Dialer.create(url, {
    token: options.token,
    apiKey: options.apiKey,
    encoding: options.encoding ?? "json",
    timeoutMs: options.timeoutMs ?? CONNECT_MS_MAX,
    socketClass: options.WebSocket,
    clock: options.clock ?? SYSTEM_CLOCK,
  });
  return new Session(dialer, await dialer.dial(), options);
}
