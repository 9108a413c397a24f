/** Tests counting and slicing of text in code points, and joining of split surrogate pairs. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { countChars, SurrogateJoiner, sliceChars, wellFormed } from "../dist/code-points.js";

const TEXTS = ["", "plain", "🎉", "a🎉b", "日本語🎌と", "e\u0301👩‍👩‍👧", "🎉🎉🎉"];

test("characters are code points", () => {
  for (const text of TEXTS) {
    const points = [...text];
    assert.equal(countChars(text), points.length);
    for (let from = 0; from <= points.length + 1; from++) {
      assert.equal(sliceChars(text, from), points.slice(from).join(""));
      for (let to = from; to <= points.length + 1; to++) {
        assert.equal(sliceChars(text, from, to), points.slice(from, to).join(""));
      }
    }
  }
});

test("a text cut into pieces anywhere is joined again", () => {
  const text = TEXTS.join("");
  for (let size = 1; size < 7; size++) {
    const joiner = new SurrogateJoiner();
    let joined = "";
    for (let at = 0; at < text.length; at += size) joined += joiner.push(text.slice(at, at + size));
    assert.equal(joined + joiner.end(), text);
  }
});

test("unpaired surrogates are replaced", () => {
  assert.equal(wellFormed("a\ud83db\udf89"), "a\ufffdb\ufffd");
  const joiner = new SurrogateJoiner();
  assert.equal(joiner.push("a\ud83d"), "a");
  assert.equal(joiner.push("b"), "\ufffdb");
  assert.equal(joiner.push("\udf89\ud83d"), "\ufffd");
  assert.equal(joiner.push(""), "");
  assert.equal(joiner.push("\ud83d"), "\ufffd");
  assert.equal(joiner.end(), "\ufffd");
  assert.equal(joiner.end(), "");
});
