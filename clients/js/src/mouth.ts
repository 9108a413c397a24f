/** Owns the mouth's shape over time: keyframes of fifteen viseme channels in, weights at a moment out. */

import type { TimingMessage } from "./protocol/messages.js";

/** The Oculus/Meta set, by its `id`. */
export const VISEMES = [
  "sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U",
] as const;

/** Beyond so many keyframes of a channel, those long before the one asked for last are forgotten. */
const KEPT_MAX = 4096;

/** One channel: weights at rising pts. Of two at one pts the later one counts from there on. */
interface Channel {
  pts: number[];
  weights: number[];
  /** Where the last question was answered: the next one is nearly always a little later. */
  at: number;
}

/**
 * The mouth of one context. Between two keyframes of a channel weights are interpolated; before the first the mouth is
 * closed, after the last it stays. A player that is dry, held or cancelled closes the mouth by itself (`closed`).
 */
export class MouthTrack {
  readonly #channels: Channel[] = VISEMES.map(() => ({ pts: [], weights: [], at: 0 }));

  /** Takes the keyframes of a `timing`, which do not go back before those of an earlier one. */
  add(timing: TimingMessage): void {
    for (const { id, weight, pts } of timing.visemes ?? []) {
      const channel = this.#channels[id];
      if (channel === undefined) continue; // A shape of a later version.
      channel.pts.push(pts);
      channel.weights.push(weight);
    }
    for (const channel of this.#channels) shorten(channel);
  }

  /** The fifteen weights at `pts`, in `out` if it is given. They add up to 1. */
  weights(pts: number, out: Float32Array = new Float32Array(VISEMES.length)): Float32Array {
    for (const [id, channel] of this.#channels.entries()) {
      out[id] = weightAt(channel, pts) ?? (id === 0 ? 1 : 0);
    }
    return out;
  }

  /**
   * Keyframes at or after `fromPts` count no more, and the mouth is closed from there on: what is spoken anew after a
   * reconnect begins with a closed mouth.
   */
  forget(fromPts: number): void {
    for (const [id, channel] of this.#channels.entries()) cut(channel, fromPts, id === 0 ? 1 : 0);
  }

  /** The weights of a closed mouth. */
  static closed(out: Float32Array = new Float32Array(VISEMES.length)): Float32Array {
    out.fill(0);
    out[0] = 1;
    return out;
  }
}

function weightAt(channel: Channel, pts: number): number | null {
  const { pts: times, weights } = channel;
  const first = times[0];
  if (first === undefined || pts < first) return null;
  let at = channel.at;
  while (at > 0 && (times[at] as number) > pts) at--;
  while (at + 1 < times.length && (times[at + 1] as number) <= pts) at++;
  channel.at = at;
  const from = weights[at] as number;
  const to = weights[at + 1];
  if (to === undefined) return from;
  const start = times[at] as number;
  return from + ((to - from) * (pts - start)) / ((times[at + 1] as number) - start);
}

function cut(channel: Channel, pts: number, rest: number): void {
  const reached = weightBefore(channel, pts);
  let kept = channel.pts.length;
  while (kept > 0 && (channel.pts[kept - 1] as number) >= pts) kept--;
  channel.pts.length = channel.weights.length = kept;
  channel.at = Math.min(channel.at, Math.max(0, kept - 1));
  if (reached === null) return;
  channel.pts.push(pts, pts);
  channel.weights.push(reached, rest);
}

/** What the weight comes to just before `pts`; null where no keyframe is before it. */
function weightBefore({ pts: times, weights }: Channel, pts: number): number | null {
  const after = times.findIndex((time) => time >= pts);
  if (after === -1) return weights.at(-1) ?? null;
  if (after === 0) return null;
  const start = times[after - 1] as number;
  const [from, to] = [weights[after - 1] as number, weights[after] as number];
  return from + ((to - from) * (pts - start)) / ((times[after] as number) - start);
}

function shorten(channel: Channel): void {
  const spare = channel.at - 1;
  if (channel.pts.length <= KEPT_MAX || spare <= 0) return;
  channel.pts.splice(0, spare);
  channel.weights.splice(0, spare);
  channel.at -= spare;
}
