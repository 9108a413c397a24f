/** Owns which sample is heard when: samples put out at frames of the AudioContext, and the frame heard now. Pure. */

import type { Report } from "./worklet.js";

/** A time stamp of the output that is older than this is ignored: some browsers stop updating it. */
const LATENCY_SECONDS_MAX = 2;

/** The part of an AudioContext that tells the time. */
export interface TimeSource {
  readonly currentTime: number;
  readonly baseLatency?: number;
  readonly outputLatency?: number;
  getOutputTimestamp?: () => { contextTime?: number; performanceTime?: number };
}

/** The AudioContext's time, in seconds, that comes out of the loudspeaker at `nowMs` of `performance.now()`. */
export function heardSeconds(context: TimeSource, nowMs: number): number {
  const current = context.currentTime;
  const latest = current - (context.outputLatency || context.baseLatency || 0);
  const stamp = context.getOutputTimestamp?.();
  if (stamp?.contextTime !== undefined && stamp.performanceTime !== undefined && stamp.contextTime > 0) {
    const heard = stamp.contextTime + (nowMs - stamp.performanceTime) / 1000;
    // Extrapolated from an old stamp, the time would run ahead while the machine is too busy to render.
    if (heard > current - LATENCY_SECONDS_MAX) return Math.max(0, Math.min(latest, heard));
  }
  return Math.max(0, latest);
}

/** The samples put out over the AudioContext's frames: runs of samples, and pauses between them. */
export class OutputTimeline {
  /** The frame at which the first sample was put out; null: none was. */
  firstFrame: number | null = null;
  private runs: Report[] = [];

  /** Takes a report; reports come in the order of their frames. */
  add(report: Report): void {
    const last = this.runs.at(-1);
    const continues = last?.playing === true && report.playing && last.at + report.frame - last.frame === report.at;
    if (continues) return;
    while ((this.runs.at(-1)?.frame ?? -1) >= report.frame) this.runs.pop();
    this.runs.push(report);
  }

  /** How many samples were put out before `frame`; never more than `written`. `frame` must not decrease. */
  at(frame: number, written: number): number {
    const run = this.runAt(frame);
    if (run === null) return 0;
    return Math.min(written, run.playing ? run.at + Math.max(0, frame - run.frame) : run.at);
  }

  /** Whether one of the `written` samples is put out at `frame`. */
  playingAt(frame: number, written: number): boolean {
    const run = this.runAt(frame);
    return run !== null && run.playing && run.at + frame - run.frame < written;
  }

  /** The first frame after `frame` at which a known run or pause begins; null: none is known. */
  changeAfter(frame: number): number | null {
    return this.runs.find((run) => run.frame > frame)?.frame ?? null;
  }

  private runAt(frame: number): Report | null {
    while (this.runs.length > 1 && (this.runs[1]?.frame ?? Infinity) <= frame) this.runs.shift();
    const run = this.runs[0];
    if (run === undefined || run.frame > frame) return null;
    if (run.playing && this.firstFrame === null) this.firstFrame = run.frame;
    return run;
  }
}
