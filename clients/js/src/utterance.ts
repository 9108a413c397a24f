/** Owns the public interface of one utterance: its events, and the methods that control it. Writes its text itself. */

import type { ContextLifecycle } from "./context-lifecycle.js";
import { ConnectionLost } from "./errors.js";
import type { SpeechEvent } from "./events.js";
import type { ConfigureOptions } from "./options.js";
import type { CancelledMessage, DoneMessage, Heard, StartedMessage } from "./protocol/messages.js";
import { TextSource, type Tokens } from "./text-source.js";

/**
 * What `speak` returns. Iterate over it, once, for its events; the iteration ends after `done`.
 *
 * Nothing is sent before the iteration begins. Leaving it early cancels the utterance and closes the stream of text.
 * The iteration throws the error that ends the speech, after the audio that was ready before it: a `VoxwireError` of
 * the server, a `ConnectionLost` if the client could not reconnect, or what the stream of text throws.
 */
export class Utterance implements AsyncIterable<SpeechEvent> {
  readonly #lifecycle: ContextLifecycle;
  readonly #tokens: Tokens | null;

  /** @internal Made by `Session.speak`. `tokens` null: the caller writes the text, with the methods of `Context`. */
  constructor(lifecycle: ContextLifecycle, tokens: Tokens | null) {
    this.#lifecycle = lifecycle;
    this.#tokens = tokens;
  }

  /** The context's name. */
  get context(): string {
    return this.#lifecycle.context;
  }

  /** The server's `started`: voice, engine and audio format; null before it. */
  get started(): StartedMessage | null {
    return this.#lifecycle.receiver.started;
  }

  /** The server's `done`; null before the end. */
  get done(): DoneMessage | null {
    return this.#lifecycle.receiver.done;
  }

  /** The report of what was heard when it was cancelled; null if it was not, or has not been answered. */
  get cancelled(): CancelledMessage | null {
    return this.#lifecycle.receiver.cancelled;
  }

  /** Milliseconds from the first text to the first audio frame, measured by the client; null before that frame. */
  get ttfaClientMs(): number | null {
    return this.#lifecycle.ttfaClientMs;
  }

  /** The text written so far, without what was retracted. */
  get textSoFar(): string {
    return this.#lifecycle.receiver.transcript.text;
  }

  /**
   * Reports the position of the player: it has taken frames up to `seq`, and put out every sample before `playedPts`.
   *
   * May be called at any rate; the client sends it to the server a few times a second. Received frames are acknowledged
   * without it.
   */
  acknowledge(seq: number, playedPts: number): void {
    const { receiver } = this.#lifecycle;
    receiver.playout.played(Math.min(playedPts, receiver.endPtsOf(seq)));
  }

  /**
   * Barge-in: stops the speech. Returns what was heard, for the conversation's history, and what was not.
   *
   * Stop the player first; `playedPts` is the end of what it has put out. Without it, the newest `acknowledge` counts,
   * else the server's clock. No audio event follows; the iteration continues with `cancelled` and `done`, and ends. If
   * the server had sent everything, or there is no connection, the client computes the answer itself. Never rejects.
   */
  cancel(options: { readonly playedPts?: number | undefined } = {}): Promise<CancelledMessage> {
    const { playedPts } = options;
    return this.#lifecycle.cancel(playedPts === undefined ? null : Math.max(0, Math.floor(playedPts)));
  }

  /** Cancels without waiting for the report. Without effect when the utterance is over. */
  abandon(): void {
    this.#lifecycle.startCancel(null);
  }

  /** Asks the server to pause sending; nothing is lost. The caller pauses the player. */
  hold(): void {
    this.#lifecycle.hold();
  }

  /** Resumes after `hold`. */
  release(): void {
    this.#lifecycle.release();
  }

  /**
   * Changes Opus' bitrate or the pacing while it speaks.
   *
   * @throws VoxwireError client.unsupported_audio: the codec has no bitrate.
   */
  configure(options: ConfigureOptions): void {
    this.#lifecycle.configure(options);
  }

  /** What a listener at `playedPts` has heard, from the timings received so far; by default, the listener of now. */
  heard(playedPts?: number): Heard {
    const { receiver, clock } = this.#lifecycle;
    return receiver.report(playedPts ?? receiver.playout.estimate(clock.now())).heard;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SpeechEvent, void, undefined> {
    const tokens = this.#tokens;
    try {
      await this.#lifecycle.open();
      if (tokens !== null && this.#lifecycle.takesText) this.#write(new TextSource(tokens));
      for (let event = await this.#lifecycle.next(); event !== null; event = await this.#lifecycle.next()) yield event;
    } finally {
      // Only here: the loop over a context whose text the caller writes can be left and entered again.
      if (tokens !== null) this.abandon();
    }
  }

  /** Sends the text in the background, until its end or until the context takes no more. */
  #write(source: TextSource): void {
    const lifecycle = this.#lifecycle;
    lifecycle.onStopped = () => source.stop();
    const write = async () => {
      for (let piece = await source.next(); piece !== null; piece = await source.next()) {
        await lifecycle.sender.text(piece, false);
      }
      await lifecycle.sender.end();
    };
    write()
      .catch((error: unknown) => {
        if (error instanceof ConnectionLost) lifecycle.receiver.events.close(error);
        else lifecycle.fail(error instanceof Error ? error : new Error(String(error), { cause: error }));
      })
      .finally(() => source.stop());
  }
}
