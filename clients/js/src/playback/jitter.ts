/** How much audio to gather before it is played: little at first, more after each time it was too little. Pure. */

const START_FRAMES = 2;
const GROWTH = 1.5;
const SHRINK = 0.9;
const CALM_MS = 20_000;

/** Shared by all playbacks of a speaker, as they share its network. Times are milliseconds of any one clock. */
export class JitterBuffer {
  /** The listener ran dry so often though something was still to come. */
  underruns = 0;
  private wantedMs = 0;
  private changedMs = 0;
  readonly maxMs: number;

  constructor(maxMs: number) {
    this.maxMs = maxMs;
  }

  /** How much to gather, with frames of `frameMs`. */
  targetMs(frameMs: number): number {
    return Math.min(Math.max(START_FRAMES * frameMs, this.wantedMs), Math.max(this.maxMs, frameMs));
  }

  /** Whether what was gathered, since `waitedMs`, may be played now; `complete` when nothing more belongs to it. */
  enough(bufferedMs: number, waitedMs: number, frameMs: number, complete: boolean): boolean {
    // Text that comes slowly may end in less than is wanted; it is not kept back for longer than gathering would take.
    return complete || Math.max(bufferedMs, waitedMs) >= this.targetMs(frameMs);
  }

  /** The listener ran dry in the middle of speech. */
  underrun(frameMs: number, nowMs: number): void {
    this.underruns += 1;
    this.wantedMs = Math.min(this.maxMs, this.targetMs(frameMs) * GROWTH + frameMs);
    this.changedMs = nowMs;
  }

  /** Playing goes well: after a while less will do. */
  calm(nowMs: number): void {
    if (nowMs - this.changedMs < CALM_MS) return;
    this.changedMs = nowMs;
    this.wantedMs *= SHRINK;
  }
}
