/** Owns what a listener hears now: frames received, and a player that tells where it is. Pure. */

const DEFAULT_SAMPLE_RATE = 24_000;

/**
 * The playout of one context at `sampleRate`. `now` is in milliseconds of one monotonic clock.
 *
 * Where no player says anything, `position` is null, and `estimate` is of a player that started with the first frame
 * and waits where audio is missing.
 */
export class Playout {
  sampleRate = DEFAULT_SAMPLE_RATE;
  receivedPts = 0;
  #originMs: number | null = null;
  #toldPts: number | null = null;
  #pausedAt: number | null = null;

  /** Audio up to `endPts` has come; a player that had run dry goes on now. */
  received(endPts: number, now: number): void {
    const dryMs = (this.receivedPts / this.sampleRate) * 1000;
    const at = this.#at(now);
    if (this.#originMs === null || at - this.#originMs > dryMs) this.#originMs = at - dryMs;
    this.receivedPts = Math.max(this.receivedPts, endPts);
  }

  /** The player says that it has played up to `pts`. */
  played(pts: number): void {
    this.#toldPts = Math.max(0, Math.floor(pts));
  }

  pause(now: number): void {
    this.#pausedAt ??= now;
  }

  goOn(now: number): void {
    if (this.#pausedAt !== null && this.#originMs !== null) this.#originMs += now - this.#pausedAt;
    this.#pausedAt = null;
  }

  /** The pts that is heard now; null where no player has said anything. */
  position(now: number): number | null {
    return this.#toldPts === null ? null : this.estimate(now);
  }

  /** The pts that is heard now, as far as can be known; never beyond what was received. */
  estimate(now: number): number {
    if (this.#toldPts !== null) return Math.min(this.#toldPts, this.receivedPts);
    if (this.#originMs === null) return 0;
    const pts = Math.floor(((this.#at(now) - this.#originMs) * this.sampleRate) / 1000);
    return Math.max(0, Math.min(this.receivedPts, pts));
  }

  #at(now: number): number {
    return this.#pausedAt ?? now;
  }
}
