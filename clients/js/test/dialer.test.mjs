/** Tests connecting and reconnecting: addresses, tokens and keys, refusals, delays. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Backoff } from "../dist/backoff.js";
import { streamUrl } from "../dist/dialer.js";
import { ConnectionLost } from "../dist/index.js";
import { back, FakeServer, speaking } from "./support/server.mjs";

const TEXT = "Hello, world. And on.";

test("it reconnects for reconnectSeconds, then every open utterance throws", async () => {
  const { server, socket, heard, session } = await speaking(TEXT, {}, { reconnectSeconds: 12 });
  server.refusing = true;
  socket.drop();
  await server.clock.pass(11_900);
  assert.deepEqual([heard.over, session.closed, session.connected], [false, false, false]);
  await server.clock.pass(200);
  assert.ok(heard.error instanceof ConnectionLost);
  assert.ok(session.closed);
  assert.ok(server.sockets.length > 4, `only ${server.sockets.length} attempts`);
  assert.equal(server.clock.waiting, 0);
});

test("the server's retry_after_ms is respected", async () => {
  const { server, socket } = await speaking();
  const error = { type: "error", code: "server.overloaded", message: "full", retryable: true, retry_after_ms: 4000 };
  server.refusals.push([error, 1013]);
  socket.drop();
  await server.clock.pass(100);
  assert.equal(server.sockets.length, 2);
  await server.clock.pass(3900);
  assert.equal(server.sockets.length, 2);
  await server.clock.pass(300);
  assert.equal(server.sockets.length, 3);
});

test("a token is fetched for each attempt, and a refused one ends the session", async () => {
  let count = 0;
  const token = async () => `t${++count}`;
  const { server, socket, heard } = await speaking(TEXT, {}, { token });
  assert.deepEqual(socket.protocols, ["voxwire.v1.json", "voxwire.token.t1"]);
  server.refusals.push([{ type: "error", code: "client.not_authenticated", message: "no", retryable: false }, 4401]);
  socket.drop();
  await server.clock.pass(200);
  assert.deepEqual(server.socket.protocols, ["voxwire.v1.json", "voxwire.token.t2"]);
  assert.equal(heard.error.code, "client.not_authenticated");
  assert.equal(heard.error.retryable, false);
});

test("a token that could not be fetched is fetched again", async () => {
  let count = 0;
  const token = async () => {
    if (++count === 2) throw new TypeError("fetch failed");
    return `t${count}`;
  };
  const scene = await speaking(TEXT, {}, { token });
  scene.socket.drop();
  const second = await back(scene, 1000);
  assert.equal(second.protocols[1], "voxwire.token.t3");
});

test("an API key goes into a header", async () => {
  const { socket } = await speaking(TEXT, {}, { apiKey: "k" });
  assert.deepEqual([socket.headers, socket.protocols], [{ Authorization: "Bearer k" }, ["voxwire.v1.json"]]);
});

test("the first connection is attempted once, and its error says why it failed", async () => {
  const server = new FakeServer();
  server.refusing = true;
  await assert.rejects(server.connect(), (error) => error instanceof ConnectionLost && error.closeCode === 1006);
  server.refusing = false;
  server.refusals.push([{ type: "error", code: "client.not_allowed", message: "no", retryable: false }, 4403]);
  await assert.rejects(server.connect(), { code: "client.not_allowed", closeCode: 4403 });
  server.readyFields = { limits: null };
  await assert.rejects(server.connect(), { code: "client.missing_field" });
  assert.equal(server.sockets.length, 3);
  assert.equal(server.clock.waiting, 0);
});

test("a server that sends no ready is given up after the timeout", async () => {
  const server = new FakeServer();
  server.ready = () => ({ type: "state", contexts: {} });
  await assert.rejects(server.connect(), /began with state/);
  server.WebSocket = class {
    protocol = "voxwire.v1.json";
    close() {}
  };
  const connecting = assert.rejects(server.connect({ timeoutMs: 3000 }), /does not answer/);
  await server.clock.pass(3000);
  await connecting;
});

test("delays grow, are drawn at random, and start again after success", () => {
  const most = new Backoff(() => 1);
  const bounds = Array.from({ length: 9 }, () => most.nextMs());
  assert.deepEqual(bounds, [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  assert.equal(most.nextMs(3000), 8000);
  assert.equal(most.nextMs(1e9), 65_000);
  most.succeeded();
  assert.equal(most.nextMs(), 50);
  assert.equal(new Backoff(() => 0).nextMs(), 0);
});

test("a server's address may leave out scheme and path", () => {
  assert.equal(streamUrl("http://h:1"), "ws://h:1/v1/stream");
  assert.equal(streamUrl("https://h/"), "wss://h/v1/stream");
  assert.equal(streamUrl("wss://h/prefix/v1/stream?a=b"), "wss://h/prefix/v1/stream?a=b");
  assert.throws(() => streamUrl("ftp://h"), TypeError);
  assert.throws(() => streamUrl("h:1"), TypeError);
});

test("a WebSocket that can't be created is a lost connection, also when reconnecting", async () => {
  let token = "fine";
  const server = new FakeServer();
  const { WebSocket } = server;
  server.WebSocket = class extends WebSocket {
    constructor(url, protocols) {
      if (protocols[1] === "voxwire.token.not fine") throw new SyntaxError("not a subprotocol");
      super(url, protocols);
    }
  };
  const session = await server.connect({ token: async () => token });
  token = "not fine";
  server.socket.drop();
  await server.clock.pass(1000);
  assert.ok(session.closed);
  const lost = await session.whenClosed();
  assert.deepEqual([lost.closeCode, lost.retryable, lost.cause.name], [1008, false, "SyntaxError"]);
  await assert.rejects(server.connect({ token }), ConnectionLost);
});
