/** Tests which sample is heard at which frame of the AudioContext. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { heardSeconds, OutputTimeline } from "../../dist/playback/output-timeline.js";

const play = (frame, at) => ({ frame, at, playing: true, why: "playing" });
const dry = (frame, at) => ({ frame, at, playing: false, why: "dry" });

test("samples are counted from the frame at which they are put out, and no further than they were written", () => {
  const clock = new OutputTimeline();
  assert.equal(clock.at(50, 1000), 0);
  clock.add(play(100, 0));
  assert.equal(clock.at(100, 1000), 0);
  assert.equal(clock.at(340, 1000), 240);
  assert.equal(clock.at(9000, 1000), 1000);
  assert.equal(clock.playingAt(9000, 1000), false);
});

test("the position stands still during a pause, and the next run continues from there", () => {
  const clock = new OutputTimeline();
  for (const report of [play(0, 0), play(128, 128), dry(500, 500), play(800, 500), play(928, 628)]) clock.add(report);
  const heard = [0, 499, 500, 799, 800, 801, 1000].map((frame) => clock.at(frame, 10_000));
  assert.deepEqual(heard, [0, 499, 500, 500, 500, 501, 700]);
});

test("a report that comes for frames not heard yet changes nothing before them", () => {
  const clock = new OutputTimeline();
  clock.add(play(1000, 0));
  clock.add(dry(1500, 500));
  assert.equal(clock.at(1200, 500), 200);
  assert.equal(clock.playingAt(1200, 500), true);
  assert.equal(clock.changeAfter(1200), 1500);
  assert.equal(clock.firstFrame, 1000);
  assert.equal(clock.at(2000, 500), 500);
  assert.equal(clock.playingAt(2000, 500), false);
});

test("the first frame is known once it is heard", () => {
  const clock = new OutputTimeline();
  clock.add(play(1000, 0));
  clock.at(999, 500);
  assert.equal(clock.firstFrame, null);
  clock.at(1000, 500);
  assert.equal(clock.firstFrame, 1000);
  assert.equal(clock.changeAfter(1000), null);
});

test("old reports are dropped", () => {
  const clock = new OutputTimeline();
  for (let i = 0; i < 100_000; i += 1) {
    clock.add(play(i * 300, i * 200));
    clock.add(dry(i * 300 + 200, i * 200 + 200));
    clock.at(i * 300, Infinity);
  }
  assert.ok(JSON.stringify(clock).length < 2000);
});

test("the heard time follows the output's time stamp, extrapolated at most up to the latency", () => {
  const context = { currentTime: 10, outputLatency: 0.1, getOutputTimestamp: () => ({ contextTime: 9.8, performanceTime: 1000 }) };
  assert.equal(heardSeconds(context, 1000), 9.8);
  assert.ok(Math.abs(heardSeconds(context, 1050) - 9.85) < 1e-9);
  assert.equal(heardSeconds(context, 5000), 9.9);
});

test("without a stamp, or with a stale one, the latency is subtracted", () => {
  assert.equal(heardSeconds({ currentTime: 10, outputLatency: 0.25 }, 0), 9.75);
  assert.equal(heardSeconds({ currentTime: 10, baseLatency: 0.5 }, 0), 9.5);
  assert.equal(heardSeconds({ currentTime: 0.1, outputLatency: 0.25 }, 0), 0);
  const stale = { currentTime: 10, outputLatency: 0.25, getOutputTimestamp: () => ({ contextTime: 0, performanceTime: 0 }) };
  assert.equal(heardSeconds(stale, 100), 9.75);
});
