/** Tests what the client computes itself: what was heard, where speech continues, which messages were acknowledged. */

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { settle } from "./support/clock.mjs";
import { back, FakeServer, FRAME_SAMPLES, listen, speaking } from "./support/server.mjs";

/** An utterance in a new session: the text that was not heard is sent to a server that does not know it. */
async function spokenAnew(scene) {
  scene.socket.drop();
  const socket = await back(scene);
  socket.say({ type: "resume_failed", reason: "unknown" });
  await settle();
  socket.start(0);
  await settle();
  return socket;
}

test("a duplicate frame is dropped", async () => {
  const { socket, heard } = await speaking();
  socket.frames(0, 0, 3);
  socket.frames(0, 1, 4, { flags: 4 });
  await settle();
  assert.deepEqual(heard.seqs(), [0, 1, 2, 3]);
});

test("a report that the client computes comes before done in the loop", async () => {
  const server = new FakeServer();
  const session = await server.connect();
  const context = session.context({ context: "c" });
  await context.text("Hello.");
  await context.end();
  const { socket } = server;
  socket.start();
  socket.frames(0, 0, 2);
  socket.done("c", "completed", { frames: 2 });
  const report = await context.cancel({ playedPts: 480 });
  const heard = listen(context);
  await heard.loop;
  assert.deepEqual(heard.types(), ["started", "cancelled", "done"]);
  assert.deepEqual(heard.events[1], report);
});

test("without words' times a clause is taken as spoken evenly, up to a word's end", async () => {
  const { socket, context, utterance } = await speaking("One 🎉 three four.");
  socket.say({ type: "clause", context, chars: [0, 17], pts: 0 });
  socket.frames(0, 0, 10);
  socket.done(context, "completed", { frames: 10 });
  await settle();
  assert.equal(utterance.heard(2400).text, "One 🎉 ");
  assert.equal(utterance.heard(4799).text, "One 🎉 three ");
  assert.equal(utterance.heard(4800).text, "One 🎉 three four.");
  assert.equal(utterance.heard(0).text, "");
});

test("without a player's report, playout is assumed to run from the first frame on, except while held", async () => {
  const { socket, server, utterance } = await speaking();
  socket.frames(0, 0, 100);
  await server.clock.pass(100);
  assert.equal(utterance.heard().pts, 2400);
  utterance.hold();
  await server.clock.pass(5000);
  utterance.release();
  await server.clock.pass(100);
  assert.equal(utterance.heard().pts, 4800);
  await server.clock.pass(60_000);
  assert.equal(utterance.heard().pts, 100 * FRAME_SAMPLES);
  void utterance.cancel();
  assert.equal("played_pts" in socket.said.at(-1), false, "the server's own clock is better than a guess");
});

test("speech in another session begins with the word that was cut, and its opening quotes", async () => {
  const scene = await speaking('He said: ("well") and left.');
  const { socket, context } = scene;
  socket.say({ type: "clause", context, chars: [0, 27], pts: 0 });
  const word = (text, from, to, pts) => ({ text, chars: [from, to], pts, end_pts: pts + 960 });
  socket.say({ type: "timing", context, words: [word("He", 0, 2, 0), word("said", 3, 7, 960), word("well", 11, 15, 1920)] });
  socket.frames(0, 0, 5);
  await settle();
  assert.equal((await spokenAnew(scene)).text, '("well") and left.');
});

test("an utterance that was received completely is not spoken again, even without word timings", async () => {
  const server = new FakeServer();
  const session = await server.connect();
  const context = session.context({ context: "c" });
  const heard = listen(context);
  await context.text("Hello. ", { flush: true });
  await context.text("And on.");
  const { socket } = server;
  socket.start();
  socket.say({ type: "clause", context: "c", chars: [0, 7], pts: 0 });
  socket.frames(0, 0, 3);
  socket.frames(0, 3, 4, { flags: 2 });
  await settle();
  const second = await spokenAnew({ server, socket });
  assert.equal(second.text, "And on.");
  // The answer to the flush was lost with the connection.
  assert.deepEqual(heard.events.filter((event) => event.type === "flushed"), [{ type: "flushed", context: "c", seq: 3 }]);
});

test("an utterance of which all audio was received ends without the server's done", async () => {
  const scene = await speaking("Hello.");
  const { socket, context, heard, server } = scene;
  socket.say({ type: "clause", context, chars: [0, 6], pts: 0 });
  socket.frames(0, 0, 4, { flags: 2 });
  await settle();
  socket.drop();
  const second = await back({ server });
  second.say({ type: "resume_failed", reason: "unknown" });
  await heard.loop;
  assert.deepEqual(second.types, ["resume"]);
  const { reason, frames, chars } = heard.events.at(-1);
  assert.deepEqual([reason, frames, chars], ["completed", 4, 6]);
});

test("a start that a new session refuses as it has no room is sent again", async () => {
  const scene = await speaking("Hello.");
  const { socket, server, heard } = scene;
  socket.frames(0, 0, 2);
  await settle();
  socket.drop();
  const second = await back(scene);
  second.say({ type: "resume_failed", reason: "unknown" });
  await settle();
  second.refuse("server.overloaded", "u1", { retry_after_ms: 900 });
  await server.clock.pass(899);
  assert.deepEqual(second.types, ["resume", "start"]);
  await server.clock.pass(1);
  assert.deepEqual(second.types, ["resume", "start", "start"]);
  assert.equal(heard.error, null);
});

test("messages before an answered ping are not sent again", async () => {
  const scene = await speaking("Hello.");
  assert.equal(await scene.session.ping(), 0);
  scene.socket.drop();
  const second = await back(scene);
  // A wrong count of the server does not make the client send a message twice.
  second.say({ type: "resumed", token: "t", received: 0, contexts: {} });
  await settle();
  assert.deepEqual(second.types, ["resume"]);
});

test("with more than 4 MiB unacknowledged, sending waits for the server", async () => {
  const server = new FakeServer();
  server.readyFields = {
    limits: { ...server.ready(0).limits, text_chars_max: 1 << 20, unspoken_chars_max: 1 << 30 },
  };
  const session = await server.connect();
  const context = session.context({ context: "c" });
  await context.open();
  const { socket } = server;
  socket.start();
  socket.polite = false;
  let written = 0;
  const writing = (async () => {
    for (; written < 6; written++) await context.text("x".repeat(1 << 20));
  })();
  await settle();
  assert.equal(written, 3);
  assert.equal(socket.pings, 1);
  for (let t = 1; written < 6; t++) {
    socket.say({ type: "pong", t, server_ms: 0 });
    await settle();
    assert.ok(t < 10, "it never goes on");
  }
  await writing;
});

test("the listener of an abort signal is removed when the utterance is over", async () => {
  const { signal } = new AbortController();
  const { socket, context, heard } = await speaking("Hello.", { signal });
  assert.equal(getEventListeners(signal, "abort").length, 1);
  socket.done(context);
  await heard.loop;
  assert.equal(getEventListeners(signal, "abort").length, 0);
});

test("audio is acknowledged even if timers are late", async () => {
  const { server, socket } = await speaking();
  for (let seq = 0; seq < 100; seq++) {
    server.clock.skip(20);
    socket.frames(0, seq, seq + 1);
  }
  assert.ok(socket.acks.length >= 4, `${socket.acks.length} acks in two seconds`);
  assert.ok(socket.acks.length <= 10);
});

test("a clause whose word timings were incomplete continues after the last known word", async () => {
  const scene = await speaking("One two. Three four.");
  const { socket, context } = scene;
  socket.say({ type: "clause", context, chars: [0, 20], pts: 0 });
  const words = [{ text: "One", chars: [0, 3], pts: 0, end_pts: 480 }, { text: "two", chars: [4, 7], pts: 480, end_pts: 960 }];
  socket.say({ type: "timing", context, words });
  socket.frames(0, 0, 2);
  await settle();
  assert.equal((await spokenAnew(scene)).text, " Three four.");
});
