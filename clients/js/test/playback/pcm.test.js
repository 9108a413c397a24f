/** Tests decoding of G.711 and PCM to floating point. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { decodeAlaw, decodeMulaw, decodePcm } from "../../dist/playback/pcm.js";

test("PCM is read little endian, also from the middle of a buffer", () => {
  const bytes = Uint8Array.from([9, 0x00, 0x80, 0xff, 0x7f, 0x01, 0x00]).subarray(1);
  assert.deepEqual([...decodePcm(bytes)].map((each) => each * 32768), [-32768, 32767, 1]);
});

test("the decision values of G.711's tables come out, widened to 16 bits", () => {
  const wide = (decode, ...bytes) => [...decode(Uint8Array.from(bytes))].map((each) => each * 32768 + 0);
  assert.deepEqual(wide(decodeMulaw, 0xff, 0x7f, 0x00, 0x80, 0xf0), [0, 0, -32124, 32124, 120]);
  assert.deepEqual(wide(decodeAlaw, 0xd5, 0x55, 0xaa, 0x2a, 0x80), [8, -8, 32256, -32256, 5504]);
});

test("every code has its mirror, and loudness rises with it", () => {
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  const mulaw = decodeMulaw(all);
  const alaw = decodeAlaw(all);
  for (let i = 0; i < 128; i += 1) assert.equal(mulaw[i] + mulaw[i + 128], 0);
  for (let i = 1; i < 128; i += 1) assert.ok(mulaw[i] > mulaw[i - 1]);
  assert.equal(new Set(alaw).size, 256);
});
