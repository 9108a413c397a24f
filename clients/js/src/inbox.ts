/** Owns the events of one context in their order, then its end: nothing more, or an error. One reader at a time. */

import type { SpeechEvent } from "./events.js";
import { News } from "./waiting.js";

/** What nobody needs any more when nobody will hear the audio. */
const UNHEARD: ReadonlySet<SpeechEvent["type"]> = new Set(["audio", "clause", "timing"]);

/** Events between the one who gets them from the server and the one who listens. */
export class Inbox {
  #events: SpeechEvent[] = [];
  #taken = 0;
  #closed = false;
  #error: Error | null = null;
  readonly #news = new News();

  /** How many events wait. */
  get length(): number {
    return this.#events.length - this.#taken;
  }

  /** Appends an event; without effect after the end. */
  put(event: SpeechEvent): void {
    if (this.#closed) return;
    this.#events.push(event);
    this.#news.tell();
  }

  /** Forgets audio that has not been taken out, and what describes it. */
  dropAudio(): void {
    this.#events = this.#events.slice(this.#taken).filter((event) => !UNHEARD.has(event.type));
    this.#taken = 0;
  }

  /** Inserts what should have come before a `done` that has not been taken out yet. */
  putBeforeDone(event: SpeechEvent): void {
    if (this.length > 0 && this.#events.at(-1)?.type === "done") this.#events.splice(-1, 0, event);
  }

  /** Nothing more comes; `error` is thrown after what is here. The first close counts. */
  close(error: Error | null = null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    this.#news.tell();
  }

  /** Throws `error` at once, ahead of everything that is here. */
  fail(error: Error): void {
    if (this.#closed) return;
    this.#events = [];
    this.#taken = 0;
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
      await this.#news.wait();
    }
    const event = this.#events[this.#taken++] as SpeechEvent;
    // Taken out in bulk: one by one each would move all the others.
    if (this.#taken >= 256 || this.length === 0) {
      this.#events.splice(0, this.#taken);
      this.#taken = 0;
    }
    return event;
  }
}
