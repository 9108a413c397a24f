/** Owns what came of one context, across all sessions that spoke it, and what its listener has heard of it. */

import { isBlank, sliceChars } from "./characters.js";
import { Inbox } from "./inbox.js";
import { Playout } from "./playout.js";
import type { AudioFrame } from "./protocol/audio.js";
import type { AckMessage, CancelledMessage, DoneMessage, DoneReason, StartedMessage } from "./protocol/messages.js";
import { type Note, type Seam, shift, START } from "./seam.js";
import { Transcript } from "./transcript.js";

/** Numbers and clocks are the caller's; what the server says is moved behind the seam first. */
export class Hearing {
  readonly context: string;
  readonly inbox = new Inbox();
  readonly playout = new Playout();
  readonly transcript = new Transcript();
  started: StartedMessage | null = null;
  done: DoneMessage | null = null;
  cancelled: CancelledMessage | null = null;
  /** Where the listener was when the speech was cancelled. */
  cancelledPts: number | null = null;
  #seam: Seam = START;
  #receivedSeq = -1;
  #wholePts = 0;
  #acked = "";

  constructor(context: string) {
    this.context = context;
  }

  // -- what comes ---------------------------------------------------------------------------------------------------

  /** The context is open; told once, unless a fresh session speaks it otherwise. */
  start(message: StartedMessage): void {
    const known = this.started;
    this.started = message;
    this.playout.sampleRate = message.audio.sample_rate;
    if (known === null || JSON.stringify(known.audio) !== JSON.stringify(message.audio)) this.inbox.put(message);
  }

  /** An audio frame came; false for one that had come before. */
  frame(frame: AudioFrame, now: number): boolean {
    const info = (this.started as StartedMessage).audio;
    const seq = frame.seq + this.#seam.seq;
    if (seq <= this.#receivedSeq) return false;
    const pts = frame.pts + this.#seam.pts;
    const endPts = pts + info.frame_samples;
    this.#receivedSeq = seq;
    if (frame.last) this.#wholePts = endPts;
    this.playout.received(endPts, now);
    const { payload, first, last, replayed } = frame;
    const { codec, sample_rate: sampleRate, frame_samples: frameSamples } = info;
    this.inbox.put({ type: "audio", payload, seq, pts, first, last, replayed, codec, sampleRate, frameSamples });
    return true;
  }

  /** Something about the audio came; returns what it means for the caller. */
  note<T extends Note>(message: T): T {
    const shifted: Note = shift(this.#seam, message);
    if (shifted.type === "clause") this.transcript.clause(shifted);
    if (shifted.type === "timing") this.transcript.timing(shifted);
    return shifted as T;
  }

  /** The server says what was heard; it knows nothing of what came before the seam. */
  cancel(message: CancelledMessage): void {
    if (this.cancelled !== null) return;
    const pts = this.cancelledPts;
    this.cancelled = pts === null || pts >= this.#seam.pts ? this.#spanning(message) : this.report(pts);
    this.inbox.put(this.cancelled);
  }

  #spanning(message: CancelledMessage): CancelledMessage {
    const seam = this.#seam;
    if (seam === START) return message;
    const { sent_seq, heard, ...rest } = message;
    const { text, chars: all } = this.transcript;
    const chars = seam.chars + heard.chars;
    const sent = sent_seq === undefined ? seam.seq - 1 : seam.seq + sent_seq;
    return {
      ...rest,
      ...(sent >= 0 && { sent_seq: sent }),
      heard: { ...heard, pts: seam.pts + heard.pts, chars, text: sliceChars(text, 0, chars) },
      unheard: { chars: all - chars, text: sliceChars(text, chars) },
    };
  }

  /** Nothing more comes; `error` is why, if the speech failed. */
  finish(done: DoneMessage, error: Error | null): void {
    this.done = done;
    if (error === null) this.inbox.put(done);
    this.inbox.close(error);
  }

  // -- what is worked out here --------------------------------------------------------------------------------------

  /** What was heard up to `pts`, as far as can be known here. */
  report(pts: number): CancelledMessage {
    const parts = this.transcript.heard(Math.min(pts, this.playout.receivedPts), this.done?.samples ?? null);
    const sent = this.#receivedSeq >= 0 && { sent_seq: this.#receivedSeq };
    return { type: "cancelled", context: this.context, ...sent, ...parts };
  }

  /** Ends with what was received, as the server's own end will not come, or comes too late. */
  finishHere(reason: DoneReason): void {
    const [frames, samples, chars] = [this.#receivedSeq + 1, this.playout.receivedPts, this.transcript.chars];
    this.finish({ type: "done", context: this.context, reason, frames, samples, chars }, null);
  }

  /** Answers a cancel in the server's place. Without effect when it is answered, or over. */
  reportHere(): void {
    if (this.cancelled !== null || this.done !== null) return;
    this.cancelled = this.report(this.cancelledPts ?? 0);
    this.inbox.put(this.cancelled);
    this.finishHere("cancelled");
  }

  // -- over sessions ------------------------------------------------------------------------------------------------

  /** A place of the caller's on the clock of the session that speaks now. */
  there(pts: number): number {
    return Math.max(0, pts - this.#seam.pts);
  }

  /** Up to where audio of frame `seq` and those before it goes. */
  endOf(seq: number): number {
    return (seq + 1) * (this.started?.audio.frame_samples ?? 0);
  }

  /** The newest frame of the session that speaks now, by its own number; null: none came. */
  get receivedThere(): number | null {
    const seq = this.#receivedSeq - this.#seam.seq;
    return seq >= 0 ? seq : null;
  }

  /** What to tell the server of audio received and played; null when it knows. */
  acknowledgement(now: number): AckMessage | null {
    const seq = this.receivedThere;
    if (seq === null) return null;
    const played = this.playout.position(now);
    const told = `${seq} ${played}`;
    if (told === this.#acked) return null;
    this.#acked = told;
    return { type: "ack", context: this.context, seq, ...(played !== null && { played_pts: this.there(played) }) };
  }

  /** Another session goes on; returns the pts and the character from which on it does. */
  beginAnew(): { readonly pts: number; readonly chars: number } {
    const pts = this.playout.receivedPts;
    const chars = this.transcript.firstUnheard(pts, this.#wholePts);
    this.transcript.cut(pts, chars);
    this.#seam = { seq: this.#receivedSeq + 1, pts, chars };
    this.#acked = "";
    return { pts, chars };
  }

  /** A flush whose audio has come, but not its answer. */
  answer(id: string | null): void {
    const seq = this.#receivedSeq >= 0 && { seq: this.#receivedSeq };
    this.inbox.put({ type: "flushed", context: this.context, ...(id !== null && { id }), ...seq });
  }

  /** Whether nothing is left to hear of the text from a character on, and something was heard. */
  heardAll(chars: number): boolean {
    return this.#receivedSeq >= 0 && isBlank(sliceChars(this.transcript.text, chars));
  }
}
