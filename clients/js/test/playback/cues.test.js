/** What is told when. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { CueQueue } from "../../dist/playback/cues.js";
import { Telling } from "../../dist/playback/telling.js";

test("cues come in the order of their pts, equal ones as they were added, each once", () => {
  const cues = new CueQueue();
  for (const [pts, value] of [[10, "a"], [30, "c"], [10, "b"], [20, "x"], [0, "first"]]) cues.add(pts, value);
  assert.equal(cues.nextPts, 0);
  assert.deepEqual(cues.due(10).map((cue) => cue.value), ["first", "a", "b"]);
  assert.deepEqual(cues.due(10), []);
  assert.deepEqual(cues.due(99).map((cue) => cue.value), ["x", "c"]);
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

function teller() {
  const told = [];
  const telling = new Telling((type, detail) => told.push(`${type} ${detail.text ?? detail.ipa ?? detail.id ?? detail.pts}`));
  return { told, telling };
}

test("words, phonemes, visemes and clauses are told when their pts is reached, not before", () => {
  const { told, telling } = teller();
  telling.note({ type: "clause", context: "0", chars: [0, 11], pts: 0 });
  telling.note(timing);
  telling.reach(0);
  assert.deepEqual(told.splice(0), ["clause 0", "viseme 0", "viseme 1"]);
  telling.reach(99);
  assert.deepEqual(told, []);
  assert.equal(telling.nextPts, 100);
  telling.reach(100);
  assert.deepEqual(told.splice(0), ["word Hello", "phoneme h", "viseme 0", "viseme 1"]);
  telling.reach(1e9);
  assert.deepEqual(told, ["word world"]);
  assert.equal(telling.expectedPts, 400);
});

test("what is spoken anew is told anew, and what was told for it before is forgotten", () => {
  const { told, telling } = teller();
  telling.note(timing);
  telling.reach(150);
  told.length = 0;
  telling.forget(180);
  telling.reach(1000);
  assert.deepEqual(told, []);
  assert.equal(telling.expectedPts, 180);
  telling.note({ ...timing, words: [{ text: "world", chars: [6, 11], pts: 180, end_pts: 300 }], visemes: [], phonemes: [] });
  telling.reach(180);
  assert.deepEqual(told, ["word world"]);
});

test("the mouth follows the keyframes, and closes where nothing is heard", () => {
  const { telling } = teller();
  telling.note(timing);
  const weights = telling.mouth(50);
  assert.equal(weights[0], 0.5);
  assert.equal(weights[1], 0.5);
  assert.equal(telling.mouth(null, weights), weights);
  assert.deepEqual([...weights], [1, ...new Array(14).fill(0)]);
});
