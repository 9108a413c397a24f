/** Owns conversion of sample rates: a windowed sinc at exact, rational steps, so that time does not drift. Pure. */

const HALF_TAPS = 16;
const BANDWIDTH = 0.94;
const KAISER_BETA = 9;

/** A stream of mono samples. Output sample `n` lies at input position `n * from / to`; there is no delay. */
export class Resampler {
  readonly from: number;
  readonly to: number;
  private readonly up: number;
  private readonly down: number;
  private readonly half: number;
  private readonly kernels: Float32Array[];
  /** Input samples that later output needs; the first is number `firstInput`. */
  private pending: Float32Array = new Float32Array(0);
  private firstInput: number;
  /** The next output sample lies at input `index + phase / up`. */
  private index = 0;
  private phase = 0;

  constructor(from: number, to: number) {
    const divisor = greatestCommonDivisor(from, to);
    [this.from, this.to, this.up, this.down] = [from, to, to / divisor, from / divisor];
    const cutoff = Math.min(1, this.up / this.down) * BANDWIDTH;
    this.half = from === to ? 0 : Math.ceil(HALF_TAPS / cutoff);
    this.kernels = from === to ? [] : kernels(this.up, this.half, cutoff);
    this.firstInput = -this.half;
    this.pending = new Float32Array(this.half);
  }

  /** Takes samples, returns the output that they complete: up to about a millisecond less than came in. */
  push(samples: Float32Array): Float32Array {
    if (this.from === this.to) return samples;
    const all = new Float32Array(this.pending.length + samples.length);
    all.set(this.pending);
    all.set(samples, this.pending.length);
    this.pending = all;
    const out = this.produce(all, this.firstInput + all.length - this.half);
    const used = Math.min(all.length, Math.max(0, this.index - this.half + 1 - this.firstInput));
    this.pending = all.slice(used);
    this.firstInput += used;
    return out;
  }

  /** Returns the rest of the output of the samples so far, as if silence followed. More may be pushed afterwards. */
  flush(): Float32Array {
    if (this.from === this.to) return new Float32Array(0);
    const padded = new Float32Array(this.pending.length + this.half);
    padded.set(this.pending);
    return this.produce(padded, this.firstInput + this.pending.length);
  }

  /** The output samples that lie before input sample number `end`. */
  private produce(input: Float32Array, end: number): Float32Array {
    const steps = Math.max(0, (end - this.index) * this.up - this.phase);
    const out = new Float32Array(Math.ceil(steps / this.down));
    for (let n = 0; n < out.length; n += 1) {
      out[n] = dot(input, this.index - this.half + 1 - this.firstInput, this.kernels[this.phase]!);
      this.phase += this.down;
      this.index += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    return out;
  }
}

function dot(input: Float32Array, start: number, kernel: Float32Array): number {
  let sum = 0;
  for (let k = 0; k < kernel.length; k += 1) sum += input[start + k]! * kernel[k]!;
  return sum;
}

/** For each phase the weights of the input samples `1 - half … half` around it; each set adds up to 1. */
function kernels(phases: number, half: number, cutoff: number): Float32Array[] {
  return Array.from({ length: phases }, (_, phase) => {
    const offset = 1 - half - phase / phases;
    const kernel = Float64Array.from({ length: 2 * half }, (_, k) => weight(k + offset, half, cutoff));
    const sum = kernel.reduce((total, each) => total + each, 0);
    return Float32Array.from(kernel, (each) => each / sum);
  });
}

/** A sinc under a Kaiser window (Kaiser and Schafer 1980; beta 9: side lobes below -90 dB). */
function weight(x: number, half: number, cutoff: number): number {
  if (Math.abs(x) >= half) return 0;
  const angle = Math.PI * cutoff * x;
  const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
  return (sinc * bessel(KAISER_BETA * Math.sqrt(1 - (x / half) ** 2))) / bessel(KAISER_BETA);
}

/** The modified Bessel function of order zero, by its series. */
function bessel(x: number): number {
  let [sum, term] = [1, 1];
  for (let k = 1; term > sum * 1e-12; k += 1) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
