/** Owns one server session across dropped WebSockets: reconnects, resumes, or continues in a new session. */

import { Backoff } from "./backoff.js";
import { withTimeout } from "./clock.js";
import { type Dialer, isClosed, type OpenSocket, refusalCode } from "./dialer.js";
import { ConnectionLost } from "./errors.js";
import type { InterruptedEvent, ReconnectedEvent } from "./events.js";
import { Outbox } from "./outbox.js";
import { CloseCode, VoxwireError } from "./protocol/errors.js";
import type { DrainingMessage, ReadyMessage, ResumedMessage, ResumeMessage } from "./protocol/messages.js";
import { type MessageHandler, ServerSession } from "./server-session.js";

const RECONNECT_MS_MIN = 30_000;
const CLOSE_MS_MAX = 2000;

/** A context that speaks over a connection. */
export interface ContextHandler extends MessageHandler {
  /** The context's name. */
  readonly context: string;
  /** Whether it is cancelled or refused, and only waits for the server's `done`. */
  readonly closing: boolean;
  /** The newest frame received and the newest text accepted, by the server's numbers; null: none. */
  progress(): { readonly seq: number | null; readonly textSeq: number | null };
  /** The WebSocket closed; the connection reconnects. */
  onInterrupted(event: InterruptedEvent): void;
  /** The session was resumed. */
  onResumed(event: ReconnectedEvent): void;
  /** The session is lost: start again in the new one of `connection`. `event`, if any, is for the caller. */
  restart(connection: ResumableConnection, event: ReconnectedEvent | null): void;
  /** The connection is lost for good. */
  onLost(error: ConnectionLost): void;
}

/** The owner of connections: the client's session. */
export interface ConnectionOwner {
  readonly reconnect: boolean;
  /** How long to try to reconnect; null: as long as the server keeps the session, thirty seconds at least. */
  readonly reconnectMs: number | null;
  /** A WebSocket closed, or the connection is back. */
  onConnectionEvent(connection: ResumableConnection, event: InterruptedEvent | ReconnectedEvent): void;
  /** The connection that takes over this one's contexts; null: there is none, and this one has to reconnect. */
  successor(connection: ResumableConnection): ResumableConnection | null;
  /** The connection is closed for good. */
  onConnectionLost(connection: ResumableConnection, lost: ConnectionLost): void;
  /** A context is over, and its name is free. */
  onContextDetached(): void;
}

/**
 * A connection that survives its WebSockets: reconnects when one drops, and resumes the server session, or replaces it.
 *
 * Constructed without an open WebSocket it connects by itself, and takes messages meanwhile. Messages go out through
 * `outbox`.
 */
export class ResumableConnection {
  /** The server's `ready`: of the newest session, or until one is open the one given to the constructor. */
  ready: ReadyMessage;
  readonly outbox: Outbox;
  readonly contexts = new Map<string, ContextHandler>();
  readonly #owner: ConnectionOwner;
  readonly #dialer: Dialer;
  readonly #backoff = new Backoff(Math.random);
  #serverSession: ServerSession;
  /** Whether a session was ever open on this connection. */
  #opened: boolean;
  /** Whether the server has refused to resume the session because it is draining. */
  #unresumable = false;
  #resumeToken: string;
  #awaySince: number;
  #giveUpAt: number | null = null;
  /** Ends the pause between two attempts early. */
  #endPause: (() => void) | null = null;

  constructor(owner: ConnectionOwner, dialer: Dialer, ready: ReadyMessage, open: OpenSocket | null) {
    this.ready = ready;
    this.outbox = new Outbox(dialer.codec, dialer.clock);
    this.#owner = owner;
    this.#dialer = dialer;
    this.#opened = open !== null;
    this.#resumeToken = ready.token;
    this.#awaySince = dialer.clock.now();
    this.#serverSession = new ServerSession(this, dialer, 0);
    void this.#run(open);
  }

  /** Whether a WebSocket is open now. */
  get connected(): boolean {
    return this.outbox.connected;
  }

  /** Why the connection is closed for good; null: it is not. */
  get lost(): ConnectionLost | null {
    return this.outbox.lost;
  }

  /** Set once the server is draining. */
  get draining(): DrainingMessage | null {
    return this.#serverSession.draining;
  }

  /** The server session that this connection carries now. */
  get serverSession(): ServerSession {
    return this.#serverSession;
  }

  // -- contexts -----------------------------------------------------------------------------------------------------

  /** Passes the messages of a context to it from now on. */
  addContext(context: ContextHandler): void {
    this.contexts.set(context.context, context);
    this.#serverSession.scheduleAcks();
  }

  /** A context is over, or moves to another connection. */
  removeContext(context: ContextHandler): void {
    if (this.contexts.get(context.context) === context) this.contexts.delete(context.context);
    this.#serverSession.removeContext(context);
    this.#owner.onContextDetached();
  }

  // -- the life of a connection -------------------------------------------------------------------------------------

  /** Closes the connection for good, from this side. */
  async close(): Promise<void> {
    const serverSession = this.#serverSession;
    this.#close(new ConnectionLost(CloseCode.NORMAL, "closed by this side"));
    this.#endPause?.();
    await serverSession.close(CLOSE_MS_MAX);
  }

  /** Carries the session over one WebSocket after another, until it is lost, handed over or closed. */
  async #run(first: OpenSocket | null): Promise<void> {
    let open = first;
    let lost = new ConnectionLost(CloseCode.ABNORMAL, "there was no connection yet");
    try {
      for (;;) {
        if (open === null) await this.#reconnect(lost);
        else this.#serverSession.attach(open.socket);
        open = null;
        lost = await this.#serverSession.socketClosed();
        if (this.#serverSession.progressed) {
          this.#backoff.succeeded();
          this.#giveUpAt = null;
        }
        if (this.lost !== null || !this.#owner.reconnect || !lost.dropped || this.#handOver()) break;
        this.#interrupt(lost);
      }
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      lost = error;
    } finally {
      this.#close(lost);
    }
  }

  #close(lost: ConnectionLost): void {
    if (this.lost !== null) return;
    this.outbox.close(lost);
    for (const context of [...this.contexts.values()]) context.onLost(lost);
    this.#owner.onConnectionLost(this, lost);
  }

  /** Moves unfinished contexts to the successor; false if there is none. */
  #handOver(): boolean {
    const successor = this.#owner.successor(this);
    if (successor === null) return false;
    for (const context of [...this.contexts.values()]) {
      this.removeContext(context);
      successor.addContext(context);
      context.restart(successor, { type: "reconnected", resumed: false, awayMs: 0 });
    }
    return true;
  }

  #interrupt(lost: ConnectionLost): void {
    this.#awaySince = this.#dialer.clock.now();
    const event = { type: "interrupted", code: lost.closeCode, reason: lost.error?.message ?? lost.reason } as const;
    for (const context of [...this.contexts.values()]) context.onInterrupted(event);
    this.#owner.onConnectionEvent(this, event);
  }

  // -- reconnecting -------------------------------------------------------------------------------------------------

  /** Connects until it succeeds; throws ConnectionLost if the server refuses for good, or the time is up. */
  async #reconnect(lost: ConnectionLost): Promise<void> {
    const { clock } = this.#dialer;
    this.#giveUpAt ??= clock.now() + this.#reconnectMsMax();
    let failure = lost;
    for (;;) {
      const delay = this.#backoff.nextMs(failure.retryAfterMs);
      const left = this.#giveUpAt - clock.now();
      await this.#pause(Math.max(0, Math.min(delay, left)));
      if (this.lost !== null) throw this.lost;
      if (delay > left) throw failure;
      try {
        return await this.#attempt(Math.min(this.#dialer.timeoutMs, Math.max(1, left - delay)));
      } catch (error) {
        if (this.lost !== null) throw this.lost;
        failure = this.#failureOf(error);
      }
      if (!failure.retryable) throw failure;
    }
  }

  /** What an attempt threw, as a ConnectionLost. */
  #failureOf(error: unknown): ConnectionLost {
    if (error instanceof ConnectionLost) return error;
    if (!(error instanceof VoxwireError)) throw error;
    // A draining server admits only clients that resume. With this session's id in the URL, a load balancer would lead
    // there again; the next attempt opens a new session.
    if (error.code === "server.draining") this.#unresumable = true;
    return new ConnectionLost(refusalCode(error.code), error.message, error);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#dialer.clock.after(ms, resolve);
      this.#endPause = () => {
        stop();
        resolve();
      };
    });
  }

  #reconnectMsMax(): number {
    return this.#owner.reconnectMs ?? Math.max(RECONNECT_MS_MIN, this.ready.resume_window_ms);
  }

  async #attempt(msMax: number): Promise<void> {
    const { clock } = this.#dialer;
    const endsAt = clock.now() + msMax;
    const resumable = this.#opened && !this.#unresumable && this.ready.resume_window_ms > 0;
    const open = await this.#dialer.dial(resumable ? this.ready.session : null, msMax);
    try {
      const left = Math.max(1, endsAt - clock.now());
      const onTimeout = () => new ConnectionLost(CloseCode.ABNORMAL, "the server does not answer");
      const outcome = resumable ? await withTimeout(clock, left, this.#resume(open), onTimeout) : NOT_RESUMED;
      if (this.lost !== null) throw this.lost;
      this.#continueOn(open, outcome);
    } catch (error) {
      open.socket.abort();
      throw error;
    }
  }

  /** Asks the server to resume the session; returns its answer. */
  async #resume({ socket }: OpenSocket): Promise<ResumeOutcome> {
    const { codec } = this.#dialer;
    socket.send(codec.encode(this.#resumeMessage()));
    for (let newSessionReceived = 0; ; newSessionReceived++) {
      const raw = await socket.next();
      if (isClosed(raw)) throw new ConnectionLost(raw.code, raw.reason);
      const message = this.#serverSession.decode(raw);
      if (message?.type === "resumed") return { resumed: message, newSessionReceived: 0 };
      if (message?.type === "resume_failed") return { resumed: null, newSessionReceived };
      if (message?.type === "error") throw VoxwireError.fromMessage(message);
    }
  }

  #resumeMessage(): ResumeMessage {
    const contexts: Record<string, number> = {};
    const textSeq: Record<string, number> = {};
    for (const [name, context] of this.contexts) {
      const progress = context.progress();
      if (progress.seq !== null) contexts[name] = progress.seq;
      if (progress.textSeq !== null) textSeq[name] = progress.textSeq;
    }
    const { session } = this.ready;
    const { received } = this.#serverSession;
    return { type: "resume", session, token: this.#resumeToken, received, contexts, text_seq: textSeq };
  }

  #continueOn(open: OpenSocket, { resumed, newSessionReceived }: ResumeOutcome): void {
    const first = !this.#opened;
    this.#opened = true;
    const awayMs = this.#dialer.clock.now() - this.#awaySince;
    const event: ReconnectedEvent = { type: "reconnected", resumed: resumed !== null, awayMs };
    if (resumed !== null) {
      this.#resumeToken = resumed.token;
      this.outbox.resend(resumed.received);
      for (const context of [...this.contexts.values()]) context.onResumed(event);
    } else {
      this.ready = open.ready;
      this.#resumeToken = open.ready.token;
      this.#unresumable = false;
      this.#serverSession = new ServerSession(this, this.#dialer, newSessionReceived);
      if (!first) this.#restartContexts(event);
    }
    this.#serverSession.attach(open.socket);
    if (!first) this.#owner.onConnectionEvent(this, event);
  }

  #restartContexts(event: ReconnectedEvent): void {
    this.outbox.reset();
    for (const context of [...this.contexts.values()]) context.restart(this, event);
  }
}

/** The server's answer to `resume`: `resumed`, or null where it opened a new session in place of the lost one. */
interface ResumeOutcome {
  readonly resumed: ResumedMessage | null;
  /** How many messages of the new session came before the answer. */
  readonly newSessionReceived: number;
}

const NOT_RESUMED: ResumeOutcome = { resumed: null, newSessionReceived: 0 };
