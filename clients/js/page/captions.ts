/** Owns the caption: the text that is spoken, in which the part heard so far and the current word are highlighted. */

/** `[start, end)` in code points. */
export type CharRange = readonly [number, number];

/** The text of one answer in an element, in three parts: heard, the current word, and the rest. */
export class Captions {
  readonly #element: HTMLElement;
  readonly #heard = part("heard");
  readonly #now = part("now");
  readonly #rest = part("rest");
  #text = new CodePoints();
  #current: CharRange = [0, 0];

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

  /** Appends text that was sent. */
  append(text: string): void {
    this.#text.append(text);
    this.#rest.textContent = this.#text.slice(this.#current[1]);
  }

  /** The word at `chars` begins to be heard. Several spoken words can have the same `chars`: "$5" is "five dollars". */
  light(chars: CharRange): void {
    this.#split(chars);
    this.#scrollTo(this.#now);
  }

  /** All of the text has been heard. */
  finish(): void {
    this.#split([this.#text.length, this.#text.length]);
  }

  /** The answer was interrupted: only the text before code point `heardChars` was heard. */
  interrupt(heardChars: number): void {
    this.#split([heardChars, heardChars]);
    this.#rest.className = "rest lost";
    this.#scrollTo(this.#rest);
  }

  #split(chars: CharRange): void {
    this.#current = chars;
    this.#heard.textContent = this.#text.slice(0, chars[0]);
    this.#now.textContent = this.#text.slice(chars[0], chars[1]);
    this.#now.dataset["chars"] = chars.join("-");
    this.#rest.textContent = this.#text.slice(chars[1]);
  }

  /** Scrolls so that the first line of `word` is visible. */
  #scrollTo(word: HTMLElement): void {
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

/** A text that grows at its end, indexed by code points as in the protocol. */
export class CodePoints {
  #points: string[] = [];

  constructor(text = "") {
    this.append(text);
  }

  get length(): number {
    return this.#points.length;
  }

  /** Appends text. A surrogate pair that was split between two calls is joined. */
  append(text: string): void {
    const last = this.#points.at(-1);
    if (last !== undefined && /^[\ud800-\udbff]$/.test(last) && /^[\udc00-\udfff]/.test(text)) {
      this.#points.pop();
      text = last + text;
    }
    for (const point of text) this.#points.push(point);
  }

  /** The text from code point `from` to before `to`. */
  slice(from: number, to?: number): string {
    return this.#points.slice(from, to).join("");
  }
}
