/** Owns the text side of a context: what its caller wrote, in order, and how much of it the server has been told. */

import { countChars, Joiner, sliceChars } from "./characters.js";
import { type Clock } from "./clock.js";
import type { Outbox } from "./outbox.js";
import type { AcceptedMessage, FlushedMessage, Limits, TextMessage } from "./protocol/messages.js";
import type { Transcript } from "./transcript.js";
import { News, sleep, Turns } from "./waiting.js";

/** Texts sent before `started` has come: each of them is one mistake more if the `start` is refused. */
const PIPELINED_TEXTS_MAX = 16;

/** What the text side needs of its context. */
export interface Speech {
  readonly context: string;
  /** Whether the server still takes text of it. */
  readonly takesText: boolean;
  /** Whether `started` has not come yet. */
  readonly starting: boolean;
  readonly limits: Limits;
  readonly outbox: Outbox;
  readonly clock: Clock;
  /** Why no more text is taken. */
  whyOver(): Error;
}

/** A flush that was asked for after `chars` characters. */
interface Flush {
  readonly type: "flush";
  readonly id: string | null;
  readonly chars: number;
}

type Step = { readonly type: "text"; readonly text: string } | Flush | { readonly type: "end" };

/**
 * Says text, flushes and the end to the server, in the order in which they were written, as fast as it takes them.
 *
 * After `beginAnew` it is said to another session, from some character on.
 */
export class Writing {
  ended = false;
  firstTextAt: number | null = null;
  readonly #speech: Speech;
  readonly #transcript: Transcript;
  readonly #turns = new Turns();
  readonly #news = new News();
  readonly #joiner = new Joiner();
  #steps: Step[] = [];
  #unanswered: Flush[] = [];
  #sessions = 0;
  #fromChar = 0;
  #saidChars = 0;
  #nextSeq = 0;
  #acceptedSeq = -1;
  #acceptedChars = 0;
  #answers = 0;
  #pauseMs: number | null = null;

  constructor(speech: Speech, transcript: Transcript) {
    this.#speech = speech;
    this.#transcript = transcript;
  }

  // -- what the caller writes ---------------------------------------------------------------------------------------

  /** See `Context.text`. */
  text(piece: string, flush: boolean): Promise<void> {
    return this.#turns.take(async () => {
      this.#check();
      this.#append(this.#joiner.take(piece));
      if (flush) this.#flush(null);
      await this.#sayAll();
    });
  }

  /** See `Context.flush`. */
  flush(id: string | null): Promise<void> {
    return this.#turns.take(async () => {
      this.#check();
      this.#flush(id);
      await this.#sayAll();
    });
  }

  /** See `Context.end`. */
  end(): Promise<void> {
    return this.#turns.take(async () => {
      if (!this.#speech.takesText || this.ended) return;
      this.#append(this.#joiner.end());
      this.ended = true;
      this.#steps.push({ type: "end" });
      await this.#say();
    });
  }

  /** See `Context.retract`. */
  retract(fromChar: number): Promise<number> {
    return this.#turns.take(async () => {
      this.#check();
      this.#append(this.#joiner.end());
      while (!(await this.#retracted(fromChar))) this.#check();
      this.#transcript.truncate(this.#acceptedChars);
      this.#saidChars = this.#acceptedChars;
      this.#unanswered = this.#unanswered.map((f) => ({ ...f, chars: Math.min(f.chars, this.#acceptedChars) }));
      return this.#acceptedChars;
    });
  }

  /** Asks once; false where another session has to be asked. */
  async #retracted(fromChar: number): Promise<boolean> {
    await this.#say();
    const session = this.#sessions;
    await this.#until(() => this.#acceptedSeq === this.#nextSeq - 1, session);
    this.#check();
    if (session !== this.#sessions) return false;
    const { context, outbox } = this.#speech;
    const before = this.#answers;
    await outbox.send({ type: "retract", context, from_char: Math.max(0, fromChar - this.#fromChar) });
    await this.#until(() => this.#answers > before, session);
    return this.#answers > before && session === this.#sessions;
  }

  #append(text: string): void {
    if (text === "") return;
    this.#steps.push({ type: "text", text });
    this.#transcript.append(text);
    this.firstTextAt ??= this.#speech.clock.now();
  }

  #flush(id: string | null): void {
    this.#append(this.#joiner.end());
    const flush: Flush = { type: "flush", id, chars: this.#transcript.chars };
    this.#steps.push(flush);
    this.#unanswered.push(flush);
  }

  #check(): void {
    if (this.ended || !this.#speech.takesText) throw this.#speech.whyOver();
  }

  // -- what the server says -----------------------------------------------------------------------------------------

  /** The server took text. */
  accepted(message: AcceptedMessage): void {
    this.#acceptedChars = message.chars + this.#fromChar;
    this.#answers++;
    if (message.text_seq !== undefined) this.#acceptedSeq = Math.max(this.#acceptedSeq, message.text_seq);
    this.news();
  }

  /** Whether any text was said to this session. */
  get said(): boolean {
    return this.#nextSeq > 0;
  }

  /** The newest text that the server took, by its own number; null: none. */
  get acceptedSeq(): number | null {
    return this.#acceptedSeq >= 0 ? this.#acceptedSeq : null;
  }

  /** A flush is answered; one without an id may be the server's own. */
  flushed(message: FlushedMessage): void {
    if (this.#unanswered.length > 0 && this.#unanswered[0]?.id === (message.id ?? null)) this.#unanswered.shift();
  }

  /** The server took a text not yet. */
  full(pauseMs: number): void {
    this.#pauseMs = Math.max(this.#pauseMs ?? 0, pauseMs);
    this.news();
  }

  /** Something changed that a writer may wait for. */
  news(): void {
    this.#news.tell();
  }

  // -- a fresh session ----------------------------------------------------------------------------------------------

  /**
   * Another session is to be told everything from a character on; returns the ids of flushes that are answered by that.
   *
   * Nothing is said before `sayLeft`.
   */
  beginAnew(fromChar: number): (string | null)[] {
    const heard = this.#unanswered.findIndex((flush) => !(flush.chars > 0 && flush.chars <= fromChar));
    const answered = this.#unanswered.splice(0, heard < 0 ? this.#unanswered.length : heard);
    this.#sessions++;
    this.#fromChar = this.#saidChars = fromChar;
    this.#nextSeq = 0;
    this.#acceptedSeq = -1;
    this.#pauseMs = null;
    this.#steps = [];
    let at = fromChar;
    const { text, chars } = this.#transcript;
    for (const flush of this.#unanswered) {
      if (flush.chars > at) this.#steps.push({ type: "text", text: sliceChars(text, at, flush.chars) });
      at = Math.max(at, flush.chars);
      this.#steps.push(flush);
    }
    if (at < chars) this.#steps.push({ type: "text", text: sliceChars(text, at) });
    if (this.ended) this.#steps.push({ type: "end" });
    this.news();
    return answered.map((flush) => flush.id);
  }

  /** Says what has not been said yet. */
  sayLeft(): Promise<void> {
    return this.#turns.take(() => this.#say());
  }

  // -- saying it ----------------------------------------------------------------------------------------------------

  /** Says everything; throws what ended the context, if it did before all was said. */
  async #sayAll(): Promise<void> {
    await this.#say();
    if (this.#steps.length > 0) throw this.#speech.whyOver();
  }

  async #say(): Promise<void> {
    const { context } = this.#speech;
    for (let step = this.#steps[0]; step !== undefined && this.#speech.takesText; step = this.#steps[0]) {
      if (step.type === "text") {
        await this.#sayText(step.text);
        continue;
      }
      this.#steps.shift();
      if (step.type === "end") await this.#speech.outbox.send({ type: "end", context });
      else await this.#speech.outbox.send({ type: "flush", context, ...(step.id !== null && { id: step.id }) });
    }
  }

  async #sayText(text: string): Promise<void> {
    const session = this.#sessions;
    const { limits } = this.#speech;
    // In a fresh session nothing may be opened by a text whose `start` was refused: it would be heard.
    const aheadMax = session === 0 ? PIPELINED_TEXTS_MAX : 0;
    if (this.#speech.starting && this.#nextSeq >= aheadMax) {
      await this.#until(() => !this.#speech.starting, session);
      return;
    }
    const piece = sliceChars(text, 0, limits.text_chars_max);
    const waitingChars = this.#saidChars - this.#transcript.spokenChars;
    if (waitingChars + countChars(piece) > limits.unspoken_chars_max) {
      await this.#squeezeIn(piece, session);
      return;
    }
    const message = this.#message(piece);
    this.#said(piece);
    await this.#speech.outbox.send(message);
  }

  #message(piece: string): TextMessage {
    return { type: "text", context: this.#speech.context, text: piece, seq: this.#nextSeq };
  }

  #said(piece: string): void {
    const rest = this.#steps[0];
    if (rest?.type !== "text") throw new Error("nothing else is in the way while a text is being said");
    if (rest.text.length > piece.length) this.#steps[0] = { type: "text", text: rest.text.slice(piece.length) };
    else this.#steps.shift();
    this.#nextSeq++;
    this.#saidChars += countChars(piece);
  }

  /** Says text that may be too much until it is accepted. */
  async #squeezeIn(piece: string, session: number): Promise<void> {
    const seq = this.#nextSeq;
    await this.#until(() => this.#acceptedSeq >= seq - 1, session);
    while (this.#acceptedSeq < seq && this.#speech.takesText && session === this.#sessions) {
      this.#pauseMs = null;
      await this.#speech.outbox.send(this.#message(piece));
      await this.#until(() => this.#acceptedSeq >= seq || this.#pauseMs !== null, session);
      // Asked often, the server would take it for abuse.
      if (this.#pauseMs !== null) await sleep(this.#speech.clock, this.#pauseMs);
    }
    if (this.#acceptedSeq >= seq && session === this.#sessions) this.#said(piece);
  }

  /** Waits until something is so, or the context takes no more text, or another session has begun. */
  async #until(condition: () => boolean, session: number): Promise<void> {
    while (this.#speech.takesText && session === this.#sessions && !condition()) await this.#news.wait();
  }
}
