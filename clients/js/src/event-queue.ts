/** Owns the events of one context until the caller reads them: in order, then the end or an error. For one reader. */

import { Condition } from "./condition.js";
import type { SpeechEvent } from "./events.js";

/** Events that describe audio; useless once the audio will not be played. */
const AUDIO_EVENTS: ReadonlySet<SpeechEvent["type"]> = new Set(["audio", "clause", "timing", "mark"]);

/** Read events are removed from the array in batches of this size: removed one by one, each would move all others. */
const COMPACT_COUNT = 256;

/** A queue between the connection, which puts events, and the caller's loop, which gets them. */
export class EventQueue {
  #events: SpeechEvent[] = [];
  /** How many of `#events` have been read. */
  #readCount = 0;
  #closed = false;
  #error: Error | null = null;
  readonly #changed = new Condition();

  /** How many events have not been read. */
  get length(): number {
    return this.#events.length - this.#readCount;
  }

  /** Appends an event; without effect after `close`. */
  put(event: SpeechEvent): void {
    if (this.#closed) return;
    this.#events.push(event);
    this.#changed.notifyAll();
  }

  /** Drops unread audio and the events that describe it. */
  dropAudio(): void {
    this.#events = this.#events.slice(this.#readCount).filter((event) => !AUDIO_EVENTS.has(event.type));
    this.#readCount = 0;
  }

  /** Inserts an event before a `done` that is the last event and unread; otherwise without effect. */
  putBeforeDone(event: SpeechEvent): void {
    if (this.length > 0 && this.#events.at(-1)?.type === "done") this.#events.splice(-1, 0, event);
  }

  /** No more events come; `error` is thrown after the unread ones. Only the first call counts. */
  close(error: Error | null = null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    this.#changed.notifyAll();
  }

  /** Drops the unread events, so that the next `get` throws `error`. */
  fail(error: Error): void {
    if (this.#closed) return;
    this.#events = [];
    this.#readCount = 0;
    this.close(error);
  }

  /**
   * The next event, null at the end.
   *
   * @throws VoxwireError, ConnectionLost, or what the source of the text threw: the context ended with it.
   */
  async get(): Promise<SpeechEvent | null> {
    while (this.length === 0) {
      if (this.#error !== null) throw this.#error;
      if (this.#closed) return null;
      await this.#changed.wait();
    }
    const event = this.#events[this.#readCount++] as SpeechEvent;
    if (this.#readCount >= COMPACT_COUNT || this.length === 0) {
      this.#events.splice(0, this.#readCount);
      this.#readCount = 0;
    }
    return event;
  }
}
