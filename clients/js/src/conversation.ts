/** Owns what comes on one session of the server's: it is counted, handed to its context, acknowledged, and awaited. */

import type { Dialer } from "./dial.js";
import { ConnectionLost } from "./errors.js";
import type { Outbox } from "./outbox.js";
import type { Listener } from "./parties.js";
import { isAudioFrame, parseAudioFrame } from "./protocol/audio.js";
import { isMap, type Raw } from "./protocol/codec.js";
import { CloseCode, ProtocolError, VoxwireError } from "./protocol/errors.js";
import type { ContextState, DrainingMessage, ReadyMessage, ServerMessage } from "./protocol/messages.js";
import type { Closed, Connection } from "./socket.js";

const ACK_MS = 200;
const SILENT_HEARTBEATS_MAX = 3;

/** What a conversation needs of its line. */
interface Side {
  readonly ready: ReadyMessage;
  readonly outbox: Outbox;
  readonly contexts: ReadonlyMap<string, Listener>;
}

/** The server's side of one session, over one connection after another. */
export class Conversation {
  draining: DrainingMessage | null = null;
  states: Readonly<Record<string, ContextState>> = {};
  /** How many messages and audio frames came, but for those that open or resume a session. */
  received: number;
  readonly #side: Side;
  readonly #dialer: Dialer;
  readonly #numbers = new Map<number, Listener>();
  #connection: Connection | null = null;
  #ending: Promise<ConnectionLost> = Promise.resolve(new ConnectionLost(CloseCode.ABNORMAL, ""));
  #end: (lost: ConnectionLost) => void = () => undefined;
  #said: VoxwireError | null = null;
  #alive = true;
  #before = 0;
  #ackedAt = 0;
  #stopAcks: (() => void) | null = null;
  #stopWatch: (() => void) | null = null;

  constructor(side: Side, dialer: Dialer, received: number) {
    this.#side = side;
    this.#dialer = dialer;
    this.received = received;
  }

  // -- connections --------------------------------------------------------------------------------------------------

  /** Goes on over a connection that the server has greeted. */
  enter(connection: Connection): void {
    this.#connection = connection;
    this.#said = null;
    this.#ending = new Promise((resolve) => (this.#end = resolve));
    this.#before = this.received + this.#side.outbox.received;
    this.#side.outbox.flow(connection);
    this.#watch(connection, 0);
    this.occupied();
    connection.listen({
      message: (raw) => this.#receive(connection, raw),
      closed: (closed) => this.#closed(connection, closed),
    });
  }

  /** Waits until the connection is gone; returns why. */
  ended(): Promise<ConnectionLost> {
    return this.#ending;
  }

  /** Whether the newest connection was good for anything. */
  get progressed(): boolean {
    return this.received + this.#side.outbox.received > this.#before;
  }

  /** Says goodbye, and waits for the answer for a while. */
  async close(msMax: number): Promise<void> {
    const connection = this.#connection;
    if (connection === null) return;
    connection.close(CloseCode.NORMAL);
    const stop = this.#dialer.clock.after(msMax, () => connection.abort());
    await this.#ending;
    stop();
  }

  #closed(connection: Connection, { code, reason }: Closed): void {
    if (connection === this.#connection) this.#leave(new ConnectionLost(code, reason, this.#said));
  }

  #leave(lost: ConnectionLost): void {
    this.#connection = null;
    this.#stopAcks?.();
    this.#stopWatch?.();
    this.#stopAcks = this.#stopWatch = null;
    if (this.#side.outbox.over === null) this.#side.outbox.flow(null);
    this.#end(lost);
  }

  /** Beats are counted, not time: a program that was busy itself, or a page in the background, has not lost its server. */
  #watch(connection: Connection, silent: number): void {
    this.#alive = false;
    this.#stopWatch = this.#dialer.clock.after(this.#side.ready.heartbeat_ms, () => {
      const missed = this.#alive ? 0 : silent + 1;
      if (missed >= SILENT_HEARTBEATS_MAX) return connection.abort("the server does not answer");
      if (missed > 0 && this.#side.outbox.over === null) this.#side.outbox.ask();
      this.#watch(connection, missed);
    });
  }

  // -- contexts -----------------------------------------------------------------------------------------------------

  /** There is a context: what comes is acknowledged from time to time. */
  occupied(): void {
    if (this.#connection === null || this.#stopAcks !== null || this.#side.contexts.size === 0) return;
    this.#ackedAt = this.#dialer.clock.now();
    this.#stopAcks = this.#dialer.clock.after(ACK_MS, () => {
      this.#stopAcks = null;
      this.#acknowledge();
      this.occupied();
    });
  }

  /** A context is over. */
  forget(context: Listener): void {
    for (const [number, each] of this.#numbers) {
      if (each === context) this.#numbers.delete(number);
    }
  }

  #acknowledge(): void {
    const { outbox, contexts } = this.#side;
    this.#ackedAt = this.#dialer.clock.now();
    if (outbox.waiting || outbox.over !== null) return; // What waits already is not helped by more.
    for (const context of contexts.values()) {
      const ack = context.acknowledgement();
      if (ack !== null) outbox.post(ack);
    }
  }

  // -- what comes ---------------------------------------------------------------------------------------------------

  #receive(connection: Connection, raw: Raw): void {
    if (connection !== this.#connection) return;
    this.#alive = true;
    this.received++;
    try {
      this.#take(raw);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#leave(new ConnectionLost(CloseCode.INVALID_DATA, "the server sent what is no message", error));
      connection.close(CloseCode.INVALID_DATA, error.code);
    }
  }

  #take(raw: Raw): void {
    if (typeof raw !== "string" && isAudioFrame(raw)) {
      const frame = parseAudioFrame(raw);
      this.#numbers.get(frame.number)?.takeFrame(frame);
      // Timers of a page in the background are late, and audio that is not acknowledged stops.
      if (this.#dialer.clock.now() - this.#ackedAt > 2 * ACK_MS) this.#acknowledge();
      return;
    }
    const message = this.decode(raw);
    if (message === null) return;
    switch (message.type) {
      case "ready":
      case "resumed":
      case "resume_failed":
        return;
      case "pong":
        return this.#side.outbox.answered(message.t);
      case "state":
        this.states = message.contexts;
        if (message.received !== undefined) this.#side.outbox.arrived(message.received);
        return;
      case "draining":
        this.draining = message;
        return;
      default:
        this.#takeOfContext(message);
    }
  }

  /** The message; null for what this version of the protocol may still get. */
  decode(raw: Raw): ServerMessage | null {
    const { codec } = this.#dialer;
    if (typeof raw !== "string" && !(codec.binary && isMap(raw))) return null;
    try {
      return codec.decode(raw);
    } catch (error) {
      if (error instanceof ProtocolError && error.code === "client.unknown_type") return null;
      throw error;
    }
  }

  #takeOfContext(message: Extract<ServerMessage, { readonly context?: string }>): void {
    if (message.context === undefined) {
      if (message.type === "error") this.#said = VoxwireError.fromMessage(message);
      return;
    }
    const context = this.#side.contexts.get(message.context);
    if (context === undefined) return;
    context.take(message);
    if (message.type === "started" && this.#side.contexts.get(message.context) === context) {
      this.#numbers.set(message.number, context);
    }
  }
}
