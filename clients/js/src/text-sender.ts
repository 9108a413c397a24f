/** Owns the text side of a context: what the caller wrote, in order, and how much of it was sent and accepted. */

import { type Clock, sleep } from "./clock.js";
import { countChars, sliceChars, SurrogateJoiner } from "./code-points.js";
import { Condition, Mutex } from "./condition.js";
import type { Outbox } from "./outbox.js";
import type { AcceptedMessage, FlushedMessage, Limits, TextMessage } from "./protocol/messages.js";
import type { Transcript } from "./transcript.js";

/** The most texts to send before `started`: if the `start` is refused, the server answers each with another error. */
const PIPELINED_TEXTS_MAX = 16;

/** What sending needs of its context. */
export interface TextContext {
  readonly context: string;
  /** Whether the context still takes text. */
  readonly takesText: boolean;
  /** Whether `start` was sent and `started` has not come yet. */
  readonly starting: boolean;
  readonly limits: Limits;
  readonly outbox: Outbox;
  readonly clock: Clock;
  /** Why the context takes no more text. */
  endError(): Error;
}

/** A flush that the caller requested after `chars` characters. */
interface Flush {
  readonly type: "flush";
  readonly id: string | null;
  readonly chars: number;
}

type Step = { readonly type: "text"; readonly text: string } | Flush | { readonly type: "end" };

/**
 * Sends text, flushes and the end in the order in which the caller wrote them, as fast as the server accepts them.
 *
 * After `restart` the rest of the text is sent to another session.
 */
export class TextSender {
  ended = false;
  firstTextAt: number | null = null;
  readonly #context: TextContext;
  readonly #transcript: Transcript;
  readonly #mutex = new Mutex();
  readonly #changed = new Condition();
  readonly #joiner = new SurrogateJoiner();
  /** What was written and not sent yet. */
  #pending: Step[] = [];
  #unansweredFlushes: Flush[] = [];
  /** How many times another session took over. */
  #sessions = 0;
  /** The character of the caller's text that is the session's first. */
  #fromChar = 0;
  #sentChars = 0;
  #nextSeq = 0;
  #acceptedSeq = -1;
  #acceptedChars = 0;
  /** How many `accepted` have come. */
  #acceptedCount = 0;
  /** How long the server wants the client to wait before it sends the refused text again; null: it refused none. */
  #pauseMs: number | null = null;

  constructor(context: TextContext, transcript: Transcript) {
    this.#context = context;
    this.#transcript = transcript;
  }

  // -- called by the context's user ---------------------------------------------------------------------------------

  /** See `Context.text`. */
  text(piece: string, flush: boolean): Promise<void> {
    return this.#mutex.runExclusive(async () => {
      this.#check();
      this.#append(this.#joiner.push(piece));
      if (flush) this.#flush(null);
      await this.#sendAll();
    });
  }

  /** See `Context.flush`. */
  flush(id: string | null): Promise<void> {
    return this.#mutex.runExclusive(async () => {
      this.#check();
      this.#flush(id);
      await this.#sendAll();
    });
  }

  /** See `Context.end`. */
  end(): Promise<void> {
    return this.#mutex.runExclusive(async () => {
      if (!this.#context.takesText || this.ended) return;
      this.#append(this.#joiner.end());
      this.ended = true;
      this.#pending.push({ type: "end" });
      await this.#send();
    });
  }

  /** See `Context.retract`. */
  retract(fromChar: number): Promise<number> {
    return this.#mutex.runExclusive(async () => {
      this.#check();
      this.#append(this.#joiner.end());
      while (!(await this.#tryRetract(fromChar))) this.#check();
      this.#transcript.truncate(this.#acceptedChars);
      this.#sentChars = this.#acceptedChars;
      this.#unansweredFlushes = this.#unansweredFlushes.map((flush) => {
        return { ...flush, chars: Math.min(flush.chars, this.#acceptedChars) };
      });
      return this.#acceptedChars;
    });
  }

  /** Sends one `retract`, and waits for the answer; false if another session took over meanwhile. */
  async #tryRetract(fromChar: number): Promise<boolean> {
    await this.#send();
    const session = this.#sessions;
    await this.#until(() => this.#acceptedSeq === this.#nextSeq - 1, session);
    this.#check();
    if (session !== this.#sessions) return false;
    const { context, outbox } = this.#context;
    const before = this.#acceptedCount;
    await outbox.send({ type: "retract", context, from_char: Math.max(0, fromChar - this.#fromChar) });
    await this.#until(() => this.#acceptedCount > before, session);
    return this.#acceptedCount > before && session === this.#sessions;
  }

  #append(text: string): void {
    if (text === "") return;
    this.#pending.push({ type: "text", text });
    this.#transcript.append(text);
    this.firstTextAt ??= this.#context.clock.now();
  }

  #flush(id: string | null): void {
    this.#append(this.#joiner.end());
    const flush: Flush = { type: "flush", id, chars: this.#transcript.chars };
    this.#pending.push(flush);
    this.#unansweredFlushes.push(flush);
  }

  #check(): void {
    if (this.ended || !this.#context.takesText) throw this.#context.endError();
  }

  // -- answers of the server ----------------------------------------------------------------------------------------

  /** The server accepted text, or a `retract`. */
  onAccepted(message: AcceptedMessage): void {
    this.#acceptedChars = message.chars + this.#fromChar;
    this.#acceptedCount++;
    if (message.text_seq !== undefined) this.#acceptedSeq = Math.max(this.#acceptedSeq, message.text_seq);
    this.notify();
  }

  /** Whether any text was sent in this session. */
  get sentAny(): boolean {
    return this.#nextSeq > 0;
  }

  /** The newest text that the server accepted, by the session's numbers; null: none. */
  get acceptedSeq(): number | null {
    return this.#acceptedSeq >= 0 ? this.#acceptedSeq : null;
  }

  /** A flush was answered. A `flushed` without an id can also be one that the caller did not ask for. */
  onFlushed(message: FlushedMessage): void {
    const [oldest] = this.#unansweredFlushes;
    if (oldest !== undefined && oldest.id === (message.id ?? null)) this.#unansweredFlushes.shift();
  }

  /** The server's text buffer is full: the newest text was refused, and is to be sent again after `pauseMs`. */
  onFull(pauseMs: number): void {
    this.#pauseMs = Math.max(this.#pauseMs ?? 0, pauseMs);
    this.notify();
  }

  /** The state of the context has changed, for which a pending call may be waiting. */
  notify(): void {
    this.#changed.notifyAll();
  }

  // -- another session ----------------------------------------------------------------------------------------------

  /**
   * Another session takes over, to which the text from `fromChar` on has to be sent. Returns the ids of the flushes
   * before that character, which count as answered.
   *
   * Sends nothing before `sendPending`.
   */
  restart(fromChar: number): (string | null)[] {
    const firstOpen = this.#unansweredFlushes.findIndex((flush) => !(flush.chars > 0 && flush.chars <= fromChar));
    const answered = this.#unansweredFlushes.splice(0, firstOpen < 0 ? this.#unansweredFlushes.length : firstOpen);
    this.#sessions++;
    this.#fromChar = this.#sentChars = fromChar;
    this.#nextSeq = 0;
    this.#acceptedSeq = -1;
    this.#pauseMs = null;
    this.#pending = this.#stepsFrom(fromChar);
    this.notify();
    return answered.map((flush) => flush.id);
  }

  /** The text from a character on, with the unanswered flushes and the end in their places. */
  #stepsFrom(fromChar: number): Step[] {
    const steps: Step[] = [];
    const { text, chars } = this.#transcript;
    let at = fromChar;
    for (const flush of this.#unansweredFlushes) {
      if (flush.chars > at) steps.push({ type: "text", text: sliceChars(text, at, flush.chars) });
      at = Math.max(at, flush.chars);
      steps.push(flush);
    }
    if (at < chars) steps.push({ type: "text", text: sliceChars(text, at) });
    if (this.ended) steps.push({ type: "end" });
    return steps;
  }

  /** Sends what was written and not sent yet. */
  sendPending(): Promise<void> {
    return this.#mutex.runExclusive(() => this.#send());
  }

  // -- sending ------------------------------------------------------------------------------------------------------

  /** Sends everything; throws the error that ended the context, if it ended before. */
  async #sendAll(): Promise<void> {
    await this.#send();
    if (this.#pending.length > 0) throw this.#context.endError();
  }

  async #send(): Promise<void> {
    const { context } = this.#context;
    for (let step = this.#pending[0]; step !== undefined && this.#context.takesText; step = this.#pending[0]) {
      if (step.type === "text") {
        await this.#sendText(step.text);
        continue;
      }
      this.#pending.shift();
      if (step.type === "end") await this.#context.outbox.send({ type: "end", context });
      else await this.#context.outbox.send({ type: "flush", context, ...(step.id !== null && { id: step.id }) });
    }
  }

  /** Sends the beginning of the first pending text, or waits until it may be sent. */
  async #sendText(text: string): Promise<void> {
    const session = this.#sessions;
    const { limits } = this.#context;
    // In a later session a text sent before `started` could open a context with default settings, if the server refuses
    // the `start`: the listener would hear that.
    const pipelinedMax = session === 0 ? PIPELINED_TEXTS_MAX : 0;
    if (this.#context.starting && this.#nextSeq >= pipelinedMax) {
      await this.#until(() => !this.#context.starting, session);
      return;
    }
    const piece = sliceChars(text, 0, limits.text_chars_max);
    const unspokenChars = this.#sentChars - this.#transcript.spokenChars;
    if (unspokenChars + countChars(piece) > limits.unspoken_chars_max) {
      await this.#sendUntilAccepted(piece, session);
      return;
    }
    const message = this.#message(piece);
    this.#markSent(piece);
    await this.#context.outbox.send(message);
  }

  #message(piece: string): TextMessage {
    return { type: "text", context: this.#context.context, text: piece, seq: this.#nextSeq };
  }

  #markSent(piece: string): void {
    const first = this.#pending[0];
    if (first?.type !== "text") throw new Error("a text that is being sent stays the first pending step");
    if (first.text.length > piece.length) this.#pending[0] = { type: "text", text: first.text.slice(piece.length) };
    else this.#pending.shift();
    this.#nextSeq++;
    this.#sentChars += countChars(piece);
  }

  /** Sends a text that may exceed the server's buffer, again after each refusal, until it is accepted. */
  async #sendUntilAccepted(piece: string, session: number): Promise<void> {
    const seq = this.#nextSeq;
    await this.#until(() => this.#acceptedSeq >= seq - 1, session);
    while (this.#acceptedSeq < seq && this.#context.takesText && session === this.#sessions) {
      this.#pauseMs = null;
      await this.#context.outbox.send(this.#message(piece));
      await this.#until(() => this.#acceptedSeq >= seq || this.#pauseMs !== null, session);
      // The server counts retries without a pause as abuse.
      if (this.#pauseMs !== null) await sleep(this.#context.clock, this.#pauseMs);
    }
    if (this.#acceptedSeq >= seq && session === this.#sessions) this.#markSent(piece);
  }

  /** Waits until `condition` holds, the context takes no more text, or another session has taken over. */
  async #until(condition: () => boolean, session: number): Promise<void> {
    while (this.#context.takesText && session === this.#sessions && !condition()) await this.#changed.wait();
  }
}
