/** Tests a session whose connection holds: text in, events out, barge-in, errors, slow readers. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionLost, VoxwireError } from "../dist/index.js";
import { settle } from "./support/clock.mjs";
import { FakeServer, listen, speaking } from "./support/server.mjs";

const words = (...places) => places.map(([text, from, to, pts, end_pts]) => ({ text, chars: [from, to], pts, end_pts }));

/** "Hello, world." with its words, and `count` frames of audio. */
function sayHello({ socket, context }, count) {
  socket.say({ type: "clause", context, chars: [0, 13], pts: 0 });
  const timing = words(["Hello", 0, 5, 480, 2400], ["world", 7, 12, 2400, 4800]);
  socket.say({ type: "timing", context, words: timing });
  socket.frames(0, 0, count);
}

test("a lexicon and names of lexicons are asked for", async () => {
  const lexicon = { kubectl: "kube control", Nguyen: { ipa: "wɪn" } };
  const { socket, context } = await speaking("Hello, world.", { lexicon, lexicons: ["streets"], seed: 7 });
  assert.deepEqual(socket.said[0], { type: "start", context, seed: 7, lexicon, lexicons: ["streets"] });
});

test("the events of an utterance come in order", async () => {
  const scene = await speaking("Hello, world.", { voice: "heart", codec: "opus", bitrate: 24000, pacing: "burst", seed: 7 });
  const { socket, heard, context, utterance } = scene;
  assert.deepEqual(socket.said, [
    { type: "start", context, voice: "heart", audio: { codec: "opus", bitrate: 24000 }, pacing: { mode: "burst" }, seed: 7 },
    { type: "text", context, text: "Hello, world.", seq: 0 },
    { type: "end", context },
  ]);
  sayHello(scene, 10);
  socket.done(context, "completed", { frames: 10 });
  await heard.loop;
  assert.deepEqual(heard.types(), ["started", "clause", "timing", ...Array(10).fill("audio"), "done"]);
  const { payload, ...third } = heard.events[5];
  assert.deepEqual(third, {
    type: "audio", seq: 2, pts: 960, first: false, last: false, replayed: false,
    codec: "pcm_s16le", sampleRate: 24000, frameSamples: 480,
  });
  assert.deepEqual([...payload], [2, 0]);
  assert.equal(utterance.done.frames, 10);
  assert.equal(utterance.started.voice, "heart");
});

test("nothing is sent before the iteration begins", async () => {
  const server = new FakeServer();
  const session = await server.connect();
  session.speak("Hello.");
  await settle();
  assert.deepEqual(server.socket.said, []);
});

test("pieces are sent as they come, and split surrogate pairs are joined", async () => {
  async function* tokens() {
    for (const token of ["Hel", null, "", "lo \ud83c", "\udf89 wor", undefined, "ld\ud83c"]) yield token;
  }
  const { socket, utterance } = await speaking(tokens());
  assert.deepEqual(
    socket.said.filter((message) => message.type === "text").map(({ text, seq }) => [text, seq]),
    [["Hel", 0], ["lo ", 1], ["🎉 wor", 2], ["ld", 3], ["\ufffd", 4]],
  );
  assert.equal(utterance.textSoFar, "Hello 🎉 world\ufffd");
});

test("a long text is split by code points, and waits until the server has room", async () => {
  const text = "🎉".repeat(250);
  const { socket, heard, context } = await speaking(text);
  const texts = () => socket.said.filter((message) => message.type === "text").map((each) => [...each.text].length);
  assert.deepEqual(texts(), [100, 100, 50]);
  socket.done(context);
  await heard.loop;
  assert.equal(socket.text, text);
});

test("refused text is sent again after the pause, with the same number", async () => {
  const server = new FakeServer();
  const session = await server.connect();
  const context = session.context({ context: "c" });
  await context.open();
  server.socket.start();
  server.socket.polite = false;
  const writing = context.text("x".repeat(250));
  await settle();
  const { socket, clock } = server;
  for (const message of socket.said.filter((each) => each.type === "text")) socket.accept(message);
  await settle();
  const last = () => socket.said.at(-1);
  assert.deepEqual([last().text.length, last().seq], [50, 2]);
  const count = socket.said.length;
  socket.refuse("client.text_buffer_full", "c", { retry_after_ms: 700 });
  await clock.pass(699);
  assert.equal(socket.said.length, count);
  await clock.pass(1);
  assert.equal(socket.said.length, count + 1);
  assert.deepEqual([last().text.length, last().seq], [50, 2]);
  socket.accept(last());
  await writing;
});

test("text waits while the network accepts no more", async () => {
  const server = new FakeServer();
  const session = await server.connect();
  const context = session.context();
  await context.open();
  server.socket.start();
  server.socket.bufferedAmount = 1 << 20;
  let written = false;
  const writing = context.text("Hello.").then(() => (written = true));
  await server.clock.pass(1000);
  assert.deepEqual([written, server.socket.types], [false, ["start"]]);
  server.socket.bufferedAmount = 0;
  await server.clock.pass(10);
  await writing;
  assert.deepEqual(server.socket.types, ["start", "text"]);
});

test("after barge-in no audio comes, the server's report is returned, and the source of the text is stopped", async () => {
  let closed = false;
  async function* tokens() {
    try {
      yield "Hello, ";
      yield "world.";
      await new Promise(() => undefined);
    } finally {
      closed = true;
    }
  }
  const generator = tokens();
  const returned = [];
  const close = generator.return.bind(generator);
  generator.return = (value) => {
    returned.push(value);
    return close(value);
  };
  const scene = await speaking(generator);
  const { socket, heard, context, utterance } = scene;
  sayHello(scene, 10);
  const report = utterance.cancel({ playedPts: 2500.7 });
  sayHello(scene, 12);
  await settle();
  assert.deepEqual(socket.said.at(-1), { type: "cancel", context, played_pts: 2500 });
  const cancelled = {
    type: "cancelled", context, sent_seq: 9,
    heard: { pts: 2500, chars: 5, text: "Hello", word: "world" }, unheard: { chars: 8, text: ", world." },
  };
  socket.say(cancelled);
  socket.done(context, "cancelled");
  assert.deepEqual(await report, cancelled);
  await heard.loop;
  assert.deepEqual(heard.types(), ["started", "cancelled", "done"]);
  assert.equal(returned.length, 1);
  assert.equal(closed, false, "a generator that waits can't be closed, only told");
  assert.deepEqual(await utterance.cancel(), cancelled);
});

test("a barge-in after the server has sent everything is answered from the word timings", async () => {
  const scene = await speaking();
  const { socket, heard, context, utterance } = scene;
  sayHello(scene, 12);
  socket.done(context, "completed", { frames: 12 });
  await settle();
  assert.ok(heard.over);
  const { heard: part, unheard } = await utterance.cancel({ playedPts: 2400 });
  assert.deepEqual(part, { pts: 2400, chars: 5, text: "Hello" });
  assert.deepEqual(unheard, { chars: 8, text: ", world." });
  assert.equal(socket.types.includes("cancel"), false);
});

test("without playedPts the newest acknowledge counts", async () => {
  const scene = await speaking();
  sayHello(scene, 10);
  scene.utterance.acknowledge(9, 2399);
  assert.equal(scene.utterance.heard().word, "Hello");
  void scene.utterance.cancel();
  await settle();
  assert.equal(scene.socket.said.at(-1).played_pts, 2399);
});

test("leaving the loop cancels", async () => {
  const server = new FakeServer();
  const session = await server.connect();
  let closed = false;
  function* tokens() {
    try {
      for (;;) yield "Hello. ";
    } finally {
      closed = true;
    }
  }
  const loop = (async () => {
    for await (const event of session.speak(tokens())) {
      if (event.type === "audio") break;
    }
  })();
  await settle();
  server.socket.start();
  server.socket.frames(0, 0, 2);
  await loop;
  assert.equal(server.socket.types.at(-1), "cancel");
  assert.ok(closed);
});

test("an aborted signal cancels, before and while it speaks", async () => {
  const controller = new AbortController();
  const { socket, heard, context, session } = await speaking("Hello.", { signal: controller.signal });
  controller.abort();
  assert.equal(socket.types.at(-1), "cancel");
  socket.say({ type: "cancelled", context, heard: { pts: 0, chars: 0, text: "" }, unheard: { chars: 6, text: "Hello." } });
  socket.done(context, "cancelled");
  await heard.loop;
  assert.deepEqual(heard.types(), ["started", "cancelled", "done"]);
  const late = listen(session.speak("More.", { signal: controller.signal }));
  await late.loop;
  assert.deepEqual([late.events, late.error, socket.types.at(-1)], [[], null, "cancel"]);
});

test("an error of the source of the text is thrown in the loop, and the utterance is cancelled", async () => {
  async function* tokens() {
    yield "Hello. ";
    throw new RangeError("the model is gone");
  }
  const { socket, heard } = await speaking(tokens());
  await heard.loop;
  assert.equal(heard.error.message, "the model is gone");
  assert.equal(socket.types.at(-1), "cancel");
});

test("text that is no string is refused", async () => {
  const { heard } = await speaking(["a", 7]);
  await heard.loop;
  assert.ok(heard.error instanceof TypeError);
});

test("hold and release are sent once, also before the start", async () => {
  const server = new FakeServer();
  const session = await server.connect();
  const context = session.context({ context: "c" });
  context.hold();
  context.hold();
  await context.open();
  context.release();
  context.release();
  assert.deepEqual(server.socket.types, ["start", "hold", "release"]);
});

test("a slow reader holds up its own utterance, and no other", async () => {
  const { server, session, socket, utterance } = await speaking("Hello.");
  const slow = session.context({ context: "slow" });
  await slow.open();
  socket.start(1);
  socket.frames(1, 0, 1498);
  assert.equal(socket.types.includes("hold"), false);
  socket.frames(1, 1498, 1700);
  assert.deepEqual(socket.said.at(-1), { type: "hold", context: "slow" });
  const iterator = slow[Symbol.asyncIterator]();
  for (let count = 0; count < 1200; count++) await iterator.next();
  assert.equal(socket.types.at(-1), "hold");
  await iterator.next();
  assert.deepEqual(socket.said.at(-1), { type: "release", context: "slow" });
  assert.equal(utterance.done, null);
  assert.equal(server.socket.types.filter((type) => type === "hold").length, 1);
});

test("acks are sent a few times a second, with what was received and played", async () => {
  const scene = await speaking();
  const { server, socket, context, utterance } = scene;
  sayHello(scene, 3);
  await server.clock.pass(200);
  assert.deepEqual(socket.acks, [{ type: "ack", context, seq: 2 }]);
  for (let pts = 0; pts < 1000; pts += 10) utterance.acknowledge(2, pts);
  await server.clock.pass(199);
  assert.equal(socket.acks.length, 1);
  await server.clock.pass(1);
  assert.deepEqual(socket.acks[1], { type: "ack", context, seq: 2, played_pts: 990 });
  // A player can't have played what it has not taken.
  utterance.acknowledge(1, 10_000);
  await server.clock.pass(1000);
  assert.deepEqual(socket.acks.slice(2), [{ type: "ack", context, seq: 2, played_pts: 960 }]);
});

test("an error of one context is thrown only in its own loop", async () => {
  const { socket, heard, session } = await speaking("Hello.", { voice: "nobody" });
  const other = listen(session.speak("World.", { context: "other" }));
  await settle();
  socket.start(1);
  socket.refuse("client.unsupported_audio", "u1");
  await heard.loop;
  assert.ok(heard.error instanceof VoxwireError);
  assert.equal(heard.error.code, "client.unsupported_audio");
  socket.done("other");
  await other.loop;
  assert.equal(other.error, null);
});

test("a context that a text opened after its start was refused is cancelled", async () => {
  const server = new FakeServer();
  const session = await server.connect();
  const heard = listen(session.speak("Hello.", { voice: "nobody" }));
  await settle();
  server.socket.refuse("client.unknown_voice", "u1", { details: { voices: ["heart"] } });
  await heard.loop;
  assert.deepEqual(heard.error.details, { voices: ["heart"] });
  await settle();
  assert.equal(server.socket.types.at(-1), "cancel");
  assert.equal(server.socket.pings, 1);
});

test("when an engine fails, audio that was ready comes before the error", async () => {
  const scene = await speaking();
  const { socket, heard, context } = scene;
  socket.refuse("system.engine_failed", context, { retry_after_ms: 5 });
  sayHello(scene, 2);
  socket.done(context, "error");
  await heard.loop;
  assert.deepEqual(heard.seqs(), [0, 1]);
  assert.deepEqual([heard.error.code, heard.error.retryable, heard.error.retryAfterMs], ["system.engine_failed", true, 5]);
});

test("a context's text: flushes, retracting, the end", async () => {
  const server = new FakeServer();
  const session = await server.connect();
  const context = session.context({ context: "c" });
  await context.text("Hello ");
  server.socket.start();
  await context.text("there.", { flush: true });
  await context.flush("second");
  const left = context.retract(6);
  await settle();
  const { socket } = server;
  assert.deepEqual(socket.said.at(-1), { type: "retract", context: "c", from_char: 6 });
  socket.say({ type: "accepted", context: "c", chars: 8, text_seq: 1 });
  assert.equal(await left, 8);
  assert.equal(context.textSoFar, "Hello th");
  await context.end();
  assert.deepEqual(socket.types, ["start", "text", "text", "flush", "flush", "retract", "end"]);
  await assert.rejects(context.text("more"), { code: "client.context_ended" });
  socket.say({ type: "flushed", context: "c" }, { type: "flushed", context: "c", id: "second" });
  socket.done("c");
  const first = [];
  for await (const event of context) {
    first.push(event.type);
    if (event.type === "flushed") break;
  }
  const rest = [];
  for await (const event of context) rest.push(event.type);
  assert.deepEqual([first, rest], [["started", "flushed"], ["flushed", "done"]]);
});

test("bitrate and pacing change while it speaks; PCM has no bitrate", async () => {
  const { socket, utterance, context, session } = await speaking("Hello.", { codec: "opus" });
  utterance.configure({ bitrate: 12000, leadMs: 1500 });
  const change = { type: "configure", context, audio: { bitrate: 12000 }, pacing: { lead_ms: 1500 } };
  assert.deepEqual(socket.said.at(-1), change);
  assert.throws(() => session.context().configure({ bitrate: 12000 }), { code: "client.unsupported_audio" });
});

test("a context's name is in use until the context is over", async () => {
  const { socket, heard, session, utterance } = await speaking("Hello.", { context: "c" });
  await assert.rejects(session.context({ context: "c" }).open(), RangeError);
  void utterance.cancel();
  const next = listen(session.speak("World.", { context: "c" }));
  await settle();
  assert.equal(socket.types.at(-1), "cancel");
  socket.done("c", "cancelled");
  await heard.loop;
  await settle();
  assert.deepEqual(socket.types.slice(-3), ["start", "text", "end"]);
  assert.equal(next.over, false);
  assert.throws(() => session.speak("", { context: "x".repeat(65) }), RangeError);
});

test("unknown messages and fields are ignored", async () => {
  const { socket, heard, context } = await speaking();
  socket.say({ type: "moon", context, phase: 3 });
  socket.onmessage({ data: new Uint8Array([2, 1, 2, 3]).buffer });
  socket.frames(77, 0, 1);
  socket.say({ type: "warning", code: "some_later_code", message: "m", context });
  socket.done(context);
  await heard.loop;
  assert.deepEqual(heard.types(), ["started", "warning", "done"]);
});

test("a server that sends invalid messages is disconnected", async () => {
  const { socket, heard, session } = await speaking();
  socket.say({ type: "clause", context: "u1", chars: [5, 4], pts: 0 });
  await heard.loop;
  assert.ok(heard.error instanceof ConnectionLost);
  assert.deepEqual([heard.error.closeCode, heard.error.code], [1007, "client.invalid_field"]);
  assert.equal(socket.closedWith, 1007);
  assert.ok(session.closed);
});

test("closing a session ends its utterances, and leaves no timers behind", async () => {
  const { server, heard, session, socket } = await speaking();
  await session.close();
  await heard.loop;
  assert.equal(heard.error.closeCode, 1000);
  assert.equal(socket.closedWith, 1000);
  assert.equal((await session.whenClosed()).closeCode, 1000);
  await assert.rejects(session.context().open(), ConnectionLost);
  await assert.rejects(session.ping(), ConnectionLost);
  await settle();
  assert.equal(server.clock.waiting, 0);
});
