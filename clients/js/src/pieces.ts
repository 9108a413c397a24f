/** Owns drawing text from whatever a caller has: a string, an iterable, or an asynchronous iterable of pieces. */

/** A text, or its pieces as they are written. null counts as empty: language models send deltas without text. */
export type Tokens = string | Iterable<string | null | undefined> | AsyncIterable<string | null | undefined>;

type Piece = string | null | undefined;
type Source = Iterator<Piece> | AsyncIterator<Piece>;

/** The pieces of a text, until somebody stops it. */
export class Pieces {
  readonly #source: Source;
  #stop: (() => void) | null = null;
  readonly #stopped: Promise<null> = new Promise((resolve) => (this.#stop = () => resolve(null)));

  /** @throws TypeError `tokens` can't be drawn from. */
  constructor(tokens: Tokens) {
    this.#source = sourceOf(tokens);
  }

  /** The next piece; null at the end, or when it was stopped. */
  async next(): Promise<string | null> {
    for (;;) {
      const step = await Promise.race([this.#source.next(), this.#stopped]);
      if (this.#stop === null || step === null || step.done === true) return null;
      const piece: unknown = step.value;
      if (piece === null || piece === undefined || piece === "") continue;
      if (typeof piece !== "string") throw new TypeError(`text comes in strings, not in ${typeof piece}`);
      return piece;
    }
  }

  /** Draws no more, and tells the source, so that a language model can stop writing. */
  stop(): void {
    if (this.#stop === null) return;
    this.#stop();
    this.#stop = null;
    try {
      // A generator that is at work answers when it is done with that, or not at all.
      Promise.resolve(this.#source.return?.()).catch(() => undefined);
    } catch {
      // Nobody is left to be told.
    }
  }
}

function sourceOf(tokens: Tokens): Source {
  if (typeof tokens === "string") return [tokens].values();
  if (Symbol.asyncIterator in tokens) return tokens[Symbol.asyncIterator]();
  if (Symbol.iterator in tokens) return tokens[Symbol.iterator]();
  throw new TypeError("text is a string, an iterable or an asynchronous iterable of strings");
}
