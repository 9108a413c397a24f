/** Owns the receiving side of one server session: dispatches messages to contexts, sends acks, checks heartbeats. */

import type { Dialer } from "./dialer.js";
import { ConnectionLost } from "./errors.js";
import type { Outbox } from "./outbox.js";
import { type AudioFrame, isAudioFrame, parseAudioFrame } from "./protocol/audio.js";
import { isMap, type Raw } from "./protocol/codec.js";
import { CloseCode, ProtocolError, VoxwireError } from "./protocol/errors.js";
import type { AckMessage, ContextState, DrainingMessage, ReadyMessage, ServerMessage } from "./protocol/messages.js";
import type { Closed, WebSocketTransport } from "./web-socket-transport.js";

const ACK_MS = 200;
const SILENT_HEARTBEATS_MAX = 3;

/** A message about one context. */
export type ContextMessage = Extract<ServerMessage, { readonly context?: string }>;

/** A context, as far as receiving needs it. */
export interface MessageHandler {
  onMessage(message: ContextMessage): void;
  onFrame(frame: AudioFrame): void;
  /** The `ack` to send: what was received and played since the last one; null if nothing was. */
  nextAck(): AckMessage | null;
}

/** What a server session needs of the connection that carries it. `contexts` are the open ones, by name. */
interface SessionConnection {
  readonly ready: ReadyMessage;
  readonly outbox: Outbox;
  readonly contexts: ReadonlyMap<string, MessageHandler>;
}

/** One session of the server's, over one WebSocket after another. */
export class ServerSession {
  draining: DrainingMessage | null = null;
  states: Readonly<Record<string, ContextState>> = {};
  /** How many messages and audio frames were received, without those that open or resume a session. */
  received: number;
  readonly #connection: SessionConnection;
  readonly #dialer: Dialer;
  /** Open contexts by the number that audio frames carry. */
  readonly #contextsByNumber = new Map<number, MessageHandler>();
  #socket: WebSocketTransport | null = null;
  #closed: Promise<ConnectionLost> = Promise.resolve(new ConnectionLost(CloseCode.ABNORMAL, ""));
  #resolveClosed: (lost: ConnectionLost) => void = () => undefined;
  /** The newest error about the session as a whole. */
  #sessionError: VoxwireError | null = null;
  /** Whether anything was received since the newest heartbeat. */
  #alive = true;
  /** The count of messages received and confirmed when the newest WebSocket was attached. */
  #countBefore = 0;
  #ackedAt = 0;
  #stopAcks: (() => void) | null = null;
  #stopHeartbeats: (() => void) | null = null;

  constructor(connection: SessionConnection, dialer: Dialer, received: number) {
    this.#connection = connection;
    this.#dialer = dialer;
    this.received = received;
  }

  // -- WebSockets ---------------------------------------------------------------------------------------------------

  /** Continues over `socket`, on which the server has opened or resumed this session. */
  attach(socket: WebSocketTransport): void {
    this.#socket = socket;
    this.#sessionError = null;
    this.#closed = new Promise((resolve) => (this.#resolveClosed = resolve));
    this.#countBefore = this.received + this.#connection.outbox.received;
    this.#connection.outbox.writeTo(socket);
    this.#watchHeartbeats(socket, 0);
    this.scheduleAcks();
    socket.listen({
      onMessage: (raw) => this.#onRaw(socket, raw),
      onClosed: (closed) => this.#onClosed(socket, closed),
    });
  }

  /** Resolves when the newest WebSocket has closed, with the reason. */
  socketClosed(): Promise<ConnectionLost> {
    return this.#closed;
  }

  /** Whether messages were received or confirmed over the newest WebSocket. */
  get progressed(): boolean {
    return this.received + this.#connection.outbox.received > this.#countBefore;
  }

  /** Closes the WebSocket, and waits at most `msMax` milliseconds for the server's answer. */
  async close(msMax: number): Promise<void> {
    const socket = this.#socket;
    if (socket === null) return;
    socket.close(CloseCode.NORMAL);
    const stop = this.#dialer.clock.after(msMax, () => socket.abort());
    await this.#closed;
    stop();
  }

  #onClosed(socket: WebSocketTransport, { code, reason }: Closed): void {
    if (socket === this.#socket) this.#detach(new ConnectionLost(code, reason, this.#sessionError));
  }

  #detach(lost: ConnectionLost): void {
    this.#socket = null;
    this.#stopAcks?.();
    this.#stopHeartbeats?.();
    this.#stopAcks = this.#stopHeartbeats = null;
    if (this.#connection.outbox.lost === null) this.#connection.outbox.writeTo(null);
    this.#resolveClosed(lost);
  }

  /**
   * Aborts a WebSocket after several heartbeats without a message. Timer runs are counted rather than time measured: a
   * busy program, or a page in the background, reads late what the server sent in time.
   */
  #watchHeartbeats(socket: WebSocketTransport, silent: number): void {
    this.#alive = false;
    this.#stopHeartbeats = this.#dialer.clock.after(this.#connection.ready.heartbeat_ms, () => {
      const missed = this.#alive ? 0 : silent + 1;
      if (missed >= SILENT_HEARTBEATS_MAX) return socket.abort("the server does not answer");
      if (missed > 0 && this.#connection.outbox.lost === null) this.#connection.outbox.sendPing();
      this.#watchHeartbeats(socket, missed);
    });
  }

  // -- contexts -----------------------------------------------------------------------------------------------------

  /** Starts the periodic acks, if there are contexts and a WebSocket, and they do not run yet. */
  scheduleAcks(): void {
    if (this.#socket === null || this.#stopAcks !== null || this.#connection.contexts.size === 0) return;
    this.#ackedAt = this.#dialer.clock.now();
    this.#stopAcks = this.#dialer.clock.after(ACK_MS, () => {
      this.#stopAcks = null;
      this.#sendAcks();
      this.scheduleAcks();
    });
  }

  /** The context is over: audio frames with its number are dropped from now on. */
  removeContext(context: MessageHandler): void {
    for (const [number, each] of this.#contextsByNumber) {
      if (each === context) this.#contextsByNumber.delete(number);
    }
  }

  #sendAcks(): void {
    const { outbox, contexts } = this.#connection;
    this.#ackedAt = this.#dialer.clock.now();
    if (outbox.hasUnsent || outbox.lost !== null) return; // Acks would only lengthen a queue that is stuck.
    for (const context of contexts.values()) {
      const ack = context.nextAck();
      if (ack !== null) outbox.post(ack);
    }
  }

  // -- receiving ----------------------------------------------------------------------------------------------------

  #onRaw(socket: WebSocketTransport, raw: Raw): void {
    if (socket !== this.#socket) return;
    this.#alive = true;
    this.received++;
    try {
      this.#dispatch(raw);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#detach(new ConnectionLost(CloseCode.INVALID_DATA, "the server sent an invalid message", error));
      socket.close(CloseCode.INVALID_DATA, error.code);
    }
  }

  #dispatch(raw: Raw): void {
    if (typeof raw !== "string" && isAudioFrame(raw)) {
      const frame = parseAudioFrame(raw);
      this.#contextsByNumber.get(frame.number)?.onFrame(frame);
      // Timers run late in background pages, and the server stops sending audio that is not acknowledged.
      if (this.#dialer.clock.now() - this.#ackedAt > 2 * ACK_MS) this.#sendAcks();
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
        return this.#connection.outbox.onPong(message.t);
      case "state":
        this.states = message.contexts;
        if (message.received !== undefined) this.#connection.outbox.acknowledge(message.received);
        return;
      case "draining":
        this.draining = message;
        return;
      default:
        this.#dispatchToContext(message);
    }
  }

  /** The decoded message; null for binary data and message types that this version does not know. */
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

  #dispatchToContext(message: ContextMessage): void {
    if (message.context === undefined) {
      if (message.type === "error") this.#sessionError = VoxwireError.fromMessage(message);
      return;
    }
    const context = this.#connection.contexts.get(message.context);
    if (context === undefined) return;
    context.onMessage(message);
    if (message.type === "started" && this.#connection.contexts.get(message.context) === context) {
      this.#contextsByNumber.set(message.number, context);
    }
  }
}
