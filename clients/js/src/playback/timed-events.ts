/** Owns events that fire when the listener hears them, and the mouth's shape then. Pure: the caller gives the pts. */

import type { SpeechEvent } from "../events.js";
import { MouthTrack } from "../mouth-track.js";
import type {
  ClauseMessage,
  MarkMessage,
  PhonemeTiming,
  TimingMessage,
  VisemeTiming,
  WordTiming,
} from "../protocol/messages.js";

/** The details of the events, by the events' names. */
export interface TimedEventMap {
  word: WordTiming;
  phoneme: PhonemeTiming;
  viseme: VisemeTiming;
  clause: ClauseMessage;
  mark: MarkMessage;
}

type Emit = <K extends keyof TimedEventMap>(type: K, detail: TimedEventMap[K]) => void;

/** The timed events of one context. */
export class TimedEvents {
  private readonly cues = new CueQueue<() => void>();
  private readonly track = new MouthTrack();
  private readonly emit: Emit;
  private lastPts = 0;

  /** `emit` is called for each event during `emitUntil`. */
  constructor(emit: Emit) {
    this.emit = emit;
  }

  /** The pts of the next event; null: none is known. */
  get nextPts(): number | null {
    return this.cues.nextPts;
  }

  /** The latest end of a known word or phoneme: audio up to there has to come. */
  get expectedPts(): number {
    return this.lastPts;
  }

  /** Adds the events of a `clause`, a `mark` or a `timing`; ignores other events. */
  add(event: SpeechEvent): void {
    if (event.type === "clause") this.cues.add(event.pts, () => this.emit("clause", event));
    else if (event.type === "mark") this.cues.add(event.pts, () => this.emit("mark", event));
    else if (event.type === "timing") this.addTiming(event);
  }

  /** Emits every event at or before `pts`, in order. */
  emitUntil(pts: number): void {
    for (const cue of this.cues.takeUntil(pts)) cue.value();
  }

  /** Removes the events and keyframes at or after `pts`. */
  discardFrom(pts: number): void {
    this.cues.discardFrom(pts);
    this.track.forget(pts);
    this.lastPts = Math.min(this.lastPts, pts);
  }

  /** The fifteen viseme weights at a pts; null: those of a closed mouth. */
  mouth(pts: number | null, out?: Float32Array): Float32Array {
    return pts === null ? MouthTrack.closed(out) : this.track.weights(pts, out);
  }

  private addTiming(message: TimingMessage): void {
    for (const word of message.words ?? []) this.addCue("word", word, word.end_pts);
    for (const phoneme of message.phonemes ?? []) this.addCue("phoneme", phoneme, phoneme.end_pts);
    for (const viseme of message.visemes ?? []) this.addCue("viseme", viseme, 0);
    this.track.add(message);
  }

  private addCue<K extends keyof TimedEventMap>(type: K, detail: TimedEventMap[K], endPts: number): void {
    this.cues.add(detail.pts, () => this.emit(type, detail));
    this.lastPts = Math.max(this.lastPts, endPts);
  }
}

export interface Cue<T> {
  readonly pts: number;
  readonly value: T;
}

/** Values ordered by pts; values of the same pts stay in the order in which they were added. */
export class CueQueue<T> {
  private cues: Cue<T>[] = [];

  get size(): number {
    return this.cues.length;
  }

  /** The pts of the first cue; null: there is none. */
  get nextPts(): number | null {
    return this.cues[0]?.pts ?? null;
  }

  add(pts: number, value: T): void {
    let index = this.cues.length;
    while (index > 0 && this.cues[index - 1]!.pts > pts) index -= 1;
    this.cues.splice(index, 0, { pts, value });
  }

  /** Removes and returns every cue at or before `pts`. */
  takeUntil(pts: number): Cue<T>[] {
    let count = 0;
    while (count < this.cues.length && this.cues[count]!.pts <= pts) count += 1;
    return this.cues.splice(0, count);
  }

  /** Removes every cue at or after `fromPts`. */
  discardFrom(fromPts: number): void {
    this.cues = this.cues.filter((cue) => cue.pts < fromPts);
  }
}
