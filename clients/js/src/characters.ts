/** Owns characters as the protocol counts them: Unicode code points, where JavaScript counts UTF-16 units. Pure. */

const SURROGATE = /[\ud800-\udfff]/;
/** With the `u` flag a whole pair is one code point, so only those without a partner are found. */
const LONE = /[\ud800-\udfff]/gu;
const REPLACEMENT = "\ufffd";

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
