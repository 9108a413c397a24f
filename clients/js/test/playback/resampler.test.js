/** Tests that resampling loses no sample, and no frequency that the new rate can hold. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Resampler } from "../../dist/playback/resampler.js";

const RATES = [8000, 16000, 22050, 24000, 44100, 48000];
const PAIRS = RATES.flatMap((from) => [44100, 48000, 24000, 96000].map((to) => [from, to]));

const sine = (hertz, rate, count) => Float32Array.from({ length: count }, (_, n) => Math.sin((2 * Math.PI * hertz * n) / rate));

function inPieces(resampler, samples, sizes) {
  const out = [];
  for (let at = 0, i = 0; at < samples.length; i += 1) {
    const size = sizes[i % sizes.length];
    out.push(...resampler.push(samples.slice(at, at + size)));
    at += size;
  }
  return [...out, ...resampler.flush()];
}

for (const [from, to] of PAIRS) {
  test(`a tone of ${from} Hz audio is the same tone at ${to} Hz`, () => {
    const hertz = 0.2 * Math.min(from, to);
    const out = inPieces(new Resampler(from, to), sine(hertz, from, from / 2), [480, 1, 137]);
    const wanted = sine(hertz, to, out.length);
    const inside = out.slice(200, -200).map((each, i) => Math.abs(each - wanted[i + 200]));
    assert.ok(Math.max(...inside) < 2e-4, `${Math.max(...inside)}`);
  });

  test(`${from} to ${to} Hz gives exactly as many samples as the time lasts, however it is cut`, () => {
    for (const sizes of [[441], [1], [7, 480, 3]]) {
      assert.equal(inPieces(new Resampler(from, to), new Float32Array(3000), sizes).length, Math.ceil((3000 * to) / from));
    }
  });
}

test("what is above the new rate's band is removed", () => {
  const out = inPieces(new Resampler(48000, 16000), sine(11000, 48000, 24000), [960]);
  assert.ok(Math.max(...out.slice(100, -100).map(Math.abs)) < 1e-3);
});

test("the size of the chunks changes nothing", () => {
  const noise = Float32Array.from({ length: 5000 }, (_, n) => Math.sin(n * n * 0.37) * 0.5);
  const whole = inPieces(new Resampler(24000, 44100), noise, [5000]);
  assert.deepEqual(inPieces(new Resampler(24000, 44100), noise, [480, 13]), whole);
});

test("after a flush the rest joins without a sample too many or too few", () => {
  const resampler = new Resampler(24000, 44100);
  const quiet = new Float32Array(960);
  let count = resampler.push(quiet).length + resampler.flush().length;
  assert.equal(count, Math.ceil((960 * 44100) / 24000));
  count += resampler.push(sine(440, 24000, 24000)).length + resampler.flush().length;
  assert.equal(count, Math.ceil((24960 * 44100) / 24000));
});

test("ten hours do not drift by a sample", () => {
  const resampler = new Resampler(24000, 44100);
  const second = new Float32Array(24000);
  const kernels = resampler.push(second).length;
  // Only counting matters here: the position that is kept, moved on by ten hours less a second.
  const seconds = 36_000;
  resampler.index += 24000 * (seconds - 1);
  resampler.firstInput += 24000 * (seconds - 1);
  const more = resampler.push(second).length;
  assert.equal(more, 44100);
  assert.ok(kernels < 44100);
  const position = resampler.index + resampler.phase / 147;
  assert.equal(Math.round((position * 147) / 80), 44100 * (seconds + 1) - (44100 - kernels));
});

test("equal rates pass samples on untouched", () => {
  const samples = sine(440, 24000, 480);
  assert.equal(new Resampler(24000, 24000).push(samples), samples);
});
