/** Owns the messages that this side sends in one server session: in order, each once, across dropped WebSockets. */

import type { Clock } from "./clock.js";
import { Condition } from "./condition.js";
import type { ConnectionLost } from "./errors.js";
import type { Raw, WireCodec } from "./protocol/codec.js";
import type { ClientMessage } from "./protocol/messages.js";
import type { WebSocketTransport } from "./web-socket-transport.js";

/** `send` waits while more bytes than this are not acknowledged by the server. */
const UNACKNOWLEDGED_BYTES_MAX = 4 << 20;
/** The most to put into the WebSocket's own buffer, from which nothing can be withdrawn. */
const BUFFERED_BYTES_MAX = 64 << 10;
const BUFFER_POLL_MS = 10;

/** A caller of `ping` that waits for its `pong`. */
interface PendingPing {
  readonly resolve: () => void;
  readonly reject: (lost: ConnectionLost) => void;
}

/** Numbers the messages of one session, and keeps each until the server has acknowledged it. */
export class Outbox {
  /** Why nothing can be sent any more; null: it can. */
  lost: ConnectionLost | null = null;
  readonly #codec: WireCodec;
  readonly #clock: Clock;
  readonly #changed = new Condition();
  /** Encoded messages that are not acknowledged; the first has number `#firstNumber`. */
  #unacknowledged: Raw[] = [];
  #unacknowledgedBytes = 0;
  #firstNumber = 0;
  /** The number of the next message to write to the WebSocket. */
  #nextToWrite = 0;
  #socket: WebSocketTransport | null = null;
  /** Cancels the timer that polls a full WebSocket; null: none runs. */
  #stopPolling: (() => void) | null = null;
  #lastPingTime = 0;
  /** The message numbers of unanswered pings, by their `t`. */
  readonly #pingNumbers = new Map<number, number>();
  readonly #pendingPings = new Map<number, PendingPing>();
  /** Counts the sessions, so that `send` notices that its message belonged to a former one. */
  #sessions = 0;

  constructor(codec: WireCodec, clock: Clock) {
    this.#codec = codec;
    this.#clock = clock;
  }

  /** Whether there is a WebSocket to write to. */
  get connected(): boolean {
    return this.#socket !== null;
  }

  /** How many messages the server has acknowledged. */
  get received(): number {
    return this.#firstNumber;
  }

  /** Whether a message was not written to a WebSocket yet. */
  get hasUnsent(): boolean {
    return this.#nextToWrite < this.#endNumber;
  }

  get #endNumber(): number {
    return this.#firstNumber + this.#unacknowledged.length;
  }

  // -- sending ------------------------------------------------------------------------------------------------------

  /**
   * Queues a message, which is written as soon as there is a WebSocket; returns its number. Never waits.
   *
   * @throws ConnectionLost the outbox is closed.
   */
  post(message: ClientMessage): number {
    if (this.lost !== null) throw this.lost;
    const raw = this.#codec.encode(message);
    this.#unacknowledged.push(raw);
    this.#unacknowledgedBytes += raw.length;
    const number = this.#endNumber - 1;
    this.#write();
    return number;
  }

  /**
   * Queues a message, and waits until it is written; while there is no WebSocket, only if too much is unacknowledged.
   *
   * @throws ConnectionLost the outbox is closed.
   */
  async send(message: ClientMessage): Promise<void> {
    const [number, sessions] = [this.post(message), this.#sessions];
    while (this.lost === null && sessions === this.#sessions) {
      const full = this.#unacknowledgedBytes > UNACKNOWLEDGED_BYTES_MAX;
      if (!full && !(this.connected && this.#nextToWrite <= number)) return;
      if (full && this.#pingNumbers.size === 0) this.sendPing(); // Its `pong` acknowledges every message before it.
      await this.#changed.wait();
    }
  }

  /** Sends a `ping`; returns its `t`. */
  sendPing(): number {
    const t = ++this.#lastPingTime;
    this.#pingNumbers.set(t, this.post({ type: "ping", t }));
    return t;
  }

  /**
   * Waits until the server has answered a `ping`, and so has received everything sent before.
   *
   * @throws ConnectionLost the outbox is closed, or closes before the answer comes.
   */
  ping(): Promise<void> {
    return new Promise((resolve, reject) => this.#pendingPings.set(this.sendPing(), { resolve, reject }));
  }

  // -- delivery -----------------------------------------------------------------------------------------------------

  /** Writes to `socket` from now on; null: there is none for now. */
  writeTo(socket: WebSocketTransport | null): void {
    this.#stopPolling?.();
    this.#stopPolling = null;
    this.#socket = socket;
    this.#write();
    this.#changed.notifyAll();
  }

  /** The server has received the first `count` messages of the session. */
  acknowledge(count: number): void {
    const acknowledged = Math.min(count, this.#endNumber) - this.#firstNumber;
    if (acknowledged > 0) {
      for (const raw of this.#unacknowledged.splice(0, acknowledged)) this.#unacknowledgedBytes -= raw.length;
      this.#firstNumber += acknowledged;
    }
    this.#nextToWrite = Math.max(this.#nextToWrite, this.#firstNumber);
    this.#changed.notifyAll();
  }

  /** A `pong` was received. */
  onPong(t: number): void {
    const number = this.#pingNumbers.get(t);
    this.#pingNumbers.delete(t);
    if (number !== undefined) this.acknowledge(number + 1);
    this.#pendingPings.get(t)?.resolve();
    this.#pendingPings.delete(t);
  }

  /** The session was resumed: the server has the first `count` messages, and the rest is written again. */
  resend(count: number): void {
    this.acknowledge(count);
    this.#nextToWrite = this.#firstNumber;
  }

  /** A new session has begun: drops all messages, and sends the pings that callers wait for again. */
  reset(): void {
    this.#unacknowledged = [];
    this.#unacknowledgedBytes = this.#firstNumber = this.#nextToWrite = 0;
    this.#sessions++;
    this.#pingNumbers.clear();
    for (const t of this.#pendingPings.keys()) this.#pingNumbers.set(t, this.post({ type: "ping", t }));
    this.#changed.notifyAll();
  }

  /** Sends nothing any more; `send`, `post` and `ping` throw `lost`. */
  close(lost: ConnectionLost): void {
    this.lost = lost;
    this.writeTo(null);
    for (const pending of this.#pendingPings.values()) pending.reject(lost);
    this.#pendingPings.clear();
  }

  #write(): void {
    const socket = this.#socket;
    if (socket === null || this.#stopPolling !== null) return;
    const before = this.#nextToWrite;
    while (this.hasUnsent && socket.bufferedBytes < BUFFERED_BYTES_MAX) {
      const raw = this.#unacknowledged[this.#nextToWrite - this.#firstNumber] as Raw;
      // Advanced before sending: the acknowledgement may arrive before `send` returns.
      this.#nextToWrite++;
      socket.send(raw);
    }
    if (this.hasUnsent) {
      this.#stopPolling = this.#clock.after(BUFFER_POLL_MS, () => {
        this.#stopPolling = null;
        this.#write();
      });
    }
    if (this.#nextToWrite > before) this.#changed.notifyAll();
  }
}
