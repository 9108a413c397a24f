/** Owns how much audio to gather before playing: little at first, more after each underrun, then less again. Pure. */

const START_FRAMES = 2;
const GROWTH = 1.5;
const SHRINK = 0.9;
const CALM_MS = 20_000;

/** Shared by all playbacks of a speaker, which share its network. Times are milliseconds of one clock. */
export class JitterBufferTarget {
  /** How often playback ran dry although more audio was to come. */
  underruns = 0;
  private grownMs = 0;
  private changedMs = 0;
  readonly maxMs: number;

  constructor(maxMs: number) {
    this.maxMs = maxMs;
  }

  /** How many milliseconds of audio to gather, with frames of `frameMs`. */
  targetMs(frameMs: number): number {
    return Math.min(Math.max(START_FRAMES * frameMs, this.grownMs), Math.max(this.maxMs, frameMs));
  }

  /** Whether `bufferedMs` of audio, the first of it `waitedMs` ago, may be played now; `complete`: it is all. */
  isReached(bufferedMs: number, waitedMs: number, frameMs: number, complete: boolean): boolean {
    // Audio of slowly written text may be less than the target for long: it waits for no longer than the target lasts.
    return complete || Math.max(bufferedMs, waitedMs) >= this.targetMs(frameMs);
  }

  /** Playback ran dry in the middle of speech. */
  onUnderrun(frameMs: number, nowMs: number): void {
    this.underruns += 1;
    this.grownMs = Math.min(this.maxMs, this.targetMs(frameMs) * GROWTH + frameMs);
    this.changedMs = nowMs;
  }

  /** Audio is playing; after a time without underruns the target shrinks. */
  onPlaying(nowMs: number): void {
    if (nowMs - this.changedMs < CALM_MS) return;
    this.changedMs = nowMs;
    this.grownMs *= SHRINK;
  }
}
