/** Owns one session of the server's over all the sockets that carry it: drops, comes back, resumes, or begins anew. */

import { Backoff } from "./backoff.js";
import { Conversation } from "./conversation.js";
import { type Dialer, type Door, isClosed, refusalCode } from "./dial.js";
import { ConnectionLost } from "./errors.js";
import type { ReconnectedEvent } from "./events.js";
import { Outbox } from "./outbox.js";
import type { Listener, Owner } from "./parties.js";
import { CloseCode, VoxwireError } from "./protocol/errors.js";
import type { DrainingMessage, ReadyMessage, ResumedMessage, ResumeMessage } from "./protocol/messages.js";
import { within } from "./waiting.js";

const PATIENCE_MS_MIN = 30_000;
const CLOSE_MS_MAX = 2000;

/**
 * One session of the server's. Without a `door` it connects by itself, and takes messages meanwhile.
 *
 * What is said goes into `outbox`; everything that comes is counted.
 */
export class Line {
  /** The facts that hold: its own, or until it has those the ones it was given. */
  ready: ReadyMessage;
  readonly outbox: Outbox;
  readonly contexts = new Map<string, Listener>();
  readonly #owner: Owner;
  readonly #dialer: Dialer;
  readonly #backoff = new Backoff(Math.random);
  #conversation: Conversation;
  #known: boolean;
  #gone = false;
  #token: string;
  #awaySince: number;
  #giveUpAt: number | null = null;
  #hurry: (() => void) | null = null;

  constructor(owner: Owner, dialer: Dialer, ready: ReadyMessage, door: Door | null) {
    this.ready = ready;
    this.outbox = new Outbox(dialer.codec, dialer.clock);
    this.#owner = owner;
    this.#dialer = dialer;
    this.#known = door !== null;
    this.#token = ready.token;
    this.#awaySince = dialer.clock.now();
    this.#conversation = new Conversation(this, dialer, 0);
    void this.#run(door);
  }

  /** Whether there is a connection now. */
  get connected(): boolean {
    return this.outbox.flowing;
  }

  /** Why there will be no connection any more. */
  get over(): ConnectionLost | null {
    return this.outbox.over;
  }

  /** Set once the server is going away. */
  get draining(): DrainingMessage | null {
    return this.#conversation.draining;
  }

  /** What this session is known to say and to have said. */
  get conversation(): Conversation {
    return this.#conversation;
  }

  // -- contexts -----------------------------------------------------------------------------------------------------

  /** Takes a context's messages from now on. */
  adopt(context: Listener): void {
    this.contexts.set(context.context, context);
    this.#conversation.occupied();
  }

  /** A context is over. */
  detach(context: Listener): void {
    if (this.contexts.get(context.context) === context) this.contexts.delete(context.context);
    this.#conversation.forget(context);
    this.#owner.vacated();
  }

  // -- the life of a line -------------------------------------------------------------------------------------------

  /** Ends the session, from this side. */
  async close(): Promise<void> {
    const conversation = this.#conversation;
    this.#end(new ConnectionLost(CloseCode.NORMAL, "closed by this side"));
    this.#hurry?.();
    await conversation.close(CLOSE_MS_MAX);
  }

  async #run(first: Door | null): Promise<void> {
    let door = first;
    let lost = new ConnectionLost(CloseCode.ABNORMAL, "no connection was to be had");
    try {
      for (;;) {
        if (door === null) await this.#comeBack(lost);
        else this.#conversation.enter(door.connection);
        door = null;
        lost = await this.#conversation.ended();
        if (this.#conversation.progressed) {
          this.#backoff.succeeded();
          this.#giveUpAt = null;
        }
        if (this.over !== null || !this.#owner.reconnect || !lost.dropped || this.#handOver()) break;
        this.#interrupt(lost);
      }
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      lost = error;
    } finally {
      this.#end(lost);
    }
  }

  #end(lost: ConnectionLost): void {
    if (this.over !== null) return;
    this.outbox.end(lost);
    for (const context of [...this.contexts.values()]) context.lost(lost);
    this.#owner.ended(this, lost);
  }

  /** Lets speech that was not finished go on elsewhere, if there is an elsewhere. */
  #handOver(): boolean {
    const successor = this.#owner.successor(this);
    if (successor === null) return false;
    for (const context of [...this.contexts.values()]) {
      this.detach(context);
      successor.adopt(context);
      context.restart(successor, { type: "reconnected", resumed: false, awayMs: 0 });
    }
    return true;
  }

  #interrupt(lost: ConnectionLost): void {
    this.#awaySince = this.#dialer.clock.now();
    const event = { type: "interrupted", code: lost.closeCode, reason: lost.error?.message ?? lost.reason } as const;
    for (const context of [...this.contexts.values()]) context.interrupted(event);
    this.#owner.happened(this, event);
  }

  // -- coming back --------------------------------------------------------------------------------------------------

  /** Connects until it succeeds; throws ConnectionLost when it is not wanted, or the time is over. */
  async #comeBack(lost: ConnectionLost): Promise<void> {
    const { clock } = this.#dialer;
    this.#giveUpAt ??= clock.now() + this.#patienceMs();
    let why = lost;
    for (;;) {
      const delay = this.#backoff.nextMs(why.retryAfterMs);
      const left = this.#giveUpAt - clock.now();
      await this.#pause(Math.max(0, Math.min(delay, left)));
      if (this.over !== null) throw this.over;
      if (delay > left) throw why;
      try {
        return await this.#try(Math.min(this.#dialer.timeoutMs, Math.max(1, left - delay)));
      } catch (error) {
        if (this.over !== null) throw this.over;
        why = this.#refused(error);
      }
      if (!why.retryable) throw why;
    }
  }

  #refused(error: unknown): ConnectionLost {
    if (error instanceof ConnectionLost) return error;
    if (!(error instanceof VoxwireError)) throw error;
    // A draining server lets its own sessions in. Asked for again, this one would lead there again.
    if (error.code === "server.draining") this.#gone = true;
    return new ConnectionLost(refusalCode(error.code), error.message, error);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#dialer.clock.after(ms, resolve);
      this.#hurry = () => {
        stop();
        resolve();
      };
    });
  }

  #patienceMs(): number {
    return this.#owner.reconnectMs ?? Math.max(PATIENCE_MS_MIN, this.ready.resume_window_ms);
  }

  async #try(msMax: number): Promise<void> {
    const { clock } = this.#dialer;
    const endsAt = clock.now() + msMax;
    const resumable = this.#known && !this.#gone && this.ready.resume_window_ms > 0;
    const door = await this.#dialer.dial(resumable ? this.ready.session : null, msMax);
    try {
      const left = Math.max(1, endsAt - clock.now());
      const late = () => new ConnectionLost(CloseCode.ABNORMAL, "the server does not answer");
      const answer = resumable ? await within(clock, left, this.#resume(door), late) : FRESH;
      if (this.over !== null) throw this.over;
      this.#goOn(door, answer);
    } catch (error) {
      door.connection.abort();
      throw error;
    }
  }

  /** Asks for the session; returns the answer, or what came on the fresh one that stands in its place. */
  async #resume({ connection }: Door): Promise<Answer> {
    const { codec } = this.#dialer;
    connection.send(codec.encode(this.#request()));
    for (let freshReceived = 0; ; freshReceived++) {
      const raw = await connection.next();
      if (isClosed(raw)) throw new ConnectionLost(raw.code, raw.reason);
      const message = this.#conversation.decode(raw);
      if (message?.type === "resumed") return { resumed: message, freshReceived: 0 };
      if (message?.type === "resume_failed") return { resumed: null, freshReceived };
      if (message?.type === "error") throw VoxwireError.fromMessage(message);
    }
  }

  #request(): ResumeMessage {
    const contexts: Record<string, number> = {};
    const textSeq: Record<string, number> = {};
    for (const [name, context] of this.contexts) {
      const progress = context.progress();
      if (progress.seq !== null) contexts[name] = progress.seq;
      if (progress.textSeq !== null) textSeq[name] = progress.textSeq;
    }
    const { session } = this.ready;
    const { received } = this.#conversation;
    return { type: "resume", session, token: this.#token, received, contexts, text_seq: textSeq };
  }

  #goOn(door: Door, { resumed, freshReceived }: Answer): void {
    const first = !this.#known;
    this.#known = true;
    const awayMs = this.#dialer.clock.now() - this.#awaySince;
    const event: ReconnectedEvent = { type: "reconnected", resumed: resumed !== null, awayMs };
    if (resumed !== null) {
      this.#token = resumed.token;
      this.outbox.sayAgain(resumed.received);
      for (const context of [...this.contexts.values()]) context.resumed(event);
    } else {
      this.ready = door.ready;
      this.#token = door.ready.token;
      this.#gone = false;
      this.#conversation = new Conversation(this, this.#dialer, freshReceived);
      if (!first) this.#beginAnew(event);
    }
    this.#conversation.enter(door.connection);
    if (!first) this.#owner.happened(this, event);
  }

  #beginAnew(event: ReconnectedEvent): void {
    this.outbox.beginAnew();
    for (const context of [...this.contexts.values()]) context.restart(this, event);
  }
}

/** What became of a `resume`. */
interface Answer {
  readonly resumed: ResumedMessage | null;
  readonly freshReceived: number;
}

const FRESH: Answer = { resumed: null, freshReceived: 0 };
