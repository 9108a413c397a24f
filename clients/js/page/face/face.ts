/** Owns the drawings of viseme weights: a face that moves its mouth, blinks and breathes, and a bar for each weight. */

import { contour } from "./contour.js";
import { blend, SHAPE_NAMES, type Mouth } from "./shapes.js";

const BLINK_MS = 150;

/** A face in an `<svg>` that has the parts named below (index.html draws them). */
export class Face {
  readonly #svg: SVGSVGElement;
  readonly #parts: Record<string, SVGElement>;
  readonly #still: MediaQueryList;
  #blinkAt = 0;
  #lookAt = 0;
  #look = 0;
  #looked = 0;
  #energy = 0;

  constructor(svg: SVGSVGElement, still: MediaQueryList) {
    this.#svg = svg;
    this.#still = still;
    this.#parts = {};
    for (const part of svg.querySelectorAll<SVGElement>("[data-part]")) this.#parts[part.dataset["part"]!] = part;
  }

  /** Draws the mouth of `weights` (15) at `nowMs`, which must not decrease. */
  draw(weights: ArrayLike<number>, nowMs: number): void {
    const mouth = blend(weights);
    this.#drawMouth(mouth);
    this.#svg.dataset["lipGap"] = mouth.gap.toFixed(2);
    this.#energy += (Math.min(1, mouth.gap / 22) - this.#energy) * 0.12;
    if (!this.#still.matches) this.#live(nowMs);
  }

  #drawMouth(mouth: Mouth): void {
    const lines = contour(mouth);
    this.#set("inside", { d: lines.inside });
    this.#set("clip", { d: lines.inside });
    this.#set("upper-lip", { d: lines.upperLip });
    this.#set("lower-lip", { d: lines.lowerLip });
    this.#set("lip-line", { d: lines.lipLine, opacity: lines.lipLineOpacity.toFixed(2) });
    this.#set("upper-teeth", { y: lines.upperTeeth.y.toFixed(2), height: lines.upperTeeth.height.toFixed(2) });
    this.#set("lower-teeth", { y: lines.lowerTeeth.y.toFixed(2), height: lines.lowerTeeth.height.toFixed(2) });
    this.#ellipse("tongue", lines.tongue);
    this.#ellipse("tip", lines.tip);
    this.#set("tip", { opacity: lines.tip.opacity.toFixed(2) });
    this.#set("chin", { transform: `translate(0 ${(mouth.jaw * 0.55).toFixed(2)})` });
    this.#set("jaw", { d: jawLine(mouth.jaw * 0.6) });
    this.#set("lip-shadow", { cy: (245 + mouth.gap * 0.62).toFixed(2) });
  }

  #live(nowMs: number): void {
    const open = this.#openness(nowMs);
    this.#set("eyes", { transform: `translate(0 ${(EYE_Y * (1 - open)).toFixed(2)}) scale(1 ${open.toFixed(3)})` });
    if (nowMs > this.#lookAt) {
      this.#lookAt = nowMs + 1400 + Math.random() * 2600;
      this.#look = Math.random() < 0.45 ? 0 : (Math.random() - 0.5) * 4.5;
    }
    this.#looked += (this.#look - this.#looked) * 0.18;
    const breath = Math.sin(nowMs / 1400);
    const nod = breath * 0.9 + this.#energy * 2.2;
    this.#set("pupils", { transform: `translate(${this.#looked.toFixed(2)} 0)` });
    this.#set("brows", { transform: `translate(0 ${(-this.#energy * 4.5).toFixed(2)})` });
    const lean = Math.sin(nowMs / 2300) * 0.9 + this.#looked * 0.12;
    this.#set("head", { transform: `rotate(${lean.toFixed(3)} 160 290) translate(0 ${nod.toFixed(2)})` });
  }

  /** How far the eyelids are open, 0 to 1: they blink every few seconds. */
  #openness(nowMs: number): number {
    if (this.#blinkAt === 0) this.#blinkAt = nowMs + 1500;
    const since = nowMs - this.#blinkAt;
    if (since > BLINK_MS) this.#blinkAt = nowMs + (Math.random() < 0.15 ? 120 : 1800 + Math.random() * 3800);
    if (since < 0 || since > BLINK_MS) return 1;
    return Math.max(0.06, Math.abs(1 - (2 * since) / BLINK_MS));
  }

  #ellipse(part: string, at: { y: number; radiusX: number; radiusY: number }): void {
    this.#set(part, { cy: at.y.toFixed(2), rx: at.radiusX.toFixed(2), ry: at.radiusY.toFixed(2) });
  }

  #set(part: string, attributes: Record<string, string>): void {
    const element = this.#parts[part];
    if (element === undefined) return;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  }
}

const EYE_Y = 152;

/** The outline of the head, its chin `drop` units lower than at rest. */
export function jawLine(drop: number): string {
  const chin = 262 + drop;
  return (
    `M86 148C86 92 116 62 160 62C204 62 234 92 234 148` +
    `C234 ${(196 + drop * 0.5).toFixed(1)} 208 ${chin.toFixed(1)} 160 ${chin.toFixed(1)}` +
    `C112 ${chin.toFixed(1)} 86 ${(196 + drop * 0.5).toFixed(1)} 86 148Z`
  );
}

/** Fifteen bars that show the viseme weights; drawn only while their `<details>` is open. */
export class WeightBars {
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

  /** Shows `weights` (15). */
  draw(weights: ArrayLike<number>): void {
    if (!this.#details.open) return;
    this.#bars.forEach((bar, id) => bar.style.setProperty("--weight", (weights[id] ?? 0).toFixed(3)));
  }
}
