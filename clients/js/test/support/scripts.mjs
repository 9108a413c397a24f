/**
 * Plays the client's part of the golden vectors that are scripts: `node scripts.mjs URL FILE…`, against a server that
 * plays the other part. Prints a JSON list of what was made of each script.
 */

import { readFileSync } from "node:fs";
import { connect } from "../../dist/index.js";

const MS_MAX = 8000;
const SERVERS = new Set(["connect", "say", "come", "frames", "drop", "pause"]);

/** Reads the events of one context, and keeps them as the vectors have them. */
class Listener {
  got = { audio: [], clauses: [], words: [], flushed: [], dropped: [], reconnected: [], anew: [], done: [] };
  error = null;
  #changed = () => undefined;

  constructor(context) {
    this.context = context;
    this.over = this.#read();
  }

  async #read() {
    try {
      for await (const event of this.context) {
        this.#take(event);
        this.#changed();
      }
    } catch (error) {
      this.error = error;
      this.#changed();
    }
  }

  #take(event) {
    const { got } = this;
    if (event.type === "audio") got.audio.push([event.seq, event.pts, event.payload[0] + 256 * event.payload[1]]);
    if (event.type === "clause") got.clauses.push([...event.chars, event.pts]);
    if (event.type === "timing") {
      for (const { text, chars, pts, end_pts } of event.words ?? []) got.words.push([text, ...chars, pts, end_pts]);
    }
    if (event.type === "flushed") got.flushed.push([event.id ?? null, event.seq ?? null]);
    if (event.type === "done") got.done = [event.reason, event.frames, event.samples, event.chars];
    if (event.type === "interrupted") got.dropped.push(event.code);
    if (event.type === "reconnected") this.#reconnected(event);
  }

  #reconnected({ resumed, pts, chars }) {
    const { got } = this;
    got.reconnected.push(resumed);
    if (pts === undefined) return;
    got.anew.push([pts, chars]);
    got.clauses = got.clauses.filter((clause) => clause[2] < pts);
    got.words = got.words.filter((word) => word[3] < pts);
  }

  async wait(kind, count) {
    while (this.got[kind].length < count) {
      if (this.error !== null) throw this.error;
      await new Promise((resolve) => (this.#changed = resolve));
    }
  }
}

class Player {
  listeners = new Map();
  reports = [];
  cancels = [];
  #session;

  constructor(session) {
    this.#session = session;
  }

  listener(name) {
    if (!this.listeners.has(name)) {
      this.listeners.set(name, new Listener(this.#session.context({ context: name })));
    }
    return this.listeners.get(name);
  }

  async play(step) {
    const listener = this.listener(step.context);
    const { context } = listener;
    if (step.step === "write") await context.text(step.text);
    if (step.step === "flush") await context.flush(step.id);
    if (step.step === "end") await context.end();
    if (step.step === "wait") await listener.wait(step.kind, step.count);
    if (step.step === "retract") {
      const left = await context.retract(step.from_char);
      if (left !== step.left) throw new Error(`${left} characters are left`);
    }
    if (step.step === "report") this.reports.push({ heard: context.heard(step.played_pts), text: context.textSoFar });
    if (step.step === "cancel") {
      const { heard, unheard } = await context.cancel({ playedPts: step.played_pts });
      this.cancels.push({ heard, unheard });
    }
  }

  async finish(script) {
    for (const [name, got] of Object.entries(script.listeners)) {
      if (got.done !== undefined) await this.listener(name).wait("done", 1);
    }
  }
}

async function answer(url, script) {
  const session = await connect(url);
  const player = new Player(session);
  let error = null;
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error("it takes too long")), MS_MAX).unref());
  const all = async () => {
    for (const step of script.steps) if (!SERVERS.has(step.step)) await player.play(step);
    await player.finish(script);
  };
  try {
    await Promise.race([all(), late]);
  } catch (problem) {
    error = String(problem);
  }
  await session.close();
  const listeners = Object.fromEntries([...player.listeners].map(([name, { got }]) => [name, got]));
  return { listeners, reports: player.reports, cancels: player.cancels, error };
}

const [url, ...files] = process.argv.slice(2);
const answers = [];
for (const script of files.flatMap((file) => JSON.parse(readFileSync(file, "utf-8")))) {
  answers.push(await answer(`${url}?case=${answers.length}`, script));
}
process.stdout.write(`${JSON.stringify(answers)}\n`);
