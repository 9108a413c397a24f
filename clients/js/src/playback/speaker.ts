/** Owns the page's loudspeaker: one AudioContext, and a queue of playbacks. */

import { BufferOutput } from "./buffer-output.js";
import type { OpusChoice } from "./decoder.js";
import { Emitter } from "./emitter.js";
import { JitterBufferTarget } from "./jitter-buffer-target.js";
import { type Output, WorkletOutput } from "./output.js";
import { Playback, type PlaybackSource } from "./playback.js";
import { workletProgram } from "./worklet.js";

const BUFFER_MS_MAX = 500;

/** How to play; all options can be left out. */
export interface SpeakerOptions {
  /** An AudioContext of the page, which stays open when the speaker is closed. */
  readonly audioContext?: AudioContext;
  /** The rate of the speaker's own AudioContext; audio of that rate is played bit for bit. The device's by default. */
  readonly sampleRate?: number;
  /** The URL of `voxwire/worklet`, needed if the page's content security policy forbids Blob URLs. */
  readonly workletUrl?: string;
  readonly opus?: OpusChoice;
  /** `buffers`: without AudioWorklet even where there is one. */
  readonly player?: "auto" | "buffers";
  /** The most audio to gather before playing, in milliseconds, reached after many underruns; 500 by default. */
  readonly bufferMsMax?: number;
}

/** The events of a speaker, by name. */
export interface SpeakerEvents {
  /** The AudioContext's new state; in `interrupted` (on phones, by a call) and `suspended` playback pauses. */
  state: AudioContextState | "interrupted";
}

/** A loudspeaker for utterances, which are played one after another. */
export class Speaker extends Emitter<SpeakerEvents> {
  readonly audioContext: AudioContext;
  /** The kind of output: an AudioWorklet, or scheduled buffers where the page has none. */
  readonly player: "worklet" | "buffers";
  /** All audio passes through this node: for a volume, a meter, another destination. */
  readonly volume: GainNode;
  private readonly options: SpeakerOptions;
  private readonly jitter: JitterBufferTarget;
  private readonly active = new Set<Playback>();
  /** Resolves when every playback so far is over. */
  private lastOver: Promise<void> = Promise.resolve();
  /** Whether `resume` was called. */
  private resumed = false;
  /** Removes the listeners on `close`. */
  private readonly closeController = new AbortController();

  /** Creates a speaker. Call it, or `resume`, in a user's gesture: browsers keep a page silent until then. */
  static async create(options: SpeakerOptions = {}): Promise<Speaker> {
    const rate = options.sampleRate === undefined ? {} : { sampleRate: options.sampleRate };
    const context = options.audioContext ?? new AudioContext({ latencyHint: "interactive", ...rate });
    const worklet = options.player !== "buffers" && (await addProcessor(context, options.workletUrl));
    return new Speaker(context, worklet ? "worklet" : "buffers", options);
  }

  private constructor(context: AudioContext, player: "worklet" | "buffers", options: SpeakerOptions) {
    super();
    [this.audioContext, this.player, this.options] = [context, player, options];
    this.jitter = new JitterBufferTarget(options.bufferMsMax ?? BUFFER_MS_MAX);
    this.volume = context.createGain();
    this.volume.connect(context.destination);
    const { signal } = this.closeController;
    context.addEventListener("statechange", () => this.emit("state", context.state), { signal });
    document.addEventListener("visibilitychange", () => this.resumeIfVisible(), { signal });
  }

  /** Starts the AudioContext. Browsers may require that this is called in a user's gesture. */
  async resume(): Promise<void> {
    this.resumed = true;
    await this.audioContext.resume();
  }

  /** Plays an utterance, after those that are playing or queued. */
  play(source: PlaybackSource): Playback {
    const openOutput = (): Output => this.openOutput();
    const { jitter, lastOver } = this;
    const opus = this.options.opus ?? "auto";
    const playback = new Playback(source, { openOutput, jitter, opus, previousOver: lastOver });
    this.active.add(playback);
    const over = playback.finished.then(
      () => undefined,
      () => undefined,
    );
    this.lastOver = lastOver.then(() => over);
    void over.then(() => this.active.delete(playback));
    // Succeeds without a gesture if the browser already lets the page play audio.
    if (this.audioContext.state !== "running") void this.resume().catch(() => undefined);
    return playback;
  }

  /** Interrupts all playbacks, and closes the AudioContext if it is the speaker's own. */
  async close(): Promise<void> {
    this.closeController.abort();
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

  /** Resumes after a phone call, which suspends the AudioContext; browsers do not resume it by themselves. */
  private resumeIfVisible(): void {
    const suspended = this.audioContext.state !== "running" && this.audioContext.state !== "closed";
    if (this.resumed && suspended && document.visibilityState === "visible") {
      void this.audioContext.resume().catch(() => undefined);
    }
  }
}

/** Whether a context has the processor. It can be registered only once in a context, which speakers may share. */
const processors = new WeakMap<BaseAudioContext, Promise<boolean>>();

/** Loads the processor into the context; false if the context can't have one.
 *
 * Rejects if `url` is given and can't be loaded.
 */
function addProcessor(context: AudioContext, url: string | undefined): Promise<boolean> {
  const added = processors.get(context) ?? loadProcessor(context, url);
  processors.set(context, added);
  return added;
}

async function loadProcessor(context: AudioContext, url: string | undefined): Promise<boolean> {
  // Pages over plain http from another host are no secure context, and have no AudioWorklet.
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
    // The page's content security policy may forbid Blob URLs: the speaker then schedules buffers.
    return false;
  } finally {
    URL.revokeObjectURL(blobUrl);
  }
}
