/** Owns the delays between attempts to connect: exponential backoff with full jitter. Pure. */

/** Bound of the first delay: almost at once, but the clients of one node do not all come in the same instant. */
const FIRST_MS = 50;
const STEP_MS = 100;
/** The longest delay that this side chooses by itself. */
const MS_MAX = 5000;
/** The longest delay that the server may ask for. */
const ASKED_MS_MAX = 60_000;
/** The bound has reached `MS_MAX` long before; keeps the power of two finite. */
const ATTEMPTS_MAX = 10;

/**
 * The delays of one series of attempts. `draw` gives numbers in [0, 1).
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

  /** A connection worked: the next series begins with short delays again. */
  succeeded(): void {
    this.#attempts = 0;
  }

  /** Milliseconds to wait before the next attempt; at least `askedMs`, if the server asked for a delay. */
  nextMs(askedMs: number | null = null): number {
    const bound = this.#attempts === 0 ? FIRST_MS : Math.min(MS_MAX, STEP_MS * 2 ** (this.#attempts - 1));
    this.#attempts = Math.min(this.#attempts + 1, ATTEMPTS_MAX);
    return Math.min(Math.max(0, askedMs ?? 0), ASKED_MS_MAX) + this.#draw() * bound;
  }
}
