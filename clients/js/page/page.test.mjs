/** Tests of the page's parts that need no browser. tests/unit/page/test_logic.py bundles and runs them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { CodePoints } from "./captions.ts";
import { contour } from "./face/contour.ts";
import { blend, closed, SHAPE_NAMES } from "./face/shapes.ts";
import { ANSWERS, answersIn, tokens, trickle } from "./llm.ts";
import { SNIPPET_NAMES, snippetCode } from "./snippets.ts";

const only = (name, weight = 1) => {
  const weights = new Float32Array(15);
  weights[SHAPE_NAMES.indexOf(name)] = weight;
  if (weight < 1) weights[0] = 1 - weight;
  return weights;
};

/** The second coordinates of a path, in order. */
const heights = (path) => [...path.matchAll(/-?[\d.]+ (-?[\d.]+)/g)].map((match) => Number(match[1]));

test("lips meet in PP and at rest, and in no other shape", () => {
  for (const name of SHAPE_NAMES) {
    assert.equal(blend(only(name)).gap === 0, name === "PP" || name === "sil", name);
  }
});

test("a closed mouth has no inside", () => {
  const [top, bottom] = contour(blend(only("PP"))).inside.split("C").slice(1).map((part) => heights(part)[0]);
  assert.ok(Math.abs(top - bottom) < 0.3, `${top} ${bottom}`);
  const [openTop, openBottom] = contour(blend(only("aa"))).inside.split("C").slice(1).map((part) => heights(part)[0]);
  assert.ok(openBottom - openTop > 30);
});

test("in FF the upper teeth fill what is between the lips", () => {
  const mouth = blend(only("FF"));
  const lines = contour(mouth);
  assert.ok(lines.upperTeeth.y + lines.upperTeeth.height > 217 + mouth.gap * 0.7);
});

test("only TH has the tongue between the teeth", () => {
  for (const name of SHAPE_NAMES) assert.equal(contour(blend(only(name))).tip.opacity > 0.5, name === "TH", name);
});

test("O and U are narrower than rest, I and SS wider", () => {
  const width = (name) => blend(only(name)).halfWidth;
  assert.ok(width("U") < width("O") && width("O") < width("sil"));
  assert.ok(width("I") > width("sil") && width("SS") > width("sil"));
});

test("shapes blend in proportion to their weights", () => {
  assert.ok(Math.abs(blend(only("aa", 0.25)).gap - 0.25 * blend(only("aa")).gap) < 1e-4);
  assert.equal(blend(closed()).gap, 0);
});

test("code points are counted whole, also where a pair was cut in two", () => {
  const text = new CodePoints("a😀b");
  assert.equal(text.length, 3);
  assert.equal(text.slice(1, 2), "😀");
  text.append("\ud83d");
  text.append("\ude00!");
  assert.equal(text.slice(3), "😀!");
  assert.equal(text.length, 5);
});

test("tokens put together are the text, and most are a few letters", () => {
  for (const answer of [...Object.values(ANSWERS).flat(), { text: "  Tabs\tand\n\nlines, 3.14 and 😀 end " }]) {
    const pieces = tokens(answer.text);
    assert.equal(pieces.join(""), answer.text);
    assert.ok(Math.max(...pieces.map((piece) => piece.length)) <= 8);
  }
});

test("a language without answers of its own gets English ones", () => {
  assert.equal(answersIn("de-AT"), ANSWERS.de);
  assert.equal(answersIn("fi"), ANSWERS.en);
});

test("a text that is stopped yields nothing more", async () => {
  const stop = new AbortController();
  const seen = [];
  for await (const token of trickle("one two three four", () => 1000, stop.signal, (each) => seen.push(each))) {
    if (token === " two") stop.abort();
  }
  assert.deepEqual(seen, ["one", " two"]);
});

test("snippets name this server and this voice, and a key where there is one", () => {
  const values = { http: "http://example.test:9", voice: 'a"b', codec: "opus", keyed: false };
  SNIPPET_NAMES.forEach((name, index) => {
    const code = snippetCode(index, values);
    assert.match(code, /example\.test:9/, name);
    assert.ok(code.includes('a\\"b'), name);
    assert.ok(!/undefined|\$\{|vw_/.test(code), name);
  });
  const keyed = SNIPPET_NAMES.map((_, index) => snippetCode(index, { ...values, keyed: true }));
  assert.equal(keyed.filter((code) => /vw_|tokenFromYourBackend/.test(code)).length, SNIPPET_NAMES.length);
});
