/** Tests the client with a real server at VOXWIRE_URL that has the voices `heart` and `tone-low`. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, ConnectionLost, MouthTrack, VoxwireError } from "../dist/index.js";

const URL = process.env.VOXWIRE_URL;
const skip = URL === undefined ? "needs a server: VOXWIRE_URL" : false;
const TEXT = "Hello there. This is the second sentence, and it is a bit longer than the first one was.";

async function* tokens(text, size = 4) {
  for (let at = 0; at < text.length; at += size) {
    yield text.slice(at, at + size);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function inSession(action, options = {}) {
  const session = await connect(URL, options);
  try {
    return await action(session);
  } finally {
    await session.close();
  }
}

async function collect(source) {
  const events = [];
  for await (const event of source) events.push(event);
  return events;
}

const audioOf = (events) => events.filter((event) => event.type === "audio");

for (const encoding of ["json", "msgpack"]) {
  test(`tokens go in and frames come out in ${encoding}`, { skip }, () =>
    inSession(async (session) => {
      const events = await collect(session.speak(tokens(TEXT), { voice: "tone-low", pacing: "burst" }));
      const audio = audioOf(events);
      assert.equal(events[0].type, "started");
      assert.equal(events.at(-1).type, "done");
      assert.deepEqual(audio.map((event) => event.seq), audio.map((_, index) => index));
      assert.equal(events.at(-1).frames, audio.length);
      assert.ok(audio[0].first && audio.at(-1).last);
      const words = events.flatMap((event) => (event.type === "timing" ? event.words ?? [] : []));
      assert.deepEqual(words.map((word) => word.text), TEXT.split(" "));
    }, { encoding }),
  );
}

const CODECS = [
  [{ codec: "pcm_s16le", sampleRate: 48000, frameMs: 10 }, 480, 960],
  [{ codec: "pcm_s16le", sampleRate: 8000 }, 160, 320],
  [{ codec: "mulaw" }, 160, 160],
  [{ codec: "alaw", frameMs: 40 }, 320, 320],
  [{ codec: "opus", sampleRate: 48000, bitrate: 24000 }, 960, null],
];

for (const [options, frameSamples, bytes] of CODECS) {
  test(`${options.codec} at ${options.sampleRate ?? 8000} Hz arrives`, { skip }, () =>
    inSession(async (session) => {
      const utterance = session.speak("Hello there.", { voice: "tone-low", pacing: "burst", ...options });
      const audio = audioOf(await collect(utterance));
      assert.equal(utterance.started.audio.codec, options.codec);
      assert.equal(audio.length, utterance.done.frames);
      for (const frame of audio) {
        assert.equal(frame.frameSamples, frameSamples);
        assert.equal(frame.pts, frame.seq * frameSamples);
        if (bytes !== null) assert.equal(frame.payload.byteLength, bytes);
        else assert.ok(frame.payload.byteLength > 0 && frame.payload.byteLength < 400);
      }
    }),
  );
}

test("PCM can be read in place", { skip }, () =>
  inSession(async (session) => {
    const audio = audioOf(await collect(session.speak("Hello.", { voice: "tone-low", pacing: "burst" })));
    const { buffer, byteOffset, byteLength } = audio[3].payload;
    assert.ok(new Int16Array(buffer, byteOffset, byteLength / 2).some((sample) => sample !== 0));
  }, { encoding: "msgpack" }),
);

test("many utterances share a connection", { skip }, () =>
  inSession(async (session) => {
    const speak = (text) => collect(session.speak(text, { voice: "tone-low", pacing: "burst" }));
    const all = [await speak("One after another."), ...(await Promise.all([1, 2, 3, 4].map((n) => speak(`At once, ${n}.`))))];
    assert.deepEqual(all.map((events) => events.at(-1).reason), Array(5).fill("completed"));
  }),
);

test("barge-in returns what was heard, and the session stays usable", { skip }, () =>
  inSession(async (session) => {
    const text = `🎉 ${TEXT}`;
    const utterance = session.speak(text, { voice: "tone-low" });
    let report = null;
    let after = 0;
    for await (const event of utterance) {
      if (event.type !== "audio") continue;
      if (report !== null) after++;
      else if (event.seq === 44) report = utterance.cancel({ playedPts: 13 * 1440 });
    }
    const { heard, unheard } = await report;
    assert.equal(heard.text, "🎉 Hello there.");
    assert.equal(heard.chars, 14);
    assert.equal(heard.text + unheard.text, text);
    assert.equal(after, 0);
    const again = await collect(session.speak("Yes.", { voice: "tone-low", pacing: "burst" }));
    assert.equal(again.at(-1).reason, "completed");
  }),
);

test("leaving the loop cancels the utterance at the server", { skip }, () =>
  inSession(async (session) => {
    for await (const event of session.speak(TEXT.repeat(3), { voice: "tone-low", context: "left" })) {
      if (event.type === "audio") break;
    }
    // The name is free as soon as the server has sent `done`.
    const next = await collect(session.speak("And on.", { voice: "tone-low", context: "left", pacing: "burst" }));
    assert.equal(next.at(-1).reason, "completed");
  }),
);

test("hold and release lose nothing", { skip }, () =>
  inSession(async (session) => {
    const utterance = session.speak(TEXT, { voice: "tone-low" });
    const seqs = [];
    for await (const event of utterance) {
      if (event.type !== "audio") continue;
      seqs.push(event.seq);
      if (seqs.length !== 5) continue;
      utterance.hold();
      await session.ping();
      assert.equal(session.states[utterance.context] ?? "held", "held");
      utterance.release();
    }
    assert.deepEqual(seqs, Array.from({ length: utterance.done.frames }, (_, seq) => seq));
  }),
);

test("a context's text is flushed, retracted and ended", { skip }, () =>
  inSession(async (session) => {
    const context = session.context({ voice: "tone-low", pacing: "burst" });
    await context.text("Hello \ud83c");
    await context.text("\udf89 there.", { flush: true });
    await context.text("And bye");
    const left = await context.retract(14 + 4);
    await context.flush("last");
    await context.end();
    const events = await collect(context);
    assert.deepEqual(events.filter((event) => event.type === "flushed").map((event) => event.id), [undefined, "last"]);
    assert.ok(left >= 18 && left <= 21, `${left}`);
    assert.equal(context.textSoFar, [..."Hello 🎉 there.And bye"].slice(0, left).join(""));
    assert.equal(events.at(-1).chars, left);
  }),
);

test("viseme weights come with the audio, add up to one, and end closed", { skip }, () =>
  inSession(async (session) => {
    const track = new MouthTrack();
    const utterance = session.speak("Paper boat.", { voice: "heart", timings: ["viseme"], pacing: "burst" });
    for await (const event of utterance) if (event.type === "timing") track.add(event);
    const { samples } = utterance.done;
    let closed = 0;
    for (let pts = 0; pts <= samples; pts += 240) {
      const weights = track.weights(pts);
      assert.ok(Math.abs(weights.reduce((sum, weight) => sum + weight, 0) - 1) < 0.01, `at ${pts}`);
      if (weights[1] > 0.99) closed++;
    }
    assert.ok(closed > 0, "the lips never meet");
    assert.ok(track.weights(samples)[0] > 0.99);
  }),
);

test("errors are those of the tree", { skip }, () =>
  inSession(async (session) => {
    await assert.rejects(collect(session.speak(TEXT, { voice: "nobody" })), (error) => {
      assert.ok(error instanceof VoxwireError);
      assert.equal(error.code, "client.unknown_voice");
      assert.ok(error.details.voices.includes("heart"));
      return error.hint !== "" && !error.retryable;
    });
    await assert.rejects(collect(session.speak(TEXT, { sampleRate: 12345 })), { code: "client.unsupported_audio" });
  }),
);

test("no server is a lost connection", { skip }, async () => {
  await assert.rejects(connect("ws://127.0.0.1:9"), (error) => error instanceof ConnectionLost && error.retryable);
});
