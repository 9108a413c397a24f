/** Owns the client's session: many utterances, over one connection after another. */

import { type Clock, SYSTEM_CLOCK } from "./clock.js";
import { Condition } from "./condition.js";
import { Context } from "./context.js";
import { ContextLifecycle, type ContextSession } from "./context-lifecycle.js";
import { Dialer, type OpenSocket } from "./dialer.js";
import type { ConnectionLost } from "./errors.js";
import type { InterruptedEvent, ReconnectedEvent } from "./events.js";
import { type SpeakOptions, start } from "./options.js";
import type { Encoding } from "./protocol/codec.js";
import type { ContextState, DrainingMessage, ReadyMessage, StartMessage } from "./protocol/messages.js";
import { type ConnectionOwner, type ContextHandler, ResumableConnection } from "./resumable-connection.js";
import type { Tokens } from "./text-source.js";
import { Utterance } from "./utterance.js";
import type { SocketClass } from "./web-socket-transport.js";

const CONNECT_MS_MAX = 10_000;
/** Seeds are drawn below this: the protocol allows more, but 32 bits are easier to write down. */
const SEEDS = 2 ** 32;

/** How to connect. */
export interface ConnectOptions {
  /** A token of `POST /v1/tokens`, or a function that fetches one; called for every attempt to connect. */
  readonly token?: string | (() => Promise<string>) | undefined;
  /** An API key, sent in a header: only in Node, with the package `ws`. Never in a page. */
  readonly apiKey?: string | undefined;
  /** "json" by default. */
  readonly encoding?: Encoding | undefined;
  /** Whether to reconnect when the connection drops; true by default. */
  readonly reconnect?: boolean | undefined;
  /** How long to try; by default as long as the server keeps the session, thirty seconds at least. */
  readonly reconnectSeconds?: number | undefined;
  /** The longest that one attempt to connect may take, in milliseconds; 10000 by default. */
  readonly timeoutMs?: number | undefined;
  /** The class of WebSockets to use instead of the platform's. */
  readonly WebSocket?: SocketClass | undefined;
  /** Called when the connection drops and when it is back, without `pts` and `chars`. */
  readonly onChange?: ((event: InterruptedEvent | ReconnectedEvent) => void) | undefined;
  /** Replaces the machine's clock in tests. */
  readonly clock?: Clock | undefined;
}

/**
 * A session, made by `connect`. It can speak many utterances, one after another or at once.
 *
 * When its connection drops, it reconnects by itself, and speech continues where it was. It is `closed` after `close`,
 * or when reconnecting failed or is switched off.
 */
export class Session {
  readonly #connections: SessionConnections;
  /** Whether each context gets a seed, so that another server speaks the rest of it in the same way. */
  readonly #addSeed: boolean;
  #names = 0;

  /** @internal Made by `connect`. */
  constructor(dialer: Dialer, open: OpenSocket, options: ConnectOptions) {
    this.#connections = new SessionConnections(dialer, open, options);
    this.#addSeed = options.reconnect ?? true;
  }

  /** The server's `ready`, with its limits; a new one after a reconnect that could not resume. */
  get ready(): ReadyMessage {
    return this.#connections.current.ready;
  }

  /** Whether a WebSocket is open now. */
  get connected(): boolean {
    return this.#connections.current.connected;
  }

  /** Whether the session is over: there is no connection, and the client does not try to reconnect. */
  get closed(): boolean {
    return this.#connections.lost !== null;
  }

  /** Set once the server is draining; new utterances are spoken over another connection. */
  get draining(): DrainingMessage | null {
    return this.#connections.current.draining;
  }

  /** The state of each open context, by its name, from the server's newest `state`. */
  get states(): Readonly<Record<string, ContextState>> {
    return this.#connections.current.serverSession.states;
  }

  /**
   * Speaks a text, or pieces of text as they are written. Iterate over the result for its events.
   *
   * @throws RangeError the context's name is invalid.
   */
  speak(text: Tokens, options: SpeakOptions = {}): Utterance {
    return new Utterance(this.#newContext(options), text);
  }

  /** A context whose text the caller writes: `text`, `flush`, `end`. Options as in `speak`. */
  context(options: SpeakOptions = {}): Context {
    return new Context(this.#newContext(options));
  }

  /**
   * Measures the round trip to the server, in milliseconds.
   *
   * @throws ConnectionLost the session is over, or ends before the answer comes.
   */
  async ping(): Promise<number> {
    const { current, clock } = this.#connections;
    const sentAt = clock.now();
    if (current.lost !== null) throw current.lost;
    await current.outbox.ping();
    return clock.now() - sentAt;
  }

  /** Resolves when the session is over, with the reason. */
  whenClosed(): Promise<ConnectionLost> {
    return this.#connections.whenLost;
  }

  /** Ends the session; utterances that are still being spoken are dropped. */
  async close(): Promise<void> {
    await this.#connections.close();
  }

  #newContext(options: SpeakOptions): ContextLifecycle {
    const message = start(options, `u${++this.#names}`);
    return new ContextLifecycle(this.#connections, this.#addSeed ? withSeed(message) : message, options.signal);
  }
}

/** The `start` with a random seed, if it has none. */
function withSeed(message: StartMessage): StartMessage {
  return message.seed === undefined ? { ...message, seed: Math.floor(Math.random() * SEEDS) } : message;
}

/** The current connection, and former ones to draining servers, on which open contexts are finished. */
class SessionConnections implements ContextSession, ConnectionOwner {
  current: ResumableConnection;
  lost: ConnectionLost | null = null;
  readonly reconnect: boolean;
  readonly reconnectMs: number | null;
  readonly clock: Clock;
  readonly whenLost: Promise<ConnectionLost>;
  readonly #dialer: Dialer;
  readonly #onChange: ConnectOptions["onChange"];
  readonly #former = new Set<ResumableConnection>();
  /** A context or a connection is over. */
  readonly #changed = new Condition();
  #resolveLost: (lost: ConnectionLost) => void = () => undefined;

  constructor(dialer: Dialer, open: OpenSocket, options: ConnectOptions) {
    this.reconnect = options.reconnect ?? true;
    this.reconnectMs = options.reconnectSeconds === undefined ? null : options.reconnectSeconds * 1000;
    this.clock = dialer.clock;
    this.#dialer = dialer;
    this.#onChange = options.onChange;
    this.whenLost = new Promise((resolve) => (this.#resolveLost = resolve));
    this.current = new ResumableConnection(this, dialer, open.ready, open);
  }

  async close(): Promise<void> {
    await Promise.all([this.current, ...this.#former].map((connection) => connection.close()));
  }

  async attach(context: ContextHandler): Promise<ResumableConnection> {
    for (let former = this.#find(context.context); former !== null; former = this.#find(context.context)) {
      if (!former.closing) throw new RangeError(`context ${context.context} is in use`);
      await this.#changed.wait();
    }
    if (this.lost !== null) throw this.lost;
    if (this.current.draining !== null && this.reconnect) this.#replaceCurrent();
    this.current.addContext(context);
    return this.current;
  }

  move(context: ContextHandler): boolean {
    const connections = [this.current, ...this.#former];
    const connection = connections.find((each) => each.contexts.get(context.context) === context);
    if (!this.reconnect || connection === undefined || this.lost !== null) return false;
    if (connection === this.current) this.#replaceCurrent();
    connection.removeContext(context);
    this.current.addContext(context);
    context.restart(this.current, null);
    return true;
  }

  onConnectionEvent(connection: ResumableConnection, event: InterruptedEvent | ReconnectedEvent): void {
    if (connection !== this.current) return;
    try {
      this.#onChange?.(event);
    } catch (error) {
      // Reported as uncaught: an error in the caller's function must not end the session.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  successor(connection: ResumableConnection): ResumableConnection | null {
    return connection === this.current || this.lost !== null ? null : this.current;
  }

  onConnectionLost(connection: ResumableConnection, lost: ConnectionLost): void {
    this.#former.delete(connection);
    if (connection === this.current && this.lost === null) {
      this.lost = lost;
      this.#resolveLost(lost);
    }
    this.#changed.notifyAll();
  }

  onContextDetached(): void {
    this.#changed.notifyAll();
  }

  #find(name: string): ContextHandler | null {
    for (const connection of [this.current, ...this.#former]) {
      const found = connection.contexts.get(name);
      if (found !== undefined) return found;
    }
    return null;
  }

  /** Opens another connection for new contexts; the current one finishes those it has. */
  #replaceCurrent(): void {
    this.#former.add(this.current);
    this.current = new ResumableConnection(this, this.#dialer, this.current.ready, null);
  }
}

/**
 * Connects to a server. `url` may leave out the path, may begin with http or https, and in a page may be relative.
 *
 * The first connection is attempted once only.
 *
 * @throws VoxwireError the server refused (client.not_authenticated, server.too_many_sessions, …).
 * @throws ConnectionLost no server answers, or it does not speak this protocol.
 * @throws TypeError the URL is invalid.
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
