/**
 * Owns what was said of a context's text, clause by clause, and what a listener has heard of it. Pure.
 *
 * The server tells the same in `cancelled`. This is for the time after `done`: a listener is still hearing what was
 * sent ahead, and the server has forgotten the context.
 */

import { countChars, isBlank, isSpace, sliceChars } from "./characters.js";
import type { ClauseMessage, Heard, TimingMessage, Unheard, WordTiming } from "./protocol/messages.js";

const SPOKEN = /^[\p{L}\p{N}]$/u;

/** A context's text, and when which part of it sounds. */
export class Transcript {
  #text = "";
  #chars = 0;
  #clauses: ClauseMessage[] = [];
  #words: WordTiming[] = [];

  /** The text so far. */
  get text(): string {
    return this.#text;
  }

  /** How many code points that is. */
  get chars(): number {
    return this.#chars;
  }

  /** How far into the text the clauses go that have begun to sound. */
  get spokenChars(): number {
    return this.#clauses.at(-1)?.chars[1] ?? 0;
  }

  append(text: string): void {
    this.#text += text;
    this.#chars += countChars(text);
  }

  /** Forgets the text from a character on. */
  truncate(chars: number): void {
    this.#text = sliceChars(this.#text, 0, chars);
    this.#chars = countChars(this.#text);
  }

  /** A clause begins to sound. */
  clause(message: ClauseMessage): void {
    this.#clauses.push(message);
  }

  /** Words sound. */
  timing(message: TimingMessage): void {
    for (const word of message.words ?? []) this.#words.push(word);
  }

  /**
   * The first character to speak anew where audio up to `pts` came and no more: that is where the first word begins
   * that did not come whole; where words are not known, the clause. Up to `utteranceEndPts` utterances came whole.
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
    let said = from;
    for (const word of words) {
      if (word.end_pts > pts) return this.#withOpening(word.chars[0], said);
      said = word.chars[1];
    }
    // A clause's words are told in parts: there may be more of them.
    return this.#pastClosing(said, to);
  }

  /** Where what closes a word ends, such as its full stop; `end` where nothing but space follows before it. */
  #pastClosing(char: number, end: number): number {
    const rest = [...sliceChars(this.#text, char, end)];
    const closing = rest.findIndex((each) => isSpace(each) || SPOKEN.test(each));
    const from = closing < 0 ? rest.length : closing;
    return isBlank(rest.slice(from).join("")) ? end : char + from;
  }

  /** Where a word's opening quotes or brackets begin. */
  #withOpening(char: number, least: number): number {
    const before = [...sliceChars(this.#text, least, char)];
    while (before.length > 0 && !isSpace(before.at(-1) as string)) before.pop();
    return least + before.length;
  }

  /** What was said of characters from `chars` on, and of audio from `pts` on, counts no more. */
  cut(pts: number, chars: number): void {
    this.#clauses = this.#clauses
      .filter((clause) => clause.pts < pts && clause.chars[0] <= chars)
      .map(({ chars: [from, to], ...clause }) => ({ ...clause, chars: [from, Math.max(from, Math.min(to, chars))] }));
    this.#words = this.#words.filter((word) => word.chars[1] <= chars && word.end_pts <= pts);
  }

  /** What has been heard up to `pts`: whole words. `endPts` is where the last clause ends, null if unknown. */
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
        return words.length > 0 ? byWords(words, pts, chars) : [this.#evenly(clause, end, pts, chars), null];
      }
      break;
    }
    return [chars, null];
  }

  #evenly(clause: ClauseMessage, endPts: number | null, pts: number, chars: number): number {
    if (endPts === null) return chars;
    const [from, to] = clause.chars;
    // Multiplied first: a share of its own, rounded, can fall short of a whole character.
    const passed = Math.floor(((to - from) * (pts - clause.pts)) / Math.max(1, endPts - clause.pts));
    const reached = [...sliceChars(this.#text, from, from + passed)];
    while (reached.length > 0 && !isSpace(reached.at(-1) as string)) reached.pop();
    return Math.max(chars, from + reached.length);
  }
}

function byWords(words: readonly WordTiming[], pts: number, chars: number): [chars: number, word: string | null] {
  for (const word of words) {
    if (word.end_pts > pts) return [chars, word.pts < pts ? word.text : null];
    chars = Math.max(chars, word.chars[1]);
  }
  return [chars, null];
}
