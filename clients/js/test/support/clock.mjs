/** Owns virtual time: timers fire when a test advances the clock, and their consequences settle before the next one. */

/** Waits until everything that needs no time has happened. */
export async function settle() {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export class VirtualClock {
  #now = 0;
  #timers = new Map();
  #numbers = 0;

  now() {
    return this.#now;
  }

  after(ms, action) {
    const number = ++this.#numbers;
    this.#timers.set(number, { at: this.#now + Math.max(0, ms), action });
    return () => this.#timers.delete(number);
  }

  /** Advances the clock without firing timers, which are then late, as in a page in the background. */
  skip(ms) {
    this.#now += ms;
  }

  /** How many timers are set. */
  get waiting() {
    return this.#timers.size;
  }

  /** Advances the clock by `ms`, and fires the timers on the way. */
  async pass(ms) {
    const until = this.#now + ms;
    await settle();
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.at <= until).sort((a, b) => a[1].at - b[1].at)[0];
      if (due === undefined) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].action();
      await settle();
    }
    this.#now = until;
    await settle();
  }
}
