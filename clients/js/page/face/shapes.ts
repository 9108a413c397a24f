/** Owns the mouth of each of the 15 visemes, and their blend by weights. Pure. */

/** The numbers of a mouth. Lengths are in units of the drawing (its height is 320), the others go from 0 to 1. */
export interface Mouth {
  /** The distance between the lips at their middle; 0 is closed. */
  gap: number;
  /** How far the chin drops. */
  jaw: number;
  /** Half the mouth's width. */
  halfWidth: number;
  /** Lips pushed forward into a ring. */
  round: number;
  /** Lips pressed together: thinner. */
  press: number;
  /** Lower lip under the upper teeth. */
  tuck: number;
  upperTeeth: number;
  lowerTeeth: number;
  /** The tongue's height behind the teeth. */
  tongue: number;
  /** The tongue's tip between the teeth. */
  tongueOut: number;
  /** Corners of the mouth lifted. */
  smile: number;
}

export const SHAPE_NAMES = [
  "sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U",
] as const;

export const SHAPE_COUNT = SHAPE_NAMES.length;

const REST: Mouth = {
  gap: 0, jaw: 0, halfWidth: 31, round: 0, press: 0, tuck: 0,
  upperTeeth: 0, lowerTeeth: 0, tongue: 0, tongueOut: 0, smile: 0.3,
};

/** The mouth of each viseme, in the order of their ids; fields that are left out are as at rest. */
const SHAPES: readonly Mouth[] = [
  { smile: 1 },
  { halfWidth: 29, press: 1, smile: 0.2, jaw: 1 },
  { gap: 6, halfWidth: 30, tuck: 1, upperTeeth: 1, jaw: 3 },
  { gap: 10, halfWidth: 31, upperTeeth: 0.8, tongue: 0.6, tongueOut: 1, jaw: 6 },
  { gap: 10, halfWidth: 32, upperTeeth: 0.9, lowerTeeth: 0.5, tongue: 0.8, jaw: 6 },
  { gap: 13, halfWidth: 31, upperTeeth: 0.7, lowerTeeth: 0.2, tongue: 0.35, jaw: 8 },
  { gap: 11, halfWidth: 21, round: 0.6, upperTeeth: 1, lowerTeeth: 1, jaw: 4, smile: 0 },
  { gap: 8, halfWidth: 36, upperTeeth: 1, lowerTeeth: 1, jaw: 2, smile: 0.5 },
  { gap: 8, halfWidth: 31, upperTeeth: 0.8, lowerTeeth: 0.1, tongue: 0.9, jaw: 5 },
  { gap: 10, halfWidth: 24, round: 0.45, upperTeeth: 0.5, tongue: 0.5, jaw: 5, smile: 0.1 },
  { gap: 34, halfWidth: 32, upperTeeth: 0.9, lowerTeeth: 0.3, tongue: 0.25, jaw: 22, smile: 0.2 },
  { gap: 21, halfWidth: 37, upperTeeth: 1, lowerTeeth: 0.3, tongue: 0.4, jaw: 12, smile: 0.5 },
  { gap: 13, halfWidth: 38, upperTeeth: 1, lowerTeeth: 0.4, tongue: 0.5, jaw: 6, smile: 0.7 },
  { gap: 24, halfWidth: 19, round: 0.85, upperTeeth: 0.2, tongue: 0.1, jaw: 15, smile: 0 },
  { gap: 10, halfWidth: 12, round: 1, jaw: 6, smile: 0 },
].map((shape) => ({ ...REST, ...shape }));

const PARTS = Object.keys(REST) as (keyof Mouth)[];

/** The mouth of `weights` (15, which add up to 1): their linear blend. */
export function blend(weights: ArrayLike<number>): Mouth {
  const mouth = { ...REST };
  for (const part of PARTS) {
    let sum = 0;
    for (let id = 0; id < SHAPE_COUNT; id++) sum += (weights[id] ?? 0) * SHAPES[id]![part];
    mouth[part] = sum;
  }
  return mouth;
}

/** The weights of a closed mouth. */
export function closed(): Float32Array {
  const weights = new Float32Array(SHAPE_COUNT);
  weights[0] = 1;
  return weights;
}
