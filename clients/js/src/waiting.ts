/** Owns ways to wait: for news, for one's turn, for a while. */

import type { Clock } from "./clock.js";

/** Wakes everybody who waits for news. */
export class News {
  #waiting: (() => void)[] = [];

  /** The next news; what came before does not count. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  tell(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }
}

/** Lets one after the other do something, in the order in which they asked. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

/** Waits `ms`. */
export function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

/**
 * What `work` comes to, unless `ms` pass first: then `late` is called, and what it returns is thrown.
 *
 * What `work` comes to later is dropped.
 */
export async function within<T>(clock: Clock, ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = clock.after(ms, () => reject(late()));
    work.then(resolve, reject).finally(stop);
  });
}
