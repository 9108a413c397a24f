/** Tests the audio thread's player, called block by block. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { workletProgram } from "../../dist/playback/worklet.js";

const RATE = 48000;
const BLOCK = 128;
const { SampleRing, Player } = workletProgram({});

const ramp = (count, from = 1) => Float32Array.from({ length: count }, (_, i) => (from + i) / 2 ** 17);

/** A player, its output, and its reports. */
function deck() {
  const reports = [];
  const player = new Player(RATE, (report) => reports.push(report));
  const put = [];
  return {
    player,
    reports,
    put,
    get frame() {
      return put.length;
    },
    tell(type, samples) {
      player.receive(samples ? { type, samples } : { type }, put.length);
    },
    render(blocks = 1) {
      for (let i = 0; i < blocks; i += 1) {
        const out = new Float32Array(BLOCK);
        player.render(out, put.length);
        put.push(...out);
      }
      return put.slice(-blocks * BLOCK);
    },
  };
}

test("the ring returns what was written, also across its end, and accepts no more than its capacity", () => {
  const ring = new SampleRing(10);
  const out = new Float32Array(10);
  assert.equal(ring.write(ramp(7)), 7);
  assert.equal(ring.read(out, 0, 5), 5);
  assert.equal(ring.write(ramp(20, 8)), 8);
  assert.equal(ring.size, 10);
  assert.equal(ring.read(out, 0, 99), 10);
  assert.deepEqual([...out], [...ramp(10, 6)]);
  assert.equal(ring.read(out, 0, 1), 0);
});

test("samples come out as written, with silence where there are none", () => {
  const { player, put, tell, render } = deck();
  render(2);
  tell("samples", ramp(300));
  tell("samples", ramp(84, 301));
  render(4);
  assert.deepEqual(put.slice(0, 256), new Array(256).fill(0));
  assert.deepEqual(Float32Array.from(put.slice(256, 640)), ramp(384));
  assert.equal(player.at, 384);
});

test("reports give the frame and the sample put out, and where it ran dry", () => {
  const { reports, tell, render } = deck();
  render(3);
  tell("samples", ramp(200));
  render(3);
  tell("samples", ramp(128));
  render(2);
  assert.deepEqual(reports, [
    { frame: 384, at: 0, playing: true, why: "playing" },
    { frame: 584, at: 200, playing: false, why: "dry" },
    { frame: 768, at: 200, playing: true, why: "playing" },
    { frame: 896, at: 328, playing: false, why: "dry" },
  ]);
});

test("a long run is reported repeatedly", () => {
  const { reports, tell, render } = deck();
  tell("samples", ramp(RATE));
  render(300);
  assert.ok(reports.length >= 35, `${reports.length}`);
  for (const { frame, at } of reports) assert.equal(frame, at);
});

test("audio that breaks off decays instead of clicking", () => {
  const { put, tell, render } = deck();
  tell("samples", new Float32Array(100).fill(0.5));
  render(3);
  const steps = put.slice(1).map((each, i) => Math.abs(each - put[i]));
  assert.ok(Math.max(...steps) < 0.05);
  assert.ok(Math.abs(put.at(-1)) < 1e-3);
});

for (const [word, why] of [["hold", "held"], ["stop", "stopped"]]) {
  test(`${word} fades within 5 ms without a jump, and says where it fell silent`, () => {
    const { player, put, reports, tell, render } = deck();
    tell("samples", new Float32Array(RATE).fill(0.5));
    render(4);
    const from = put.length;
    tell(word);
    render(4);
    const silent = put.findLastIndex((each) => each !== 0) + 1;
    assert.ok(silent - from <= RATE * 0.005, `${silent - from}`);
    assert.ok(Math.max(...put.slice(from).map((each, i) => Math.abs(each - put[from + i - 1]))) < 0.01);
    const last = reports.at(-1);
    assert.equal(last.why, why);
    assert.equal(last.frame, last.at);
    assert.ok(last.frame - from <= RATE * 0.005);
    assert.equal(player.over, word === "stop");
  });
}

test("release continues with the next sample", () => {
  const { player, put, reports, tell, render } = deck();
  const samples = Float32Array.from({ length: 8000 }, (_, i) => 0.2 + i / 2 ** 17);
  tell("samples", samples);
  render(4);
  tell("hold");
  render(4);
  const { at } = reports.at(-1);
  tell("release");
  render(20);
  const resumed = reports.find((each) => each.playing && each.frame > 512);
  assert.equal(resumed.at, at);
  // Faded in over 5 ms, then exact.
  const settled = resumed.frame + 240;
  assert.deepEqual(Float32Array.from(put.slice(settled)), samples.slice(at + 240, player.at));
});

test("stop drops the rest, and nothing is put out after it", () => {
  const { player, tell, render } = deck();
  tell("samples", ramp(RATE));
  render(2);
  tell("stop");
  render(3);
  tell("samples", ramp(RATE));
  assert.ok(render(50).every((each) => each === 0));
  assert.equal(player.ring.size, 0);
});

test("a stop or hold while nothing plays is answered at once, even if nothing is ever rendered", () => {
  for (const [word, why] of [["stop", "stopped"], ["hold", "held"]]) {
    const { reports, tell } = deck();
    tell(word);
    assert.equal(reports.at(-1)?.why, why);
  }
});

test("the end is reported after the last sample, also after running dry or a hold", () => {
  const early = deck();
  early.tell("samples", ramp(130));
  early.tell("end");
  early.render(3);
  assert.deepEqual(early.reports.at(-1), { frame: 130, at: 130, playing: false, why: "ended" });
  const late = deck();
  late.tell("samples", ramp(130));
  late.render(3);
  late.tell("end");
  assert.equal(late.reports.at(-1).why, "ended");
  const held = deck();
  held.tell("hold");
  held.tell("end");
  held.render();
  assert.equal(held.player.over, false);
  held.tell("release");
  assert.equal(held.reports.at(-1).why, "ended");
});

test("the function's text is a complete program", () => {
  const registered = new Map();
  class AudioWorkletProcessor {
    port = { postMessage: () => undefined };
  }
  const scope = { AudioWorkletProcessor, sampleRate: RATE, registerProcessor: (name, made) => registered.set(name, made) };
  new Function("scope", `(${workletProgram})(scope)`)(scope);
  const processor = new (registered.get("voxwire-player"))();
  processor.port.onmessage({ data: { type: "samples", samples: ramp(BLOCK) } });
  const out = new Float32Array(BLOCK);
  assert.equal(processor.process([], [[out]]), true);
  assert.deepEqual(out, ramp(BLOCK));
});
