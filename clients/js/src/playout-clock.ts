/** Owns the estimate of what the listener hears now, from frames received and what the player reports. Pure. */

const DEFAULT_SAMPLE_RATE = 24_000;

/**
 * The playout of one context. pts count samples at `sampleRate`; `now` is milliseconds of one monotonic clock.
 *
 * Without a report of a player, `position` is null, and `estimate` assumes a player that starts with the first frame
 * and pauses where audio is missing.
 */
export class PlayoutClock {
  sampleRate = DEFAULT_SAMPLE_RATE;
  /** The pts after the newest sample that was received. */
  receivedPts = 0;
  /** The time at which the assumed player played pts 0; later by every pause. */
  #originMs: number | null = null;
  #reportedPts: number | null = null;
  #pausedAt: number | null = null;

  /** Audio up to `endPts` was received; an assumed player that had run dry continues now. */
  received(endPts: number, now: number): void {
    const dryMs = (this.receivedPts / this.sampleRate) * 1000;
    const at = this.#at(now);
    if (this.#originMs === null || at - this.#originMs > dryMs) this.#originMs = at - dryMs;
    this.receivedPts = Math.max(this.receivedPts, endPts);
  }

  /** The player reports that it has played every sample before `pts`. */
  played(pts: number): void {
    this.#reportedPts = Math.max(0, Math.floor(pts));
  }

  pause(now: number): void {
    this.#pausedAt ??= now;
  }

  resume(now: number): void {
    if (this.#pausedAt !== null && this.#originMs !== null) this.#originMs += now - this.#pausedAt;
    this.#pausedAt = null;
  }

  /** The pts that is heard now; null while no player has reported anything. */
  position(now: number): number | null {
    return this.#reportedPts === null ? null : this.estimate(now);
  }

  /** The pts that is heard now: the player's report if there is one, else an estimate; at most `receivedPts`. */
  estimate(now: number): number {
    if (this.#reportedPts !== null) return Math.min(this.#reportedPts, this.receivedPts);
    if (this.#originMs === null) return 0;
    const pts = Math.floor(((this.#at(now) - this.#originMs) * this.sampleRate) / 1000);
    return Math.max(0, Math.min(this.receivedPts, pts));
  }

  #at(now: number): number {
    return this.#pausedAt ?? now;
  }
}
