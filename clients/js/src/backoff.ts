/** Owns how long to wait before the next attempt to connect: at once, then longer and longer, never in step. Pure. */

/** The first attempt: at once, but not all clients of a node in the same instant. */
const FIRST_MS = 50;
const STEP_MS = 100;
/** The most without a word of the server's. */
const MS_MAX = 5000;
/** Nobody is believed who asks for more. */
const ASKED_MS_MAX = 60_000;
/** Beyond so many doublings nothing changes any more. */
const ATTEMPTS_MAX = 10;

/**
 * Delays of one row of attempts. `draw` gives numbers in [0, 1).
 *
 * Full jitter: each delay is drawn from zero to a bound that doubles (Brooker, "Exponential Backoff And Jitter", 2015),
 * so that clients that lost their server together do not come back together.
 */
export class Backoff {
  readonly #draw: () => number;
  #attempts = 0;

  constructor(draw: () => number) {
    this.#draw = draw;
  }

  /** The connection was good for something: begin again with short delays. */
  succeeded(): void {
    this.#attempts = 0;
  }

  /** How long to wait before the next attempt; not before `askedMs`, if the server said so. */
  nextMs(askedMs: number | null = null): number {
    const bound = this.#attempts === 0 ? FIRST_MS : Math.min(MS_MAX, STEP_MS * 2 ** (this.#attempts - 1));
    this.#attempts = Math.min(this.#attempts + 1, ATTEMPTS_MAX);
    return Math.min(Math.max(0, askedMs ?? 0), ASKED_MS_MAX) + this.#draw() * bound;
  }
}
