/**
 * Owns a context's text with the timings of its clauses and words, and computes what a listener has heard of it. Pure.
 *
 * The server reports the same in `cancelled`. This is for the time after `done`, when the listener still hears audio
 * that was sent ahead and the server has removed the context, and for the time without a connection.
 */

import { countChars, isBlank, isSpace, sliceChars } from "./code-points.js";
import type { ClauseMessage, Heard, TimingMessage, Unheard, WordTiming } from "./protocol/messages.js";

const SPOKEN = /^[\p{L}\p{N}]$/u;

/** A context's text, and the pts at which each part of it sounds. */
export class Transcript {
  #text = "";
  #chars = 0;
  #clauses: ClauseMessage[] = [];
  #words: WordTiming[] = [];

  /** The text so far. */
  get text(): string {
    return this.#text;
  }

  /** The length of the text in code points. */
  get chars(): number {
    return this.#chars;
  }

  /** The end of the newest clause, in code points: text before it has been spoken. */
  get spokenChars(): number {
    return this.#clauses.at(-1)?.chars[1] ?? 0;
  }

  append(text: string): void {
    this.#text += text;
    this.#chars += countChars(text);
  }

  /** Removes the text from character `chars` on. */
  truncate(chars: number): void {
    this.#text = sliceChars(this.#text, 0, chars);
    this.#chars = countChars(this.#text);
  }

  /** Adds a clause. */
  clause(message: ClauseMessage): void {
    this.#clauses.push(message);
  }

  /** Adds the words of a `timing`. */
  timing(message: TimingMessage): void {
    for (const word of message.words ?? []) this.#words.push(word);
  }

  /**
   * The first character to synthesize again if only audio up to `pts` was received: the beginning of the first word
   * that was not received completely, or of its clause if there are no word timings. Utterances that end at or before
   * `utteranceEndPts` were received completely.
   */
  firstUnheard(pts: number, utteranceEndPts: number): number {
    const begun = this.#clauses.filter((clause) => clause.pts < pts);
    const clause = begun.at(-1);
    if (clause === undefined) return 0;
    const next = this.#clauses[begun.length];
    if ((next !== undefined && next.pts <= pts) || pts <= utteranceEndPts) return clause.chars[1];
    const [from, to] = clause.chars;
    const words = this.#words.filter((w) => w.pts >= clause.pts && w.chars[0] >= from && w.chars[0] < to);
    if (words.length === 0) return from;
    let heardChars = from;
    for (const word of words) {
      if (word.end_pts > pts) return this.#withOpening(word.chars[0], heardChars);
      heardChars = word.chars[1];
    }
    // The server sends a clause's words in several messages: more of them may follow.
    return this.#pastClosing(heardChars, to);
  }

  /** The place after the punctuation that closes a word; `end` if only space follows before it. */
  #pastClosing(char: number, end: number): number {
    const rest = [...sliceChars(this.#text, char, end)];
    const closing = rest.findIndex((each) => isSpace(each) || SPOKEN.test(each));
    const from = closing < 0 ? rest.length : closing;
    return isBlank(rest.slice(from).join("")) ? end : char + from;
  }

  /** The place before the quotes or brackets that open the word at `char`; at least `min`. */
  #withOpening(char: number, min: number): number {
    const before = [...sliceChars(this.#text, min, char)];
    while (before.length > 0 && !isSpace(before.at(-1) as string)) before.pop();
    return min + before.length;
  }

  /** Removes the timings of characters from `chars` on, and of audio from `pts` on. */
  cut(pts: number, chars: number): void {
    this.#clauses = this.#clauses
      .filter((clause) => clause.pts < pts && clause.chars[0] <= chars)
      .map(({ chars: [from, to], ...clause }) => ({ ...clause, chars: [from, Math.max(from, Math.min(to, chars))] }));
    this.#words = this.#words.filter((word) => word.chars[1] <= chars && word.end_pts <= pts);
  }

  /** The whole words heard up to `pts`, and the rest. `endPts` is the end of the last clause, null if unknown. */
  heard(pts: number, endPts: number | null): { readonly heard: Heard; readonly unheard: Unheard } {
    const [chars, word] = this.#heard(pts, endPts);
    const text = sliceChars(this.#text, 0, chars);
    return {
      heard: { pts, chars, text, ...(word === null ? {} : { word }) },
      unheard: { chars: this.#chars - chars, text: this.#text.slice(text.length) },
    };
  }

  #heard(pts: number, endPts: number | null): [chars: number, word: string | null] {
    let chars = 0;
    for (const [index, clause] of this.#clauses.entries()) {
      const end = this.#clauses[index + 1]?.pts ?? endPts;
      if (end !== null && pts >= end) {
        chars = clause.chars[1];
        continue;
      }
      if (pts >= clause.pts) chars = Math.max(chars, clause.chars[0]);
      if (pts > clause.pts) {
        const words = this.#words.filter((w) => clause.pts <= w.pts && (end === null || w.pts < end));
        return words.length > 0 ? heardByWords(words, pts, chars) : [this.#heardByShare(clause, end, pts, chars), null];
      }
      break;
    }
    return [chars, null];
  }

  /** Without word timings: the share of the clause that was heard, rounded down to whole words. */
  #heardByShare(clause: ClauseMessage, endPts: number | null, pts: number, chars: number): number {
    if (endPts === null) return chars;
    const [from, to] = clause.chars;
    // Multiplied first: a share of its own, rounded, can fall short of a whole character.
    const passed = Math.floor(((to - from) * (pts - clause.pts)) / Math.max(1, endPts - clause.pts));
    const reached = [...sliceChars(this.#text, from, from + passed)];
    while (reached.length > 0 && !isSpace(reached.at(-1) as string)) reached.pop();
    return Math.max(chars, from + reached.length);
  }
}

/** With word timings: the end of the last word heard, and the word that sounds at `pts`, if any. */
function heardByWords(words: readonly WordTiming[], pts: number, chars: number): [chars: number, word: string | null] {
  for (const word of words) {
    if (word.end_pts > pts) return [chars, word.pts < pts ? word.text : null];
    chars = Math.max(chars, word.chars[1]);
  }
  return [chars, null];
}
