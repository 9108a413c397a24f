/** The page's loudspeaker: one AudioContext, and the playbacks that take turns on it. */

import { BufferOutput } from "./buffer-output.js";
import type { OpusChoice } from "./decoder.js";
import { Emitter } from "./emitter.js";
import { JitterBuffer } from "./jitter.js";
import { type Output, WorkletOutput } from "./output.js";
import { Playback, type PlaybackSource } from "./playback.js";
import { workletProgram } from "./worklet.js";

const BUFFER_MS_MAX = 500;

export interface SpeakerOptions {
  /** One of the page's own; it stays open when the speaker is closed. */
  readonly audioContext?: AudioContext;
  /** The rate of the speaker's own AudioContext; audio of that rate is played bit for bit. Left out: the device's. */
  readonly sampleRate?: number;
  /** Where the page serves `voxwire/worklet`, if its content security policy forbids Blob URLs. */
  readonly workletUrl?: string;
  readonly opus?: OpusChoice;
  /** `buffers` does without an AudioWorklet even where there is one. */
  readonly player?: "auto" | "buffers";
  /** The most that is gathered before playing, after many underruns; the server's lead is a good value. */
  readonly bufferMsMax?: number;
}

export interface SpeakerEvents {
  /** The AudioContext's state changed: `interrupted` (by a call, on phones) and `suspended` stop the clock. */
  state: AudioContextState | "interrupted";
}

export class Speaker extends Emitter<SpeakerEvents> {
  readonly audioContext: AudioContext;
  /** What plays: an AudioWorklet, or scheduled buffers where the page has none. */
  readonly player: "worklet" | "buffers";
  /** Everything passes through it: for a volume, a meter, another destination. */
  readonly volume: GainNode;
  private readonly options: SpeakerOptions;
  private readonly jitter: JitterBuffer;
  private readonly active = new Set<Playback>();
  private turn: Promise<void> = Promise.resolve();
  private wanted = false;
  private readonly ends = new AbortController();

  /** Makes a speaker. Call it, or `resume`, from a user's gesture: browsers keep a page silent until then. */
  static async create(options: SpeakerOptions = {}): Promise<Speaker> {
    const rate = options.sampleRate === undefined ? {} : { sampleRate: options.sampleRate };
    const context = options.audioContext ?? new AudioContext({ latencyHint: "interactive", ...rate });
    const worklet = options.player !== "buffers" && (await addProcessor(context, options.workletUrl));
    return new Speaker(context, worklet ? "worklet" : "buffers", options);
  }

  private constructor(context: AudioContext, player: "worklet" | "buffers", options: SpeakerOptions) {
    super();
    [this.audioContext, this.player, this.options] = [context, player, options];
    this.jitter = new JitterBuffer(options.bufferMsMax ?? BUFFER_MS_MAX);
    this.volume = context.createGain();
    this.volume.connect(context.destination);
    const { signal } = this.ends;
    context.addEventListener("statechange", () => this.emit("state", context.state), { signal });
    document.addEventListener("visibilitychange", () => this.comeBack(), { signal });
  }

  /** Lets the page be heard; from a user's gesture, where the browser wants one. */
  async resume(): Promise<void> {
    this.wanted = true;
    await this.audioContext.resume();
  }

  /** Plays an utterance, after those that are being played. */
  play(source: PlaybackSource): Playback {
    const openOutput = (): Output => this.openOutput();
    const { jitter, turn } = this;
    const playback = new Playback(source, { openOutput, jitter, opus: this.options.opus ?? "auto", turn });
    this.active.add(playback);
    const over = playback.finished.then(
      () => undefined,
      () => undefined,
    );
    this.turn = turn.then(() => over);
    void over.then(() => this.active.delete(playback));
    // A page that may be heard already need not ask.
    if (this.audioContext.state !== "running") void this.resume().catch(() => undefined);
    return playback;
  }

  /** Interrupts everything, and closes the AudioContext if it is the speaker's own. */
  async close(): Promise<void> {
    this.ends.abort();
    const all = [...this.active];
    for (const playback of all) playback.close();
    await Promise.all(all.map((playback) => playback.finished.catch(() => undefined)));
    this.volume.disconnect();
    if (this.options.audioContext === undefined) await this.audioContext.close();
  }

  private openOutput(): Output {
    return this.player === "worklet"
      ? new WorkletOutput(this.audioContext, this.volume)
      : new BufferOutput(this.audioContext, this.volume);
  }

  /** A phone call takes the sound away; browsers do not give it back by themselves. */
  private comeBack(): void {
    const silenced = this.audioContext.state !== "running" && this.audioContext.state !== "closed";
    if (this.wanted && silenced && document.visibilityState === "visible") {
      void this.audioContext.resume().catch(() => undefined);
    }
  }
}

/** A processor can be registered in a context once only, however many speakers share it. */
const prepared = new WeakMap<BaseAudioContext, Promise<boolean>>();

/** Whether the context can play by an AudioWorklet.
 *
 * Rejects where a URL was given that can't be loaded.
 */
function addProcessor(context: AudioContext, url: string | undefined): Promise<boolean> {
  const known = prepared.get(context) ?? loadProcessor(context, url);
  prepared.set(context, known);
  return known;
}

async function loadProcessor(context: AudioContext, url: string | undefined): Promise<boolean> {
  // Pages over plain http from another host have no secure context, and no AudioWorklet.
  if ((context.audioWorklet as AudioWorklet | undefined) === undefined) return false;
  if (url !== undefined) {
    await context.audioWorklet.addModule(url);
    return true;
  }
  const program = new Blob([`(${workletProgram.toString()})(globalThis)`], { type: "text/javascript" });
  const blobUrl = URL.createObjectURL(program);
  try {
    await context.audioWorklet.addModule(blobUrl);
    return true;
  } catch {
    // A content security policy may forbid it: then buffers do.
    return false;
  } finally {
    URL.revokeObjectURL(blobUrl);
  }
}
