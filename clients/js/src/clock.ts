/** Owns time: the only place where a clock is read, and one that tests can replace. */

/** Milliseconds of one monotonic clock, and timers on it. */
export interface Clock {
  /** Milliseconds since some moment. */
  now(): number;
  /** Calls `action` once after `ms`; returns what takes that back. */
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
