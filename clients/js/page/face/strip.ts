/** Owns the strip of fifteen bars under the face: the weights as they are. */

import { SHAPE_NAMES } from "./shapes.js";

/** Bars in an element; draws only while its `<details>` is open. */
export class Strip {
  readonly #bars: HTMLElement[];
  readonly #details: HTMLDetailsElement;

  constructor(element: HTMLElement, details: HTMLDetailsElement) {
    this.#details = details;
    this.#bars = SHAPE_NAMES.map((name) => {
      const bar = document.createElement("i");
      const column = document.createElement("div");
      column.append(bar, name);
      element.append(column);
      return bar;
    });
  }

  /** Show `weights` (15). */
  draw(weights: ArrayLike<number>): void {
    if (!this.#details.open) return;
    this.#bars.forEach((bar, id) => bar.style.setProperty("--weight", (weights[id] ?? 0).toFixed(3)));
  }
}
