/** Owns a context whose text its caller writes. */

import type { Speaking } from "./speaking.js";
import { Utterance } from "./utterance.js";

/**
 * One stream of text and its audio: text goes in by `text`, `flush` and `end`, events come out of the iteration.
 *
 * The iteration can be left and taken up again; leaving it cancels nothing. `abandon` or `cancel` what is not ended.
 */
export class Context extends Utterance {
  readonly #speaking: Speaking;

  /** @internal Sessions make them. */
  constructor(speaking: Speaking) {
    super(speaking, null);
    this.#speaking = speaking;
  }

  /**
   * Opens the context, so that the server is ready for its text. Everything else does it by itself.
   *
   * @throws ConnectionLost there is no connection, nor will be.
   * @throws RangeError a context of this name is in use on this session.
   */
  open(): Promise<void> {
    return this.#speaking.open();
  }

  /**
   * Appends text, in pieces of any size; a character may be cut in two between them. Waits while more would be waiting
   * to be spoken than the server takes, and while the network does not take more.
   *
   * @throws VoxwireError client.context_ended, or the error that ended the context.
   * @throws ConnectionLost there is no connection, nor will be.
   */
  async text(text: string, options: { readonly flush?: boolean | undefined } = {}): Promise<void> {
    await this.#speaking.open();
    await this.#speaking.writing.text(text, options.flush ?? false);
  }

  /** What was written is complete: speak it. A `flushed` event follows its last frame. Throws as `text`. */
  async flush(id?: string): Promise<void> {
    await this.#speaking.open();
    await this.#speaking.writing.flush(id ?? null);
  }

  /** No more text; `done` follows the last frame. Without effect when the context is over. */
  async end(): Promise<void> {
    await this.#speaking.open();
    await this.#speaking.writing.end();
  }

  /** Drops text that is not being spoken yet, from a code point on; returns how many are left. Throws as `text`. */
  async retract(fromChar: number): Promise<number> {
    await this.#speaking.open();
    return this.#speaking.writing.retract(fromChar);
  }
}
