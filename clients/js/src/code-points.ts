/** Owns lengths and places in text in Unicode code points, as the protocol counts, rather than UTF-16 units. Pure. */

const SURROGATE = /[\ud800-\udfff]/;
/** Under the `u` flag a surrogate pair is one code point, so that this matches unpaired surrogates only. */
const UNPAIRED = /[\ud800-\udfff]/gu;
const REPLACEMENT = "\ufffd";
/** The characters that end a word: JavaScript's own \s has U+FEFF as well, and neither U+0085 nor U+001C to U+001F. */
const SPACE = /^[\p{White_Space}\x1c-\x1f]$/u;
const BLANK = /^[\p{White_Space}\x1c-\x1f]*$/u;

/** How many code points a text has. */
export function countChars(text: string): number {
  if (!SURROGATE.test(text)) return text.length;
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/** The code points `[from, to)` of a text; without `to`, up to its end. */
export function sliceChars(text: string, from: number, to = Infinity): string {
  if (!SURROGATE.test(text)) return text.slice(from, to);
  const start = unitIndex(text, 0, from);
  return text.slice(start, to === Infinity ? undefined : unitIndex(text, start, to - from));
}

/** The UTF-16 index that is `chars` code points after UTF-16 index `unit`. */
function unitIndex(text: string, unit: number, chars: number): number {
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

/** The text with U+FFFD in place of unpaired surrogates, which UTF-8 can't express. */
export function wellFormed(text: string): string {
  return SURROGATE.test(text) ? text.replace(UNPAIRED, REPLACEMENT) : text;
}

/** Joins surrogate pairs that were split between two pieces of a text. */
export class SurrogateJoiner {
  #high = "";

  /** The next well-formed part of the text; a high surrogate at the end of `piece` is kept for the next call. */
  push(piece: string): string {
    let text = this.#high + piece;
    this.#high = "";
    const last = text.charCodeAt(text.length - 1);
    if (last >= 0xd800 && last <= 0xdbff) {
      this.#high = text.slice(-1);
      text = text.slice(0, -1);
    }
    return wellFormed(text);
  }

  /** The rest at the end of the text: empty, or U+FFFD for a high surrogate whose low one never came. */
  end(): string {
    const rest = wellFormed(this.#high);
    this.#high = "";
    return rest;
  }
}
