/** Owns time: the only module that reads the machine's clock, which tests replace, and waiting on a clock. */

/** Milliseconds of one monotonic clock, and timers on it. */
export interface Clock {
  /** Milliseconds since an arbitrary start. */
  now(): number;
  /** Calls `action` once after `ms` milliseconds; returns a function that cancels the timer. */
  after(ms: number, action: () => void): () => void;
}

/** The machine's own clock. */
export const SYSTEM_CLOCK: Clock = {
  now: () => performance.now(),
  after(ms, action) {
    const timer = setTimeout(action, ms);
    return () => clearTimeout(timer);
  },
};

/** Waits `ms` milliseconds. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

/**
 * The result of `work` if it settles within `ms` milliseconds; otherwise rejects with what `onTimeout` returns.
 *
 * A result that comes after the timeout is dropped.
 */
export async function withTimeout<T>(clock: Clock, ms: number, work: Promise<T>, onTimeout: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = clock.after(ms, () => reject(onTimeout()));
    work.then(resolve, reject).finally(stop);
  });
}
