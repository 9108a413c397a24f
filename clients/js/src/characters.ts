/** Owns characters as the protocol counts them: Unicode code points, where JavaScript counts UTF-16 units. Pure. */

const SURROGATE = /[\ud800-\udfff]/;
/** With the `u` flag a whole pair is one code point, so only those without a partner are found. */
const LONE = /[\ud800-\udfff]/gu;
const REPLACEMENT = "\ufffd";
/** What ends a word: JavaScript's own \s knows U+FEFF besides, and not U+0085 nor U+001C to U+001F. */
const SPACE = /^[\p{White_Space}\x1c-\x1f]$/u;
const BLANK = /^[\p{White_Space}\x1c-\x1f]*$/u;

/** How many code points a text has. */
export function countChars(text: string): number {
  if (!SURROGATE.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The part of a text between two code points; `to` left out is its end. */
export function sliceChars(text: string, from: number, to = Infinity): string {
  if (!SURROGATE.test(text)) return text.slice(from, to);
  const start = unitOf(text, 0, from);
  return text.slice(start, to === Infinity ? undefined : unitOf(text, start, to - from));
}

function unitOf(text: string, unit: number, chars: number): number {
  for (; chars > 0 && unit < text.length; chars--) unit += (text.codePointAt(unit) as number) > 0xffff ? 2 : 1;
  return unit;
}

/** Whether a character is space, as the protocol counts it. */
export function isSpace(character: string): boolean {
  return SPACE.test(character);
}

/** Whether a text is nothing but space. */
export function isBlank(text: string): boolean {
  return BLANK.test(text);
}

/** The text with U+FFFD for surrogates that have no partner, which can't be written as UTF-8. */
export function wellFormed(text: string): string {
  return SURROGATE.test(text) ? text.replace(LONE, REPLACEMENT) : text;
}

/** Joins characters that were cut in two between pieces of a text. */
export class Joiner {
  #half = "";

  /** What can be said of the text with `piece` at its end; half a character waits for the next piece. */
  take(piece: string): string {
    let text = this.#half + piece;
    this.#half = "";
    const last = text.charCodeAt(text.length - 1);
    if (last >= 0xd800 && last <= 0xdbff) {
      this.#half = text.slice(-1);
      text = text.slice(0, -1);
    }
    return wellFormed(text);
  }

  /** What is left at the end of the text: nothing, or U+FFFD for a half that never got its other one. */
  end(): string {
    const left = wellFormed(this.#half);
    this.#half = "";
    return left;
  }
}
