/** Owns what was received of one context, over all sessions that spoke it, and what the listener has heard of it. */

import { isBlank, sliceChars } from "./code-points.js";
import { EventQueue } from "./event-queue.js";
import { PlayoutClock } from "./playout-clock.js";
import type { AudioFrame } from "./protocol/audio.js";
import type { AckMessage, CancelledMessage, DoneMessage, DoneReason, StartedMessage } from "./protocol/messages.js";
import { NO_OFFSET, type OffsetMessage, shift, type TimelineOffset } from "./timeline-offset.js";
import { Transcript } from "./transcript.js";

/**
 * The audio side of a context. Frame numbers, pts and characters are the caller's, which count over all sessions;
 * messages of the server are shifted by the offset first.
 */
export class AudioReceiver {
  readonly context: string;
  readonly events = new EventQueue();
  readonly playout = new PlayoutClock();
  readonly transcript = new Transcript();
  started: StartedMessage | null = null;
  done: DoneMessage | null = null;
  cancelled: CancelledMessage | null = null;
  /** Where the listener was when the context was cancelled. */
  cancelledPts: number | null = null;
  #offset: TimelineOffset = NO_OFFSET;
  #receivedSeq = -1;
  /** The pts after the newest utterance of which every frame was received. */
  #utteranceEndPts = 0;
  /** The newest ack, as a string to compare with. */
  #acked = "";

  constructor(context: string) {
    this.context = context;
  }

  // -- messages of the server ---------------------------------------------------------------------------------------

  /** The context is open. An event only the first time, or if another session speaks in another format. */
  onStarted(message: StartedMessage): void {
    const previous = this.started;
    this.started = message;
    this.playout.sampleRate = message.audio.sample_rate;
    const sameFormat = previous !== null && JSON.stringify(previous.audio) === JSON.stringify(message.audio);
    if (!sameFormat) this.events.put(message);
  }

  /** An audio frame was received; false for a duplicate. */
  onFrame(frame: AudioFrame, now: number): boolean {
    const info = (this.started as StartedMessage).audio;
    const seq = frame.seq + this.#offset.seq;
    if (seq <= this.#receivedSeq) return false;
    const pts = frame.pts + this.#offset.pts;
    const endPts = pts + info.frame_samples;
    this.#receivedSeq = seq;
    if (frame.last) this.#utteranceEndPts = endPts;
    this.playout.received(endPts, now);
    const { payload, first, last, replayed } = frame;
    const { codec, sample_rate: sampleRate, frame_samples: frameSamples } = info;
    this.events.put({ type: "audio", payload, seq, pts, first, last, replayed, codec, sampleRate, frameSamples });
    return true;
  }

  /** A message about the audio was received; returns it with the caller's numbers. */
  onMessage<T extends OffsetMessage>(message: T): T {
    const shifted: OffsetMessage = shift(this.#offset, message);
    if (shifted.type === "clause") this.transcript.clause(shifted);
    if (shifted.type === "timing") this.transcript.timing(shifted);
    return shifted as T;
  }

  /** The server reports what was heard. It does not know what former sessions delivered. */
  onCancelled(message: CancelledMessage): void {
    if (this.cancelled !== null) return;
    const pts = this.cancelledPts;
    this.cancelled = pts === null || pts >= this.#offset.pts ? this.#shiftReport(message) : this.report(pts);
    this.events.put(this.cancelled);
  }

  #shiftReport(message: CancelledMessage): CancelledMessage {
    const offset = this.#offset;
    if (offset === NO_OFFSET) return message;
    const { sent_seq, heard, ...rest } = message;
    const { text, chars: all } = this.transcript;
    const chars = offset.chars + heard.chars;
    const sent = sent_seq === undefined ? offset.seq - 1 : offset.seq + sent_seq;
    return {
      ...rest,
      ...(sent >= 0 && { sent_seq: sent }),
      heard: { ...heard, pts: offset.pts + heard.pts, chars, text: sliceChars(text, 0, chars) },
      unheard: { chars: all - chars, text: sliceChars(text, chars) },
    };
  }

  /** The context is over; `error` is why, if the speech failed. */
  finish(done: DoneMessage, error: Error | null): void {
    this.done = done;
    if (error === null) this.events.put(done);
    this.events.close(error);
  }

  // -- reports computed on this side --------------------------------------------------------------------------------

  /** What was heard up to `pts`, computed from the timings received so far. */
  report(pts: number): CancelledMessage {
    const parts = this.transcript.heard(Math.min(pts, this.playout.receivedPts), this.done?.samples ?? null);
    const sent = this.#receivedSeq >= 0 && { sent_seq: this.#receivedSeq };
    return { type: "cancelled", context: this.context, ...sent, ...parts };
  }

  /** Ends the context with what was received, without waiting for the server's `done`. */
  finishLocally(reason: DoneReason): void {
    const [frames, samples, chars] = [this.#receivedSeq + 1, this.playout.receivedPts, this.transcript.chars];
    this.finish({ type: "done", context: this.context, reason, frames, samples, chars }, null);
  }

  /** Answers a cancel without waiting for the server. Without effect if it is answered, or the context is over. */
  reportLocally(): void {
    if (this.cancelled !== null || this.done !== null) return;
    this.cancelled = this.report(this.cancelledPts ?? 0);
    this.events.put(this.cancelled);
    this.finishLocally("cancelled");
  }

  // -- over several sessions ----------------------------------------------------------------------------------------

  /** A pts of the caller's on the clock of the current session. */
  toSessionPts(pts: number): number {
    return Math.max(0, pts - this.#offset.pts);
  }

  /** The pts after frame `seq`. */
  endPtsOf(seq: number): number {
    return (seq + 1) * (this.started?.audio.frame_samples ?? 0);
  }

  /** The newest frame of the current session, by the session's numbers; null: none was received. */
  get receivedSessionSeq(): number | null {
    const seq = this.#receivedSeq - this.#offset.seq;
    return seq >= 0 ? seq : null;
  }

  /** The `ack` to send; null if the newest one still holds. */
  nextAck(now: number): AckMessage | null {
    const seq = this.receivedSessionSeq;
    if (seq === null) return null;
    const played = this.playout.position(now);
    const key = `${seq} ${played}`;
    if (key === this.#acked) return null;
    this.#acked = key;
    const position = played !== null && { played_pts: this.toSessionPts(played) };
    return { type: "ack", context: this.context, seq, ...position };
  }

  /** Another session takes over; returns the pts and the character from which on it has to speak. */
  restart(): { readonly pts: number; readonly chars: number } {
    const pts = this.playout.receivedPts;
    const chars = this.transcript.firstUnheard(pts, this.#utteranceEndPts);
    this.transcript.cut(pts, chars);
    this.#offset = { seq: this.#receivedSeq + 1, pts, chars };
    this.#acked = "";
    return { pts, chars };
  }

  /** Puts the `flushed` of a flush whose audio was received, but whose answer was lost with the session. */
  putFlushed(id: string | null): void {
    const seq = this.#receivedSeq >= 0 && { seq: this.#receivedSeq };
    this.events.put({ type: "flushed", context: this.context, ...(id !== null && { id }), ...seq });
  }

  /** Whether audio was received, and the text from character `chars` on is blank. */
  isComplete(chars: number): boolean {
    return this.#receivedSeq >= 0 && isBlank(sliceChars(this.transcript.text, chars));
  }
}
