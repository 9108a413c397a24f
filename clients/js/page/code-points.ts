/** Owns places in a text as the protocol counts them: in Unicode code points. Pure. */

/** A text as code points, growing at its end. */
export class CodePoints {
  #points: string[] = [];

  constructor(text = "") {
    this.append(text);
  }

  get length(): number {
    return this.#points.length;
  }

  /** Adds to the end. A surrogate pair that was cut in two becomes whole again. */
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
