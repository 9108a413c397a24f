/** Runs jobs from standard input, one line of JSON each, and prints what was received, to compare clients. */

import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { connect } from "../../dist/index.js";

// Delays between attempts are drawn from zero up: all of them zero, so that the server does not settle for half a text.
Math.random = () => 0;

async function speech(session, { text, options, cancelAt, playedPts, flushes }) {
  const hash = createHash("sha256");
  const said = { seqs: [], pts: [], words: [], visemes: [], flushed: [], came: [], error: null };
  const utterance = flushes === undefined ? session.speak(text, options) : written(session, flushes, options);
  try {
    for await (const event of utterance) {
      take(said, hash, event);
      if (event.type === "audio" && event.seq === cancelAt) said.report = utterance.cancel({ playedPts });
    }
  } catch (error) {
    said.error = { name: error.name, code: error.code, closeCode: error.closeCode, message: error.message };
  }
  return { ...said, report: (await said.report) ?? null, sha256: hash.digest("hex"), done: utterance.done };
}

function written(session, flushes, options) {
  const context = session.context(options);
  const write = async () => {
    for (const [text, id] of flushes) {
      await context.text(text);
      await context.flush(id);
    }
    await context.end();
  };
  // What goes wrong is thrown in the loop over the events, too.
  write().catch(() => undefined);
  return context;
}

function take(said, hash, event) {
  if (event.type === "audio") {
    said.seqs.push(event.seq);
    said.pts.push(event.pts);
    hash.update(event.payload);
    return;
  }
  said.came.push(event.type);
  if (event.type === "timing") {
    for (const { text, chars, pts, end_pts } of event.words ?? []) said.words.push([text, ...chars, pts, end_pts]);
    for (const { id, weight, pts } of event.visemes ?? []) said.visemes.push([id, weight, pts]);
  }
  if (event.type === "flushed") said.flushed.push([event.id ?? null, event.seq ?? null]);
  if (event.type !== "reconnected") return;
  (said.resumed ??= []).push(event.resumed);
  // Timings of what is spoken anew count no more.
  if (!event.resumed) said.words = said.words.filter(([, , , , end]) => end <= event.pts);
}

async function work({ url, connection = {}, token, speeches }) {
  let session;
  try {
    session = await connect(url, { ...connection, ...(token && { token: async () => token }) });
  } catch (error) {
    return { error: { name: error.name, code: error.code, closeCode: error.closeCode, message: error.message } };
  }
  try {
    const came = [];
    for (const each of speeches) came.push(await speech(session, each));
    return { error: null, speeches: came };
  } finally {
    await session.close();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await work(JSON.parse(line)))}\n`);
}
