/** Owns the outlines of a mouth: turns its numbers into SVG paths. Pure. */

import type { Mouth } from "./shapes.js";

/** The middle of the closed lips, in the drawing's units. */
export const MOUTH_X = 160;
export const MOUTH_Y = 217;

/** SVG paths (`d`) and places, in the drawing's units. */
export interface Contour {
  /** The inside: what is dark between the lips, and what teeth and tongue are clipped by. */
  inside: string;
  upperLip: string;
  lowerLip: string;
  /** The line where the lips meet, and its opacity: 1 where they are closed. */
  lipLine: string;
  lipLineOpacity: number;
  upperTeeth: { y: number; height: number };
  lowerTeeth: { y: number; height: number };
  tongue: { y: number; radiusX: number; radiusY: number };
  /** The tip of the tongue, drawn over the lower lip. */
  tip: { y: number; radiusX: number; radiusY: number; opacity: number };
}

const UPPER_LIP = 7.5;
const LOWER_LIP = 10;

/** The outlines of `mouth`. */
export function contour(mouth: Mouth): Contour {
  const { halfWidth, gap, round, smile } = mouth;
  const left = MOUTH_X - halfWidth;
  const right = MOUTH_X + halfWidth;
  // The upper lip hardly moves; most of an opening is the jaw's.
  const top = MOUTH_Y - gap * 0.3;
  const bottom = MOUTH_Y + gap * 0.7;
  const corner = MOUTH_Y + gap * 0.12 - smile * 4;
  // A curve through (middle, top) has its handles a third beyond it; rounding pulls them apart, towards an ellipse.
  const reach = halfWidth * (0.42 + 0.48 * round);
  const inner = {
    up: handle(corner, top),
    down: handle(corner, bottom),
  };
  const upper = UPPER_LIP * (1 - 0.45 * mouth.press) * (1 + 0.25 * round);
  const lower = LOWER_LIP * (1 - 0.45 * mouth.press) * (1 + 0.2 * round) * (1 - 0.35 * mouth.tuck);
  const over = 3 + 3 * round;
  return {
    inside: `M${n(left)} ${n(corner)}${curve(left, right, reach, inner.up, corner)}${curve(right, left, -reach, inner.down, corner)}Z`,
    upperLip: upperLip(left, right, corner, reach, inner.up, top, upper, over, round),
    lowerLip: lowerLip(left, right, corner, reach, inner.down, bottom, lower, over),
    lipLine: `M${n(left - over * 0.6)} ${n(corner - 0.6)}L${n(left)} ${n(corner)}${curve(left, right, reach, (inner.up + inner.down) / 2, corner)}L${n(right + over * 0.6)} ${n(corner - 0.6)}`,
    lipLineOpacity: Math.max(0, 1 - gap / 5),
    upperTeeth: { y: top - 6, height: 6 + mouth.upperTeeth * Math.min(10, 2.5 + gap * 0.42 + mouth.tuck * 3) },
    lowerTeeth: {
      y: bottom - mouth.lowerTeeth * Math.min(7, gap * 0.42),
      height: 14,
    },
    tongue: {
      y: bottom + 7 - mouth.tongue * Math.min(gap * 0.62, 13) - gap * 0.05,
      radiusX: halfWidth * 0.66,
      radiusY: 9 + gap * 0.1,
    },
    tip: {
      y: bottom - 1.5,
      radiusX: Math.max(1, halfWidth * 0.42),
      radiusY: 2 + Math.min(gap, 10) * 0.32 * mouth.tongueOut,
      opacity: Math.min(1, mouth.tongueOut * 1.4) * Math.min(1, gap / 4),
    },
  };
}

/** Where a cubic's two handles are, for its middle to be at `middle`: the middle is a quarter corner, three quarters handle. */
function handle(corner: number, middle: number): number {
  return corner + (middle - corner) * (4 / 3);
}

function curve(from: number, to: number, reach: number, handleY: number, endY: number): string {
  const middle = (from + to) / 2;
  return `C${n(middle - reach)} ${n(handleY)} ${n(middle + reach)} ${n(handleY)} ${n(to)} ${n(endY)}`;
}

function upperLip(
  left: number, right: number, corner: number, reach: number, innerY: number, top: number, thickness: number, over: number, round: number,
): string {
  const peak = top - thickness;
  const dip = peak + 2.2;
  const side = (right - left) * 0.5;
  // A ring's shoulders are high; a wide mouth's fall off towards its corners.
  const shoulderX = side * 0.28 * (1 - 1.3 * round);
  const shoulderY = (corner - thickness * 0.55 + (top - corner) * 0.75) * (1 - 0.8 * round) + (peak + 1) * 0.8 * round;
  return (
    `M${n(left - over)} ${n(corner - 0.8)}` +
    `C${n(left + shoulderX)} ${n(shoulderY)} ${n(MOUTH_X - side * 0.42)} ${n(peak)} ${n(MOUTH_X - side * 0.22)} ${n(peak)}` +
    `Q${n(MOUTH_X - side * 0.1)} ${n(peak)} ${MOUTH_X} ${n(dip)}Q${n(MOUTH_X + side * 0.1)} ${n(peak)} ${n(MOUTH_X + side * 0.22)} ${n(peak)}` +
    `C${n(MOUTH_X + side * 0.42)} ${n(peak)} ${n(right - shoulderX)} ${n(shoulderY)} ${n(right + over)} ${n(corner - 0.8)}` +
    `L${n(right)} ${n(corner)}${curve(right, left, -reach, innerY, corner)}Z`
  );
}

function lowerLip(
  left: number, right: number, corner: number, reach: number, innerY: number, bottom: number, thickness: number, over: number,
): string {
  const outer = handle(corner, bottom + thickness);
  return (
    `M${n(left - over)} ${n(corner - 0.8)}` +
    `C${n(MOUTH_X - reach * 1.15)} ${n(outer)} ${n(MOUTH_X + reach * 1.15)} ${n(outer)} ${n(right + over)} ${n(corner - 0.8)}` +
    `L${n(right)} ${n(corner)}${curve(right, left, -reach, innerY, corner)}Z`
  );
}

function n(value: number): string {
  return value.toFixed(2);
}
