/** Tests how much audio is gathered before it is played. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { JitterBufferTarget } from "../../dist/playback/jitter-buffer-target.js";

test("two frames are enough at first", () => {
  const jitter = new JitterBufferTarget(500);
  assert.equal(jitter.isReached(20, 0, 20, false), false);
  assert.equal(jitter.isReached(40, 0, 20, false), true);
});

test("one frame is enough when it is the last, or after as long as gathering would take", () => {
  const jitter = new JitterBufferTarget(500);
  assert.equal(jitter.isReached(20, 0, 20, true), true);
  assert.equal(jitter.isReached(20, 41, 20, false), true);
});

test("every underrun raises the target, up to the maximum", () => {
  const jitter = new JitterBufferTarget(300);
  const targets = Array.from({ length: 8 }, (_, i) => (jitter.onUnderrun(20, i), jitter.targetMs(20)));
  assert.deepEqual(targets.slice(0, 3), [80, 140, 230]);
  assert.equal(targets.at(-1), 300);
  assert.equal(jitter.underruns, 8);
});

test("a maximum below one frame still lets one frame through", () => {
  assert.equal(new JitterBufferTarget(0).targetMs(60), 60);
});

test("time without underruns lowers the target slowly", () => {
  const jitter = new JitterBufferTarget(500);
  for (let i = 0; i < 6; i += 1) jitter.onUnderrun(20, 0);
  jitter.onPlaying(19_000);
  assert.equal(jitter.targetMs(20), 500);
  for (let ms = 20_000; ms < 800_000; ms += 1000) jitter.onPlaying(ms);
  assert.ok(jitter.targetMs(20) < 100 && jitter.targetMs(20) >= 40, `${jitter.targetMs(20)}`);
});
