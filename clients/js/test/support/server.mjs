/** Owns a fake server without a network: a class of WebSockets whose other side is controlled by the test. */

import assert from "node:assert/strict";
import { connect } from "../../dist/index.js";
import { settle, VirtualClock } from "./clock.mjs";

export const FRAME_SAMPLES = 480;
export const LIMITS = {
  message_bytes_max: 1 << 20,
  contexts_max: 32,
  text_chars_max: 100,
  unspoken_chars_max: 200,
  context_chars_max: 100_000,
};

/** One audio frame as it is on the wire. */
export function frame(number, seq, { flags = 0, payload = new Uint8Array([seq & 0xff, 0]) } = {}) {
  const bytes = new Uint8Array(16 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 1);
  view.setUint8(1, flags);
  view.setUint16(2, number, true);
  view.setUint32(4, seq, true);
  view.setBigUint64(8, BigInt(seq * FRAME_SAMPLES), true);
  bytes.set(payload, 16);
  return bytes.buffer;
}

export class FakeServer {
  /** Every connection so far. */
  sockets = [];
  clock = new VirtualClock();
  /** Whether connections are refused, as if there were no server. */
  refusing = false;
  /** The answers to the next connections in place of `ready`: [error, close code]. */
  refusals = [];
  readyFields = {};

  constructor() {
    const server = this;
    this.WebSocket = class extends FakeSocket {
      constructor(url, protocols, init) {
        super(server, url, protocols, init);
      }
    };
  }

  /** The newest connection. */
  get socket() {
    return this.sockets.at(-1);
  }

  connect(options = {}) {
    return connect("ws://server.test", { WebSocket: this.WebSocket, clock: this.clock, ...options });
  }

  ready(number) {
    const facts = { session: `ses_${number}`, token: `tok_${number}`, heartbeat_ms: 5000, resume_window_ms: 30_000 };
    return { type: "ready", ...facts, limits: LIMITS, ...this.readyFields };
  }
}

class FakeSocket {
  binaryType = "blob";
  bufferedAmount = 0;
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;
  /** The client's messages, without pings and acks. */
  said = [];
  acks = [];
  pings = 0;
  closedWith = null;
  /** Whether pings are answered and texts accepted automatically. */
  polite = true;
  chars = {};

  constructor(server, url, protocols, init) {
    this.server = server;
    this.url = url;
    this.protocols = protocols;
    this.headers = init?.headers ?? {};
    this.protocol = protocols[0];
    this.number = server.sockets.push(this);
    queueMicrotask(() => this.#greet());
  }

  #greet() {
    if (this.server.refusing) return this.drop();
    this.onopen?.({});
    const refusal = this.server.refusals.shift();
    if (refusal === undefined) return this.say(this.server.ready(this.number));
    this.say(refusal[0]);
    this.drop(refusal[1]);
  }

  // -- the client's side --

  send(raw) {
    if (this.closedWith !== null) return;
    const message = JSON.parse(raw);
    if (message.type === "ack") return void this.acks.push(message);
    if (message.type === "ping") {
      this.pings++;
      if (this.polite) queueMicrotask(() => this.say({ type: "pong", t: message.t, server_ms: 0 }));
      return;
    }
    this.said.push(message);
    if (message.type === "text" && this.polite) this.accept(message);
  }

  close(code = 1005, reason = "") {
    if (this.closedWith !== null) return;
    this.closedWith = code;
    queueMicrotask(() => this.onclose?.({ code, reason }));
  }

  // -- the server's side --

  say(...messages) {
    for (const message of messages) this.onmessage?.({ data: JSON.stringify(message) });
  }

  frames(number, from, to, options) {
    for (let seq = from; seq < to; seq++) this.onmessage?.({ data: frame(number, seq, options) });
  }

  accept({ context, text, seq }) {
    this.chars[context] = (this.chars[context] ?? 0) + [...text].length;
    this.say({ type: "accepted", context, chars: this.chars[context], text_seq: seq });
  }

  /** Grants the newest `start`. */
  start(number = 0, audio = {}) {
    const { context } = this.said.findLast((message) => message.type === "start");
    const facts = { codec: "pcm_s16le", sample_rate: 24000, frame_ms: 20, frame_samples: FRAME_SAMPLES };
    this.say({ type: "started", context, number, voice: "heart", engine: "tone", audio: { ...facts, ...audio } });
    return context;
  }

  done(context, reason = "completed", { frames = 0, chars = this.chars[context] ?? 0 } = {}) {
    this.say({ type: "done", context, reason, frames, samples: frames * FRAME_SAMPLES, chars });
  }

  refuse(code, context, fields = {}) {
    const retryable = fields.retry_after_ms !== undefined;
    this.say({ type: "error", code, message: "as the test wants it", retryable, context, ...fields });
  }

  /** Closes the connection; 1006: without a close frame. */
  drop(code = 1006, reason = "") {
    if (this.closedWith !== null) return;
    this.closedWith = code;
    this.onclose?.({ code, reason });
  }

  /** The types of the client's messages. */
  get types() {
    return this.said.map((message) => message.type);
  }

  /** All text that the client sent, in order. */
  get text() {
    return this.said.filter((message) => message.type === "text").map((message) => message.text).join("");
  }
}

/** Advances the clock until the client has reconnected; returns the new socket. */
export async function back({ server }, ms = 200) {
  const before = server.sockets.length;
  await server.clock.pass(ms);
  assert.ok(server.sockets.length > before, "the client did not come back");
  return server.socket;
}

/** Reads the events of an utterance in the background: `events` so far, the `error` if it threw, `over` at the end. */
export function listen(source) {
  const heard = { events: [], error: null, over: false };
  heard.loop = (async () => {
    try {
      for await (const event of source) heard.events.push(event);
    } catch (error) {
      heard.error = error;
    }
    heard.over = true;
  })();
  heard.types = () => heard.events.map((event) => event.type);
  heard.seqs = () => heard.events.filter((event) => event.type === "audio").map((event) => event.seq);
  return heard;
}

/** A session with one utterance, whose `start` the server has granted. */
export async function speaking(text = "Hello, world.", options = {}, sessionOptions = {}) {
  const server = new FakeServer();
  const session = await server.connect(sessionOptions);
  const utterance = session.speak(text, options);
  const heard = listen(utterance);
  await settle();
  const context = server.socket.start();
  await settle();
  return { server, session, utterance, heard, context, socket: server.socket };
}
