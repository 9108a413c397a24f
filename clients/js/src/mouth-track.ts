/** Owns the mouth's shape over time: takes keyframes of fifteen viseme channels, returns the weights at a pts. */

import type { TimingMessage } from "./protocol/messages.js";

/** The names of the Oculus/Meta viseme set; the index is the `id` of a keyframe. */
export const VISEMES = [
  "sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U",
] as const;

/** A channel with more keyframes than this drops those before the one used last. */
const KEYFRAMES_MAX = 4096;

/** One channel: weights at rising pts. Of two keyframes at one pts the later one counts from there on. */
interface Channel {
  pts: number[];
  weights: number[];
  /** The index of the keyframe used last: the next query is nearly always a little later. */
  index: number;
}

/**
 * The mouth of one context. Weights are interpolated linearly between two keyframes of a channel; before the first one
 * the mouth is closed, after the last one it keeps its shape. The caller uses `closed` while its player is dry or held.
 */
export class MouthTrack {
  readonly #channels: Channel[] = VISEMES.map(() => ({ pts: [], weights: [], index: 0 }));

  /** Adds the keyframes of a `timing`; their pts must not be before those of earlier ones. */
  add(timing: TimingMessage): void {
    for (const { id, weight, pts } of timing.visemes ?? []) {
      const channel = this.#channels[id];
      if (channel === undefined) continue; // A viseme of a later version of the protocol.
      channel.pts.push(pts);
      channel.weights.push(weight);
    }
    for (const channel of this.#channels) shorten(channel);
  }

  /** The fifteen weights at `pts`, which add up to 1; written to `out` if it is given. */
  weights(pts: number, out: Float32Array = new Float32Array(VISEMES.length)): Float32Array {
    for (const [id, channel] of this.#channels.entries()) {
      out[id] = weightAt(channel, pts) ?? (id === 0 ? 1 : 0);
    }
    return out;
  }

  /**
   * Removes the keyframes at or after `fromPts`, from where the mouth is closed. For a `reconnected` that did not
   * resume: the text from there on is synthesized again.
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
  let index = channel.index;
  while (index > 0 && (times[index] as number) > pts) index--;
  while (index + 1 < times.length && (times[index + 1] as number) <= pts) index++;
  channel.index = index;
  const from = weights[index] as number;
  const to = weights[index + 1];
  if (to === undefined) return from;
  const start = times[index] as number;
  return from + ((to - from) * (pts - start)) / ((times[index + 1] as number) - start);
}

/** Removes the keyframes at or after `pts`; from there on the weight is `rest`. */
function cut(channel: Channel, pts: number, rest: number): void {
  const reached = weightBefore(channel, pts);
  let count = channel.pts.length;
  while (count > 0 && (channel.pts[count - 1] as number) >= pts) count--;
  channel.pts.length = channel.weights.length = count;
  channel.index = Math.min(channel.index, Math.max(0, count - 1));
  if (reached === null) return;
  channel.pts.push(pts, pts);
  channel.weights.push(reached, rest);
}

/** The weight just before `pts`; null if there is no keyframe before it. */
function weightBefore({ pts: times, weights }: Channel, pts: number): number | null {
  const after = times.findIndex((time) => time >= pts);
  if (after === -1) return weights.at(-1) ?? null;
  if (after === 0) return null;
  const start = times[after - 1] as number;
  const [from, to] = [weights[after - 1] as number, weights[after] as number];
  return from + ((to - from) * (pts - start)) / ((times[after] as number) - start);
}

/** Removes keyframes before the one used last, if there are too many. */
function shorten(channel: Channel): void {
  const unused = channel.index - 1;
  if (channel.pts.length <= KEYFRAMES_MAX || unused <= 0) return;
  channel.pts.splice(0, unused);
  channel.weights.splice(0, unused);
  channel.index -= unused;
}
