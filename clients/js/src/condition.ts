/** Owns synchronisation between asynchronous functions: a condition to wait for, and a lock. Needs no clock. */

/** Wakes every waiter when something has changed; a waiter then checks for itself what did. */
export class Condition {
  #waiters: (() => void)[] = [];

  /** Resolves at the next `notifyAll`; earlier ones do not count. */
  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  notifyAll(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

/** Runs asynchronous functions one at a time, in the order of the calls. */
export class Mutex {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` after all earlier calls have settled; returns its result. */
  runExclusive<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#last.then(work);
    this.#last = run.catch(() => undefined);
    return run;
  }
}
