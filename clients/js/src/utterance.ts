/** Owns the outside of speech: its events, what can be done to it, and how a text or a stream of pieces becomes one. */

import type { SpeechEvent } from "./events.js";
import { ConnectionLost } from "./errors.js";
import type { ConfigureOptions } from "./options.js";
import { Pieces, type Tokens } from "./pieces.js";
import type { CancelledMessage, DoneMessage, Heard, StartedMessage } from "./protocol/messages.js";
import type { Speaking } from "./speaking.js";

/**
 * What `speak` returns. Iterate over it, once, for its events; the iteration ends after `done`.
 *
 * Nothing is sent before the iteration begins. Leaving it early cancels the utterance and closes the stream of text. An
 * error that ends the speech is thrown as `VoxwireError` where the iteration stands, after the audio that was ready
 * before it; a lost connection that does not come back as `ConnectionLost`; and what the stream of text throws, as it is.
 */
export class Utterance implements AsyncIterable<SpeechEvent> {
  readonly #speaking: Speaking;
  readonly #tokens: Tokens | null;

  /** @internal Sessions make them. Without `tokens` somebody else writes the text. */
  constructor(speaking: Speaking, tokens: Tokens | null) {
    this.#speaking = speaking;
    this.#tokens = tokens;
  }

  /** The context's name. */
  get context(): string {
    return this.#speaking.context;
  }

  /** What the server said it speaks with. */
  get started(): StartedMessage | null {
    return this.#speaking.hearing.started;
  }

  /** How it ended. */
  get done(): DoneMessage | null {
    return this.#speaking.hearing.done;
  }

  /** What was heard of it when it was cancelled. */
  get cancelled(): CancelledMessage | null {
    return this.#speaking.hearing.cancelled;
  }

  /** From the first text to the first audio frame, as this side sees it. */
  get ttfaClientMs(): number | null {
    return this.#speaking.ttfaClientMs;
  }

  /** The text that was written, less what was retracted. */
  get textSoFar(): string {
    return this.#speaking.hearing.transcript.text;
  }

  /**
   * A player tells where it is: it has taken frames up to `seq`, and put out every sample before `playedPts`.
   *
   * Call it as often as you like; the server is told a few times a second. What was received is acknowledged anyway.
   */
  acknowledge(seq: number, playedPts: number): void {
    const { hearing } = this.#speaking;
    hearing.playout.played(Math.min(playedPts, hearing.endOf(seq)));
  }

  /**
   * Barge-in: stops now. Returns what was heard, for the conversation's history, and what was not.
   *
   * Stop your player first; `playedPts` is what it has put out. Left out, the newest `acknowledge` counts, then the
   * server's clock. No audio event comes any more; the iteration goes on with `cancelled` and `done`, and ends. Where
   * everything had been sent already, or the connection is away or lost, the answer is worked out here. Never rejects.
   */
  cancel(options: { readonly playedPts?: number | undefined } = {}): Promise<CancelledMessage> {
    const { playedPts } = options;
    return this.#speaking.cancel(playedPts === undefined ? null : Math.max(0, Math.floor(playedPts)));
  }

  /** Cancels without waiting for what was heard. Without effect when it is over. */
  abandon(): void {
    this.#speaking.leave(null);
  }

  /** Asks for no more audio for now; nothing is lost. Pause your player too. */
  hold(): void {
    this.#speaking.hold();
  }

  /** Goes on after `hold`. */
  release(): void {
    this.#speaking.release();
  }

  /**
   * Changes Opus' bitrate or the pacing while it speaks.
   *
   * @throws VoxwireError client.unsupported_audio: the codec has no bitrate.
   */
  configure(options: ConfigureOptions): void {
    this.#speaking.configure(options);
  }

  /** What a listener at `playedPts` has heard, as far as can be known here; left out, now. Disturbs nothing. */
  heard(playedPts?: number): Heard {
    const { hearing, clock } = this.#speaking;
    return hearing.report(playedPts ?? hearing.playout.estimate(clock.now())).heard;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SpeechEvent, void, undefined> {
    const tokens = this.#tokens;
    try {
      await this.#speaking.open();
      if (tokens !== null && this.#speaking.takesText) this.#write(new Pieces(tokens));
      for (let event = await this.#speaking.next(); event !== null; event = await this.#speaking.next()) yield event;
    } finally {
      // The loop over a context that is written by hand can be left and taken up again.
      if (tokens !== null) this.abandon();
    }
  }

  #write(pieces: Pieces): void {
    const speaking = this.#speaking;
    speaking.onStopped = () => pieces.stop();
    const write = async () => {
      for (let piece = await pieces.next(); piece !== null; piece = await pieces.next()) {
        await speaking.writing.text(piece, false);
      }
      await speaking.writing.end();
    };
    write()
      .catch((error: unknown) => {
        if (error instanceof ConnectionLost) speaking.hearing.inbox.close(error);
        else speaking.fail(error instanceof Error ? error : new Error(String(error), { cause: error }));
      })
      .finally(() => pieces.stop());
  }
}
