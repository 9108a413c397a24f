/** Owns reading text from what callers pass: a string, an iterable, or an asynchronous iterable of pieces. */

/** A text, or its pieces as they are written. null counts as empty: language models send deltas without text. */
export type Tokens = string | Iterable<string | null | undefined> | AsyncIterable<string | null | undefined>;

type Piece = string | null | undefined;
type PieceIterator = Iterator<Piece> | AsyncIterator<Piece>;

/** Reads the pieces of a text until their end, or until it is stopped. */
export class TextSource {
  readonly #iterator: PieceIterator;
  #resolveStopped: (() => void) | null = null;
  readonly #stopped: Promise<null> = new Promise((resolve) => (this.#resolveStopped = () => resolve(null)));

  /** @throws TypeError `tokens` is not iterable. */
  constructor(tokens: Tokens) {
    this.#iterator = iteratorOf(tokens);
  }

  /** The next piece that is not empty; null at the end, or when stopped. Throws what the iterator throws. */
  async next(): Promise<string | null> {
    for (;;) {
      const step = await Promise.race([this.#iterator.next(), this.#stopped]);
      if (this.#resolveStopped === null || step === null || step.done === true) return null;
      const piece: unknown = step.value;
      if (piece === null || piece === undefined || piece === "") continue;
      if (typeof piece !== "string") throw new TypeError(`text comes in strings, not in ${typeof piece}`);
      return piece;
    }
  }

  /** Reads no more, and calls the iterator's `return`, so that a language model can stop writing. */
  stop(): void {
    if (this.#resolveStopped === null) return;
    this.#resolveStopped();
    this.#resolveStopped = null;
    try {
      // A generator that is running answers after its next yield, or never: not awaited.
      Promise.resolve(this.#iterator.return?.()).catch(() => undefined);
    } catch {
      // The caller no longer waits for the text, so that there is no place to report the error.
    }
  }
}

function iteratorOf(tokens: Tokens): PieceIterator {
  if (typeof tokens === "string") return [tokens].values();
  if (Symbol.asyncIterator in tokens) return tokens[Symbol.asyncIterator]();
  if (Symbol.iterator in tokens) return tokens[Symbol.iterator]();
  throw new TypeError("text is a string, an iterable or an asynchronous iterable of strings");
}
