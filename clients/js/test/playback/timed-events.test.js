/** Tests which timed event is emitted at which pts. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { CueQueue, TimedEvents } from "../../dist/playback/timed-events.js";

test("cues come in the order of their pts, equal ones as they were added, each once", () => {
  const cues = new CueQueue();
  for (const [pts, value] of [[10, "a"], [30, "c"], [10, "b"], [20, "x"], [0, "first"]]) cues.add(pts, value);
  assert.equal(cues.nextPts, 0);
  assert.deepEqual(cues.takeUntil(10).map((cue) => cue.value), ["first", "a", "b"]);
  assert.deepEqual(cues.takeUntil(10), []);
  assert.deepEqual(cues.takeUntil(99).map((cue) => cue.value), ["x", "c"]);
  assert.equal(cues.nextPts, null);
});

const timing = {
  type: "timing",
  context: "0",
  words: [
    { text: "Hello", chars: [0, 5], pts: 100, end_pts: 200 },
    { text: "world", chars: [6, 11], pts: 200, end_pts: 400 },
  ],
  phonemes: [{ ipa: "h", pts: 100, end_pts: 120 }],
  visemes: [
    { id: 0, weight: 1, pts: 0 },
    { id: 0, weight: 0, pts: 100 },
    { id: 1, weight: 0, pts: 0 },
    { id: 1, weight: 1, pts: 100 },
  ],
};

function recorder() {
  const emitted = [];
  const events = new TimedEvents((type, detail) => emitted.push(`${type} ${detail.text ?? detail.ipa ?? detail.id ?? detail.pts}`));
  return { emitted, events };
}

test("words, phonemes, visemes and clauses are emitted when their pts is reached, not before", () => {
  const { emitted, events } = recorder();
  events.add({ type: "clause", context: "0", chars: [0, 11], pts: 0 });
  events.add(timing);
  events.emitUntil(0);
  assert.deepEqual(emitted.splice(0), ["clause 0", "viseme 0", "viseme 1"]);
  events.emitUntil(99);
  assert.deepEqual(emitted, []);
  assert.equal(events.nextPts, 100);
  events.emitUntil(100);
  assert.deepEqual(emitted.splice(0), ["word Hello", "phoneme h", "viseme 0", "viseme 1"]);
  events.emitUntil(1e9);
  assert.deepEqual(emitted, ["word world"]);
  assert.equal(events.expectedPts, 400);
});

test("text that is synthesized again is emitted again, and its former events are discarded", () => {
  const { emitted, events } = recorder();
  events.add(timing);
  events.emitUntil(150);
  emitted.length = 0;
  events.discardFrom(180);
  events.emitUntil(1000);
  assert.deepEqual(emitted, []);
  assert.equal(events.expectedPts, 180);
  events.add({ ...timing, words: [{ text: "world", chars: [6, 11], pts: 180, end_pts: 300 }], visemes: [], phonemes: [] });
  events.emitUntil(180);
  assert.deepEqual(emitted, ["word world"]);
});

test("the mouth follows the keyframes, and closes where nothing is heard", () => {
  const { events } = recorder();
  events.add(timing);
  const weights = events.mouth(50);
  assert.equal(weights[0], 0.5);
  assert.equal(weights[1], 0.5);
  assert.equal(events.mouth(null, weights), weights);
  assert.deepEqual([...weights], [1, ...new Array(14).fill(0)]);
});
