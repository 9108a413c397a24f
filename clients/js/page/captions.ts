/** Owns the caption: the original text, of which the part that has been heard and the word being heard are lit. */

import { CodePoints } from "./code-points.js";

/** `[start, end)` in code points. */
export type CharRange = readonly [number, number];

/** The text of one answer in an element, in three parts: heard, the word being heard, and the rest. */
export class Captions {
  readonly #element: HTMLElement;
  readonly #heard = part("heard");
  readonly #now = part("now");
  readonly #rest = part("rest");
  #text = new CodePoints();
  #place: CharRange = [0, 0];

  constructor(element: HTMLElement) {
    this.#element = element;
  }

  /** The whole text. */
  get text(): string {
    return this.#text.slice(0);
  }

  /** A new answer in `language` (BCP 47), empty. */
  begin(language: string): void {
    this.#text = new CodePoints();
    this.#element.lang = language;
    delete this.#element.dataset["empty"];
    this.#element.replaceChildren(this.#heard, this.#now, this.#rest);
    this.#element.scrollTop = 0;
    this.#rest.className = "rest";
    this.#split([0, 0]);
  }

  /** Text that was sent, after what there is. */
  append(text: string): void {
    this.#text.append(text);
    this.#rest.textContent = this.#text.slice(this.#place[1]);
  }

  /** The word at `chars` begins to be heard. Spoken words can share a place: "$5" is read as "five dollars". */
  light(chars: CharRange): void {
    this.#split(chars);
    this.#follow(this.#now);
  }

  /** Everything has been heard. */
  finish(): void {
    this.#split([this.#text.length, this.#text.length]);
  }

  /** What was heard ends before code point `heardChars`; the rest was lost. */
  interrupt(heardChars: number): void {
    this.#split([heardChars, heardChars]);
    this.#rest.className = "rest lost";
    this.#follow(this.#rest);
  }

  #split(chars: CharRange): void {
    this.#place = chars;
    this.#heard.textContent = this.#text.slice(0, chars[0]);
    this.#now.textContent = this.#text.slice(chars[0], chars[1]);
    this.#now.dataset["chars"] = chars.join("-");
    this.#rest.textContent = this.#text.slice(chars[1]);
  }

  #follow(word: HTMLElement): void {
    const box = this.#element;
    const line = word.getClientRects()[0];
    if (line === undefined || box.scrollHeight <= box.clientHeight) return;
    const top = line.top - box.getBoundingClientRect().top + box.scrollTop;
    const shown = top >= box.scrollTop && top + 2 * line.height <= box.scrollTop + box.clientHeight;
    if (!shown) box.scrollTop = top - line.height;
  }
}

function part(name: string): HTMLSpanElement {
  const span = document.createElement("span");
  span.className = name;
  return span;
}
