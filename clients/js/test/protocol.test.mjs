/** Tests reading and writing of messages against the golden vectors that all clients share. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CloseCode, ERRORS, MouthTrack, VoxwireError } from "../dist/index.js";
import { isAudioFrame, parseAudioFrame } from "../dist/protocol/audio.js";
import { isMap, JSON_CODEC, msgpackCodec } from "../dist/protocol/codec.js";

const FOLDER = process.env.VOXWIRE_VECTORS ?? new URL("../../../tests/protocol/vectors/", import.meta.url).pathname;
const vectors = (name) => JSON.parse(readFileSync(`${FOLDER}/${name}.json`, "utf-8"));
const bytes = (hex) => new Uint8Array(hex.match(/../g)?.map((pair) => Number.parseInt(pair, 16)) ?? []);
const MSGPACK = await msgpackCodec();

/** Empty lists and maps mean the same as none. */
const withoutEmpty = (map) =>
  Object.fromEntries(Object.entries(map).filter(([, value]) => !(Array.isArray(value) && value.length === 0)));

for (const file of ["messages", "lenient"]) {
  for (const { name, from, map, json, msgpack } of vectors(file)) {
    if (from !== "server") continue;
    test(`${file}: ${name}`, () => {
      assert.deepEqual(JSON_CODEC.decode(json), withoutEmpty(map));
      assert.deepEqual(MSGPACK.decode(bytes(msgpack)), withoutEmpty(map));
      assert.ok(isMap(bytes(msgpack)) && !isAudioFrame(bytes(msgpack)));
    });
  }
}

for (const { name, from, map, json, msgpack } of vectors("messages")) {
  if (from !== "client") continue;
  test(`what is written means the same: ${name}`, async () => {
    const { decode } = await import("@msgpack/msgpack");
    assert.deepEqual(JSON.parse(JSON_CODEC.encode(map)), JSON.parse(json));
    assert.deepEqual(decode(MSGPACK.encode(map)), decode(bytes(msgpack)));
  });
}

for (const { name, from, encoding, raw, code, field } of vectors("invalid")) {
  if (from !== "server") continue;
  test(`invalid: ${name} in ${encoding}`, () => {
    const decode = () => (encoding === "json" ? JSON_CODEC.decode(raw) : MSGPACK.decode(bytes(raw)));
    assert.throws(decode, (error) => error.code === code && (error.details.field ?? null) === field);
  });
}

test("a message that is no map is malformed", () => {
  for (const raw of ["[1]", "null", "7", '"a"', "{", ""]) {
    assert.throws(() => JSON_CODEC.decode(raw), { code: "client.malformed_message" });
  }
  for (const raw of ["c0", "07", "9101", "81a4747970", ""]) {
    assert.throws(() => MSGPACK.decode(bytes(raw)), { code: "client.malformed_message" });
  }
});

test("undefined fields are not written in either encoding", () => {
  const message = { type: "flush", context: "0", id: undefined };
  assert.equal(JSON_CODEC.encode(message), '{"type":"flush","context":"0"}');
  assert.equal(MSGPACK.encode(message)[0], 0x82);
});

const FRAMES = vectors("audio_frames");

for (const { name, flags, context_number, seq, pts, payload, frame } of FRAMES.valid) {
  test(`audio frame: ${name}`, () => {
    // In the middle of a larger buffer, as some WebSockets give it.
    const whole = new Uint8Array([9, 9, 9, ...bytes(frame)]);
    const read = parseAudioFrame(whole.subarray(3));
    assert.equal(Number(read.first) + 2 * Number(read.last) + 4 * Number(read.replayed), flags);
    assert.deepEqual([read.number, read.seq, read.pts], [context_number, seq, pts]);
    assert.deepEqual([...read.payload], [...bytes(payload)]);
  });
}

for (const { name, frame, code } of FRAMES.invalid) {
  test(`no audio frame: ${name}`, () => assert.throws(() => parseAudioFrame(bytes(frame)), { code }));
}

test("the error tree is the protocol's", () => {
  const { errors, close_codes } = vectors("errors");
  const known = Object.entries(ERRORS).map(([code, { retryable, closeCode, hint }]) => ({
    code,
    retryable,
    close_code: closeCode,
    hint,
  }));
  assert.deepEqual(known, errors);
  assert.deepEqual(CloseCode, Object.fromEntries(close_codes.map(({ name, code }) => [name.toUpperCase(), code])));
});

test("a code of a later version has the defaults of its class", () => {
  const message = { type: "error", code: "system.moon_phase", message: "m", retryable: false, retry_after_ms: 5 };
  const error = VoxwireError.fromMessage(message);
  assert.deepEqual([error.code, error.errorClass, error.retryable], ["system.moon_phase", "system", false]);
  assert.equal(error.retryAfterMs, 5);
  assert.equal(new VoxwireError("server.moon_phase", "m").errorClass, "server");
});

for (const { name, visemes, samples } of vectors("visemes")) {
  test(`mouth: ${name}`, () => {
    const track = new MouthTrack();
    track.add({ type: "timing", context: "0", visemes: visemes.slice(0, 5) });
    track.add({ type: "timing", context: "0", visemes: visemes.slice(5) });
    // Asked backwards as well, as after a seek.
    for (const { pts, weights } of [...samples, ...samples.toReversed()]) {
      for (const [id, weight] of track.weights(pts).entries()) assert.ok(Math.abs(weight - weights[id]) < 1e-6, `${id} at ${pts}`);
    }
  });
}

test("keyframes of text that is synthesized again are removed, and weights are written into the given array", () => {
  const track = new MouthTrack();
  const key = (id, weight, pts) => ({ id, weight, pts });
  track.add({ type: "timing", context: "0", visemes: [key(0, 1, 0), key(10, 0, 0), key(0, 0, 100), key(10, 1, 100)] });
  track.weights(200);
  track.forget(100);
  const out = new Float32Array(15);
  assert.equal(track.weights(200, out), out);
  assert.deepEqual([out[0], out[10]], [1, 0]);
  assert.deepEqual([...MouthTrack.closed(out)], [1, ...new Array(14).fill(0)]);
});

test("a mouth that is open where keyframes are removed is closed from there on", () => {
  const track = new MouthTrack();
  const key = (id, weight, pts) => ({ id, weight, pts });
  track.add({ type: "timing", context: "0", visemes: [key(0, 1, 0), key(10, 0, 0), key(0, 0, 100), key(10, 1, 100)] });
  track.add({ type: "timing", context: "0", visemes: [key(0, 0, 300), key(10, 1, 300), key(0, 1, 400), key(10, 0, 400)] });
  track.forget(350);
  const at = (pts) => [track.weights(pts)[0], track.weights(pts)[10]];
  assert.deepEqual([at(50), at(200), at(325), at(350), at(500)], [[0.5, 0.5], [0, 1], [0.25, 0.75], [1, 0], [1, 0]]);
});

test("after hours of keyframes only those that are needed are kept", () => {
  const track = new MouthTrack();
  for (let pts = 0; pts < 20_000; pts++) {
    track.add({ type: "timing", context: "0", visemes: [{ id: 3, weight: pts % 2, pts }] });
    assert.equal(track.weights(pts)[3], pts % 2);
  }
});
