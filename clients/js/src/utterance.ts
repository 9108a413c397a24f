/** Owns the outside of one utterance. */

import type { SpeechEvent } from "./events.js";
import type { ConfigureOptions } from "./options.js";
import type { CancelledMessage, DoneMessage, StartedMessage } from "./protocol/messages.js";

/** What `speak` returns: iterate over it for its events; the iteration ends after `done`. */
export class Utterance implements AsyncIterable<SpeechEvent> {
  get started(): StartedMessage | null { throw new Error("not there yet"); }
  get done(): DoneMessage | null { throw new Error("not there yet"); }
  get cancelled(): CancelledMessage | null { throw new Error("not there yet"); }
  /** From the first text to the first audio frame, as this side sees it. */
  get ttfaClientMs(): number | null { throw new Error("not there yet"); }
  /** The player has taken frames up to `seq` and put out samples up to `playedPts`; told to the server a few times a second. */
  acknowledge(_seq: number, _playedPts: number): void {}
  cancel(_options: { playedPts?: number | undefined } = {}): Promise<CancelledMessage> { throw new Error("not there yet"); }
  hold(): void {}
  release(): void {}
  configure(_options: ConfigureOptions): void {}
  [Symbol.asyncIterator](): AsyncGenerator<SpeechEvent, void, undefined> { throw new Error("not there yet"); }
}
