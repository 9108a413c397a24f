/** What a listener is told at the moment it is heard, and the mouth that goes with it. Pure: the position is given. */

import type { SpeechEvent } from "../events.js";
import { MouthTrack } from "../mouth.js";
import type { ClauseMessage, PhonemeTiming, TimingMessage, VisemeTiming, WordTiming } from "../protocol/messages.js";
import { CueQueue } from "./cues.js";

/** What is told, by its name. */
export interface Told {
  word: WordTiming;
  phoneme: PhonemeTiming;
  viseme: VisemeTiming;
  clause: ClauseMessage;
}

type Tell = <K extends keyof Told>(type: K, detail: Told[K]) => void;

/** The timings of one context. */
export class Telling {
  private readonly cues = new CueQueue<() => void>();
  private readonly track = new MouthTrack();
  private readonly tell: Tell;
  private lastPts = 0;

  constructor(tell: Tell) {
    this.tell = tell;
  }

  /** The pts of what is told next; null: nothing is known. */
  get nextPts(): number | null {
    return this.cues.nextPts;
  }

  /** The latest end of a word or phoneme that is known: speech goes on until there at least. */
  get expectedPts(): number {
    return this.lastPts;
  }

  /** Takes what describes audio; everything else is left alone. */
  note(event: SpeechEvent): void {
    if (event.type === "clause") this.cues.add(event.pts, () => this.tell("clause", event));
    else if (event.type === "timing") this.timing(event);
  }

  /** Tells everything up to a position, in its order. */
  reach(pts: number): void {
    for (const cue of this.cues.due(pts)) cue.value();
  }

  /** Timings at or after `pts` count no more. */
  forget(pts: number): void {
    this.cues.forget(pts);
    this.track.forget(pts);
    this.lastPts = Math.min(this.lastPts, pts);
  }

  /** The fifteen weights at a position; null: the mouth is closed, whatever was said. */
  mouth(pts: number | null, out?: Float32Array): Float32Array {
    return pts === null ? MouthTrack.closed(out) : this.track.weights(pts, out);
  }

  private timing(message: TimingMessage): void {
    for (const word of message.words ?? []) this.add("word", word, word.end_pts);
    for (const phoneme of message.phonemes ?? []) this.add("phoneme", phoneme, phoneme.end_pts);
    for (const viseme of message.visemes ?? []) this.add("viseme", viseme, 0);
    this.track.add(message);
  }

  private add<K extends keyof Told>(type: K, detail: Told[K], endPts: number): void {
    this.cues.add(detail.pts, () => this.tell(type, detail));
    this.lastPts = Math.max(this.lastPts, endPts);
  }
}
