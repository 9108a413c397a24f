/** Tests a session and its contexts when the connection drops, the server drains, or the session is lost. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionLost } from "../dist/index.js";
import { settle } from "./support/clock.mjs";
import { back, FakeServer, FRAME_SAMPLES, listen, speaking } from "./support/server.mjs";

const TEXT = "Hello, world. And on.";

/** Speech with its first clause, and `count` frames of it; the words end at 2400 and 4800. */
async function halfway(count, options = {}, sessionOptions = {}, text = TEXT) {
  const scene = await speaking(text, options, sessionOptions);
  const { socket, context } = scene;
  socket.say({ type: "clause", context, chars: [0, 13], pts: 0 });
  const word = (text, from, to, pts, end_pts) => ({ text, chars: [from, to], pts, end_pts });
  const words = [word("Hello", 0, 5, 0, 2400), word("world", 7, 12, 2400, 4800)];
  socket.say({ type: "timing", context, words });
  socket.frames(0, 0, count);
  await settle();
  return scene;
}

test("a resumed session continues with the next frame, and messages that did not arrive are sent again", async () => {
  const scene = await halfway(3);
  const { socket, context, heard, utterance, server } = scene;
  utterance.hold();
  utterance.release();
  assert.deepEqual(socket.types, ["start", "text", "end", "hold", "release"]);
  socket.drop();
  utterance.hold();
  const second = await back(scene);
  assert.equal(second.url, "ws://server.test/v1/stream?resume=ses_1");
  // started, accepted, clause, timing and three frames had come.
  const progress = { received: 7, contexts: { u1: 2 }, text_seq: { u1: 0 } };
  assert.deepEqual(second.said, [{ type: "resume", session: "ses_1", token: "tok_1", ...progress }]);
  second.say({ type: "resumed", token: "tok_next", received: 2, contexts: { u1: { next_seq: 3, text_seq: 0 } } });
  assert.deepEqual(second.types.slice(1), []);
  await settle();
  assert.deepEqual(second.types.slice(1), ["end", "hold", "release", "hold"]);
  second.frames(0, 3, 5, { flags: 4 });
  second.drop();
  const third = await back(scene);
  assert.deepEqual([third.said[0].token, third.said[0].received], ["tok_next", 9]);
  third.say({ type: "resumed", token: "t", received: 6, contexts: { u1: { next_seq: 5 } } });
  await settle();
  assert.deepEqual(third.types.slice(1), []);
  third.frames(0, 5, 6);
  third.done(context, "completed", { frames: 6 });
  await heard.loop;
  assert.deepEqual(heard.seqs(), [0, 1, 2, 3, 4, 5]);
  const told = heard.types().filter((type) => type !== "audio");
  const again = ["interrupted", "reconnected"];
  assert.deepEqual(told, ["started", "clause", "timing", ...again, ...again, "done"]);
  const reconnected = heard.events.find((event) => event.type === "reconnected");
  assert.equal(reconnected.resumed, true);
  assert.ok(reconnected.awayMs >= 0 && !("pts" in reconnected));
  assert.equal(server.sockets.length, 3);
});

test("when the session is lost, the text that was not heard is synthesized again, and seq, pts and chars continue", async () => {
  const scene = await halfway(7, { seed: 42, codec: "pcm_s16le" });
  const { socket, context, heard, server, utterance } = scene;
  socket.drop(1012);
  const second = await back(scene);
  second.say({ type: "resume_failed", reason: "unknown" });
  await settle();
  // Seven frames are 3360 samples: "world" was cut, so it is spoken from its beginning.
  const audio = { codec: "pcm_s16le", sample_rate: 24000, frame_ms: 20 };
  assert.deepEqual(second.said.slice(1), [{ type: "start", context, seed: 42, audio, voice: "heart" }]);
  second.start(3);
  await settle();
  assert.deepEqual(second.said.slice(2), [
    { type: "text", context, text: "world. And on.", seq: 0 },
    { type: "end", context },
  ]);
  second.say({ type: "clause", context, chars: [0, 6], pts: 0 });
  const words = [{ text: "world", chars: [0, 5], pts: 0, end_pts: 2400 }];
  const visemes = [{ id: 1, weight: 1, pts: 10 }];
  second.say({ type: "timing", context, words, visemes });
  second.frames(3, 0, 5);
  second.done(context, "completed", { frames: 5 });
  await heard.loop;
  assert.deepEqual(heard.seqs(), Array.from({ length: 12 }, (_, seq) => seq));
  const [reconnected, clause, timing, audioEvent] = heard.events.slice(-9);
  const done = heard.events.at(-1);
  assert.deepEqual({ ...reconnected, awayMs: 0 }, {
    type: "reconnected", resumed: false, awayMs: 0, pts: 7 * FRAME_SAMPLES, chars: 7,
  });
  assert.deepEqual([clause.chars, clause.pts], [[7, 13], 3360]);
  assert.deepEqual(timing.words, [{ text: "world", chars: [7, 12], pts: 3360, end_pts: 5760 }]);
  assert.deepEqual(timing.visemes, [{ id: 1, weight: 1, pts: 3370 }]);
  assert.equal(audioEvent.pts, 3360);
  assert.deepEqual([done.frames, done.samples, done.chars], [12, 12 * FRAME_SAMPLES, 21]);
  const report = await utterance.cancel({ playedPts: 5000 });
  assert.deepEqual([report.heard.text, report.heard.word], ["Hello, ", "world"]);
  assert.equal(server.sockets.length, 2);
});

test("characters beyond the first plane count as one also in another session", async () => {
  const scene = await speaking("🎉🎉 Hi. 🎉 You.");
  const { socket, context } = scene;
  socket.say({ type: "clause", context, chars: [0, 6], pts: 0 });
  socket.frames(0, 0, 2);
  socket.say({ type: "clause", context, chars: [6, 13], pts: 960 });
  await settle();
  socket.drop();
  const second = await back(scene);
  second.say({ type: "resume_failed", reason: "expired" });
  await settle();
  second.start(0);
  await settle();
  assert.equal(second.text, " 🎉 You.");
});

test("a server without a resume window is not asked to resume", async () => {
  const server = new FakeServer();
  server.readyFields = { resume_window_ms: 0 };
  const session = await server.connect();
  const heard = listen(session.speak(TEXT));
  await settle();
  server.socket.drop(1001);
  const second = await back({ server });
  assert.equal(second.url, "ws://server.test/v1/stream");
  assert.deepEqual(second.types, ["start"]);
  assert.equal(heard.over, false);
  assert.equal(session.ready.session, "ses_2");
});

test("a seed is chosen, so that text sounds the same in another session", async () => {
  const { socket } = await speaking();
  assert.ok(Number.isSafeInteger(socket.said[0].seed));
  const alone = await speaking(TEXT, {}, { reconnect: false });
  assert.equal(alone.socket.said[0].seed, undefined);
});

test("an utterance whose sessions end again and again is given up", async () => {
  const scene = await speaking(TEXT);
  for (let attempt = 0; attempt < 5; attempt++) {
    scene.server.socket.drop(1011);
    const socket = await back(scene, 6000);
    socket.say({ type: "resume_failed", reason: "unknown" });
    await settle();
    socket.start(0);
  }
  assert.equal(scene.heard.over, false);
  scene.server.socket.drop(1011);
  (await back(scene, 6000)).say({ type: "resume_failed", reason: "unknown" });
  await scene.heard.loop;
  assert.ok(scene.heard.error instanceof ConnectionLost);
});

for (const code of [1001, 1006, 1011, 1012, 1013]) {
  test(`after ${code} the client comes back`, async () => {
    const scene = await speaking();
    scene.socket.drop(code);
    await back(scene);
    assert.equal(scene.heard.over, false);
  });
}

for (const code of [1000, 1005, 1003, 1007, 1008, 1009, 4401, 4403, 4409, 4429]) {
  test(`after ${code} it does not`, async () => {
    const { server, socket, heard, session } = await speaking();
    socket.drop(code, "why");
    await server.clock.pass(120_000);
    assert.equal(server.sockets.length, 1);
    assert.deepEqual([heard.error.closeCode, heard.error.reason], [code, "why"]);
    assert.ok(session.closed);
  });
}

test("without reconnect the first drop ends the session", async () => {
  const { server, socket, heard } = await speaking(TEXT, {}, { reconnect: false });
  socket.drop();
  await heard.loop;
  assert.ok(heard.error.retryable);
  await server.clock.pass(60_000);
  assert.equal(server.sockets.length, 1);
});

test("after a draining server has refused the resume, the session continues at another server", async () => {
  const scene = await halfway(2);
  const { server, socket } = scene;
  server.refusals.push([{ type: "error", code: "server.draining", message: "bye", retryable: true }, 1012]);
  socket.drop();
  const third = await back(scene, 1000);
  assert.equal(server.sockets.length, 3);
  assert.equal(third.url, "ws://server.test/v1/stream");
  assert.equal(third.types[0], "start");
});

test("a server that is silent for three heartbeats is given up, and the speech continues over a new connection", async () => {
  const scene = await speaking();
  const { server, socket, heard } = scene;
  socket.polite = false;
  // The first heartbeat is the one during which the server last sent something.
  await server.clock.pass(4 * 5000 - 1);
  assert.equal(server.sockets.length, 1);
  assert.equal(heard.types().includes("interrupted"), false);
  const second = await back(scene);
  assert.equal(second.said[0].type, "resume");
  const { code, reason } = heard.events.at(-1);
  assert.deepEqual([code, reason], [1006, "the server does not answer"]);
});

test("a server that answers pings is kept", async () => {
  const { server, socket } = await speaking();
  await server.clock.pass(100_000);
  assert.equal(server.sockets.length, 1);
  assert.ok(socket.pings >= 9);
});

test("a barge-in without a connection is answered at once, and sent to the server later", async () => {
  const scene = await halfway(10);
  const { socket, utterance, heard } = scene;
  socket.drop();
  await settle();
  const report = await utterance.cancel({ playedPts: 2400 });
  assert.equal(report.heard.text, "Hello");
  await heard.loop;
  assert.deepEqual(heard.types().slice(-2), ["cancelled", "done"]);
  const second = await back(scene);
  second.say({ type: "resumed", token: "t", received: 3, contexts: { u1: { next_seq: 10 } } });
  await settle();
  assert.deepEqual(second.types, ["resume", "cancel"]);
});

test("a barge-in whose answer is lost with the connection is answered by the client", async () => {
  const scene = await halfway(10);
  const report = scene.utterance.cancel({ playedPts: 2400 });
  await settle();
  scene.socket.drop();
  assert.equal((await report).heard.text, "Hello");
});

test("messages of the time without a connection are sent later, new utterances too", async () => {
  const scene = await halfway(1);
  const { session, socket } = scene;
  socket.drop();
  const context = session.context({ context: "away" });
  await context.text("Hi.");
  await context.end();
  const second = await back(scene);
  second.say({ type: "resumed", token: "t", received: 3, contexts: {} });
  await settle();
  assert.deepEqual(second.types, ["resume", "start", "text", "end"]);
});

test("acknowledged messages are dropped, and all others are sent again", async () => {
  const scene = await halfway(1);
  const { socket } = scene;
  socket.say({ type: "state", contexts: { u1: "speaking" }, received: 3 });
  assert.deepEqual(scene.session.states, { u1: "speaking" });
  socket.drop();
  const second = await back(scene);
  second.say({ type: "resumed", token: "t", received: 3, contexts: { u1: { next_seq: 1 } } });
  await settle();
  assert.deepEqual(second.types, ["resume"]);
});

test("while a server drains, new utterances use a new connection, and old ones are finished", async () => {
  const scene = await halfway(1);
  const { server, session, socket, context, heard } = scene;
  socket.say({ type: "draining", deadline_ms: 30_000 });
  const next = listen(session.speak("Next."));
  const second = await back(scene);
  assert.deepEqual([second.url, second.types], ["ws://server.test/v1/stream", ["start", "text", "end"]]);
  second.start(0);
  socket.frames(0, 1, 2);
  socket.done(context, "completed", { frames: 2 });
  await heard.loop;
  assert.deepEqual(heard.seqs(), [0, 1]);
  socket.drop(1012);
  await settle();
  second.frames(0, 0, 1);
  second.done("u2", "completed", { frames: 1 });
  await next.loop;
  assert.deepEqual(next.types(), ["started", "audio", "done"]);
  assert.equal(server.sockets.length, 2);
  assert.equal(session.closed, false);
});

test("an utterance that a draining server did not finish continues at its successor", async () => {
  const scene = await halfway(7);
  const { session, socket, heard } = scene;
  socket.say({ type: "draining", deadline_ms: 30_000 });
  listen(session.speak("Next."));
  const second = await back(scene);
  second.start(0);
  socket.drop(1012);
  await settle();
  assert.deepEqual(second.said.at(-1).context, "u1");
  second.start(1);
  await settle();
  assert.equal(second.said.filter(({ context }) => context === "u1").find(({ type }) => type === "text").text, "world. And on.");
  second.frames(1, 0, 1);
  await settle();
  assert.deepEqual(heard.seqs(), [0, 1, 2, 3, 4, 5, 6, 7]);
});

test("a start that a draining server refuses is sent over a new connection", async () => {
  const server = new FakeServer();
  const session = await server.connect();
  const heard = listen(session.speak("Hi."));
  await settle();
  server.socket.refuse("server.draining", "u1", { retry_after_ms: 0 });
  const second = await back({ server });
  assert.deepEqual(second.types, ["start"]);
  second.start(0);
  await settle();
  assert.deepEqual(second.types, ["start", "text", "end"]);
  assert.equal(heard.error, null);
});

test("onChange is called for drops and reconnects", async () => {
  const told = [];
  const scene = await speaking(TEXT, {}, { onChange: (event) => told.push([event.type, scene?.session.connected]) });
  scene.socket.drop();
  await settle();
  const second = await back(scene);
  second.say({ type: "resumed", token: "t", received: 3, contexts: {} });
  await settle();
  assert.deepEqual(told, [["interrupted", false], ["reconnected", true]]);
});

test("closing without a connection leaves no timers behind", async () => {
  const { server, session, socket, heard } = await speaking();
  socket.drop();
  await settle();
  await session.close();
  await heard.loop;
  assert.equal(heard.error.closeCode, 1000);
  await settle();
  assert.equal(server.clock.waiting, 0);
  assert.equal(server.sockets.length, 1);
});
