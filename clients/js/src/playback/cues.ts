/** What is to be told at which pts, in its order. Pure. */

export interface Cue<T> {
  readonly pts: number;
  readonly value: T;
}

/** Cues by pts; of those with the same pts the first added is the first told. */
export class CueQueue<T> {
  private cues: Cue<T>[] = [];

  get size(): number {
    return this.cues.length;
  }

  /** The pts of the next cue; null: there is none. */
  get nextPts(): number | null {
    return this.cues[0]?.pts ?? null;
  }

  add(pts: number, value: T): void {
    let place = this.cues.length;
    while (place > 0 && this.cues[place - 1]!.pts > pts) place -= 1;
    this.cues.splice(place, 0, { pts, value });
  }

  /** Takes out every cue whose pts is `pts` or earlier. */
  due(pts: number): Cue<T>[] {
    let count = 0;
    while (count < this.cues.length && this.cues[count]!.pts <= pts) count += 1;
    return this.cues.splice(0, count);
  }

  /** Drops every cue at `fromPts` or later. */
  forget(fromPts: number): void {
    this.cues = this.cues.filter((cue) => cue.pts < fromPts);
  }
}
