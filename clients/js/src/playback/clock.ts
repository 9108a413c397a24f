/** Which sample is heard now: what was put out at which frame of the AudioContext, and which frame is heard. Pure. */

import type { Report } from "./worklet.js";

/** A stamp farther behind than this is one that a browser has not kept up to date. */
const LATENCY_SECONDS_MAX = 2;

/** What of an AudioContext tells the time. */
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
    // While the machine is too busy to render, a stamp that is carried on would run away from what is heard.
    if (heard > current - LATENCY_SECONDS_MAX) return Math.max(0, Math.min(latest, heard));
  }
  return Math.max(0, latest);
}

/** The samples put out over the AudioContext's frames, as a line of runs and rests. */
export class PlayoutClock {
  private runs: Report[] = [];

  /** Takes a report; reports come in the order of their frames. */
  add(report: Report): void {
    const last = this.runs.at(-1);
    const goesOn = last?.playing === true && report.playing && last.at + report.frame - last.frame === report.at;
    if (goesOn) return;
    while ((this.runs.at(-1)?.frame ?? -1) >= report.frame) this.runs.pop();
    this.runs.push(report);
  }

  /** How many samples have been put out before `frame`; never more than `written`. `frame` may not go back. */
  at(frame: number, written: number): number {
    const run = this.runAt(frame);
    if (run === null) return 0;
    return Math.min(written, run.playing ? run.at + Math.max(0, frame - run.frame) : run.at);
  }

  /** Whether a sample is put out at `frame`, of the `written` ones. */
  playingAt(frame: number, written: number): boolean {
    const run = this.runAt(frame);
    return run !== null && run.playing && run.at + frame - run.frame < written;
  }

  /** The first frame after `frame` at which something is known to change; null: nothing is. */
  changeAfter(frame: number): number | null {
    return this.runs.find((run) => run.frame > frame)?.frame ?? null;
  }

  /** The frame at which the first sample was put out; null: none was. */
  firstFrame: number | null = null;

  private runAt(frame: number): Report | null {
    while (this.runs.length > 1 && (this.runs[1]?.frame ?? Infinity) <= frame) this.runs.shift();
    const run = this.runs[0];
    if (run === undefined || run.frame > frame) return null;
    if (run.playing && this.firstFrame === null) this.firstFrame = run.frame;
    return run;
  }
}
