/** Owns a context whose text its caller writes. */

import type { ContextLifecycle } from "./context-lifecycle.js";
import { Utterance } from "./utterance.js";

/**
 * One stream of text and its audio: text goes in by `text`, `flush` and `end`, events come out of the iteration.
 *
 * The loop over the events can be left and entered again; leaving it cancels nothing. A context that was not ended has
 * to be cancelled, by `abandon` or `cancel`.
 */
export class Context extends Utterance {
  readonly #lifecycle: ContextLifecycle;

  /** @internal Made by `Session.context`. */
  constructor(lifecycle: ContextLifecycle) {
    super(lifecycle, null);
    this.#lifecycle = lifecycle;
  }

  /**
   * Opens the context, so that the server is ready for its text. All other methods open it by themselves.
   *
   * @throws ConnectionLost the session is over.
   * @throws RangeError a context of this name is in use on this session.
   */
  open(): Promise<void> {
    return this.#lifecycle.open();
  }

  /**
   * Appends text, in pieces of any size; a surrogate pair may be split between them. Waits while the server's buffer of
   * unspoken text is full, and while the network accepts no more.
   *
   * @throws VoxwireError client.context_ended, or the error that ended the context.
   * @throws ConnectionLost the session is over.
   */
  async text(text: string, options: { readonly flush?: boolean | undefined } = {}): Promise<void> {
    await this.#lifecycle.open();
    await this.#lifecycle.sender.text(text, options.flush ?? false);
  }

  /** Speaks all text so far, although more may follow. A `flushed` event follows its last frame. Throws as `text`. */
  async flush(id?: string): Promise<void> {
    await this.#lifecycle.open();
    await this.#lifecycle.sender.flush(id ?? null);
  }

  /** Ends the text; `done` follows the last frame. Without effect when the context is over. */
  async end(): Promise<void> {
    await this.#lifecycle.open();
    await this.#lifecycle.sender.end();
  }

  /** Drops text that is not being spoken yet, from a code point on; returns the code points left. Throws as `text`. */
  async retract(fromChar: number): Promise<number> {
    await this.#lifecycle.open();
    return this.#lifecycle.sender.retract(fromChar);
  }
}
