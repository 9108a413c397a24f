/** Owns what this side says to one session: in order, each message once, whatever becomes of the sockets under it. */

import type { Clock } from "./clock.js";
import type { ConnectionLost } from "./errors.js";
import type { Raw, WireCodec } from "./protocol/codec.js";
import type { ClientMessage } from "./protocol/messages.js";
import type { Connection } from "./socket.js";
import { News } from "./waiting.js";

/** Whoever writes more than the server is known to have waits. */
const UNCONFIRMED_BYTES_MAX = 4 << 20;
/** More does not go into the WebSocket's own buffer, where nothing can be taken back or overtaken. */
const BUFFERED_BYTES_MAX = 64 << 10;
const DRAIN_MS = 10;

/** Somebody who waits for a `pong`. */
interface Asker {
  readonly resolve: () => void;
  readonly reject: (lost: ConnectionLost) => void;
}

/** Numbers the messages of one session, and keeps each until the server is known to have it. */
export class Outbox {
  /** Why nothing can be said any more. */
  over: ConnectionLost | null = null;
  readonly #codec: WireCodec;
  readonly #clock: Clock;
  readonly #moved = new News();
  #kept: Raw[] = [];
  #keptBytes = 0;
  #first = 0;
  #written = 0;
  #connection: Connection | null = null;
  #draining: (() => void) | null = null;
  #times = 0;
  /** The numbers of pings that are not answered, by their `t`. */
  readonly #pings = new Map<number, number>();
  readonly #askers = new Map<number, Asker>();
  #sessions = 0;

  constructor(codec: WireCodec, clock: Clock) {
    this.#codec = codec;
    this.#clock = clock;
  }

  /** Whether there is a connection now. */
  get flowing(): boolean {
    return this.#connection !== null;
  }

  /** How many messages the server is known to have. */
  get received(): number {
    return this.#first;
  }

  /** Whether something has not been written yet. */
  get waiting(): boolean {
    return this.#written < this.#end;
  }

  get #end(): number {
    return this.#first + this.#kept.length;
  }

  // -- saying -------------------------------------------------------------------------------------------------------

  /**
   * Says something as soon as there is a connection; returns its number. Never waits.
   *
   * @throws ConnectionLost there will be none any more.
   */
  post(message: ClientMessage): number {
    if (this.over !== null) throw this.over;
    const raw = this.#codec.encode(message);
    this.#kept.push(raw);
    this.#keptBytes += raw.length;
    const number = this.#end - 1;
    this.#write();
    return number;
  }

  /**
   * Says something, and waits until it is on its way; not while the connection is away, unless too much waits.
   *
   * @throws ConnectionLost there will be none any more.
   */
  async send(message: ClientMessage): Promise<void> {
    const [number, sessions] = [this.post(message), this.#sessions];
    while (this.over === null && sessions === this.#sessions) {
      const full = this.#keptBytes > UNCONFIRMED_BYTES_MAX;
      if (!full && !(this.flowing && this.#written <= number)) return;
      if (full && this.#pings.size === 0) this.ask(); // The answer tells that everything before it has come.
      await this.moved();
    }
  }

  /** Says a `ping`; returns its `t`. */
  ask(): number {
    const t = ++this.#times;
    this.#pings.set(t, this.post({ type: "ping", t }));
    return t;
  }

  /**
   * Waits until the server has answered everything that was said so far.
   *
   * @throws ConnectionLost it does not answer any more.
   */
  ping(): Promise<void> {
    return new Promise((resolve, reject) => this.#askers.set(this.ask(), { resolve, reject }));
  }

  /** Waits until something was written or arrived, or a connection came or went. */
  moved(): Promise<void> {
    return this.#moved.wait();
  }

  // -- what becomes of it -------------------------------------------------------------------------------------------

  /** A connection came, or went. */
  flow(connection: Connection | null): void {
    this.#draining?.();
    this.#draining = null;
    this.#connection = connection;
    this.#write();
    this.#moved.tell();
  }

  /** The server has got the first `count` messages. */
  arrived(count: number): void {
    const known = Math.min(count, this.#end) - this.#first;
    if (known > 0) {
      for (const raw of this.#kept.splice(0, known)) this.#keptBytes -= raw.length;
      this.#first += known;
    }
    this.#written = Math.max(this.#written, this.#first);
    this.#moved.tell();
  }

  /** A `pong` came. */
  answered(t: number): void {
    const number = this.#pings.get(t);
    this.#pings.delete(t);
    if (number !== undefined) this.arrived(number + 1);
    this.#askers.get(t)?.resolve();
    this.#askers.delete(t);
  }

  /** The server has got the first `count` messages, and none of the rest. */
  sayAgain(count: number): void {
    this.arrived(count);
    this.#written = this.#first;
  }

  /** There is a fresh session: nothing that was said counts any more, but for pings that somebody awaits. */
  beginAnew(): void {
    this.#kept = [];
    this.#keptBytes = this.#first = this.#written = 0;
    this.#sessions++;
    this.#pings.clear();
    for (const t of this.#askers.keys()) this.#pings.set(t, this.post({ type: "ping", t }));
    this.#moved.tell();
  }

  /** Nothing can be said any more. */
  end(lost: ConnectionLost): void {
    this.over = lost;
    this.flow(null);
    for (const asker of this.#askers.values()) asker.reject(lost);
    this.#askers.clear();
  }

  #write(): void {
    const connection = this.#connection;
    if (connection === null || this.#draining !== null) return;
    const before = this.#written;
    while (this.waiting && connection.bufferedBytes < BUFFERED_BYTES_MAX) {
      const raw = this.#kept[this.#written - this.#first] as Raw;
      // Counted before: the server may have told that it came before `send` is back.
      this.#written++;
      connection.send(raw);
    }
    if (this.waiting) {
      this.#draining = this.#clock.after(DRAIN_MS, () => {
        this.#draining = null;
        this.#write();
      });
    }
    if (this.#written > before) this.#moved.tell();
  }
}
