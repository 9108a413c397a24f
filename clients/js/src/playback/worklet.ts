/** Owns playback on the audio thread: a ring buffer of samples, played in order, and reports of what was put out when.
 *
 * Loaded by its URL (`voxwire/worklet`), or as text by a Blob URL. It imports nothing, and all code is inside one
 * function, so that the function's text is a complete program, minified or not. Fields are declared, and set in
 * constructors: bundlers may turn initialised fields into calls of a helper, which would be outside of that text.
 */

/** Why the output plays or is silent: `stopped` and `ended` are final. */
export type Why = "playing" | "dry" | "held" | "stopped" | "ended";

/** From `frame` of the AudioContext on, the samples from number `at` on are put out; silence, unless `playing`. */
export interface Report {
  frame: number;
  at: number;
  playing: boolean;
  why: Why;
}

/** A message of the main thread to the audio thread. */
export type Command = { type: "samples"; samples: Float32Array } | { type: "end" | "hold" | "release" | "stop" };

export const PROCESSOR = "voxwire-player";

interface Port {
  onmessage: ((event: { data: Command }) => void) | null;
  postMessage(report: Report): void;
}

/** The part of an AudioWorkletGlobalScope that is used. */
export interface WorkletScope {
  currentFrame?: number;
  sampleRate?: number;
  AudioWorkletProcessor?: new () => { readonly port: Port };
  registerProcessor?: (name: string, processor: unknown) => void;
}

/** A ring buffer of at most `capacity` samples. */
export interface Ring {
  readonly capacity: number;
  readonly size: number;
  /** Appends what fits; returns how many samples did. */
  write(samples: Float32Array): number;
  /** Takes up to `count` samples into `out` from `offset` on; returns how many there were. */
  read(out: Float32Array, offset: number, count: number): number;
  clear(): void;
}

/** Plays the samples of a ring. The caller calls `render` for each block of output, and `receive` for each command. */
export interface RingPlayer {
  readonly ring: Ring;
  /** Samples put out so far. */
  readonly at: number;
  readonly over: boolean;
  /** Executes a command; `frame` is the first frame that is not rendered yet. */
  receive(command: Command, frame: number): void;
  /** Adds to a block of silent output whose first frame is `frame` of the AudioContext. */
  render(out: Float32Array, frame: number): void;
}

export interface WorkletParts {
  SampleRing: new (capacity: number) => Ring;
  Player: new (rate: number, report: (report: Report) => void) => RingPlayer;
}

/** Defines the ring and the player, and registers the processor where there is an audio thread to register it with. */
export function workletProgram(scope: WorkletScope): WorkletParts {
  const FADE_SECONDS = 0.005;
  const CAPACITY_SECONDS = 2;
  const REPORT_SECONDS = 0.02;
  const TAIL_DECAY = 0.92;
  const TAIL_SILENT = 1e-4;

  class SampleRing implements Ring {
    declare readonly capacity: number;
    declare size: number;
    declare private readonly data: Float32Array;
    declare private head: number;

    constructor(capacity: number) {
      this.capacity = capacity;
      this.data = new Float32Array(capacity);
      this.size = 0;
      this.head = 0;
    }

    write(samples: Float32Array): number {
      const count = Math.min(samples.length, this.capacity - this.size);
      const start = (this.head + this.size) % this.capacity;
      const first = Math.min(count, this.capacity - start);
      this.data.set(samples.subarray(0, first), start);
      this.data.set(samples.subarray(first, count), 0);
      this.size += count;
      return count;
    }

    read(out: Float32Array, offset: number, count: number): number {
      const taken = Math.min(count, this.size);
      const first = Math.min(taken, this.capacity - this.head);
      out.set(this.data.subarray(this.head, this.head + first), offset);
      out.set(this.data.subarray(0, taken - first), offset + first);
      this.head = (this.head + taken) % this.capacity;
      this.size -= taken;
      return taken;
    }

    clear(): void {
      this.size = 0;
    }
  }

  class Player implements RingPlayer {
    declare readonly ring: SampleRing;
    declare at: number;
    declare over: boolean;
    declare private readonly report: (report: Report) => void;
    declare private readonly step: number;
    declare private readonly reportFrames: number;
    declare private targetGain: number;
    declare private gain: number;
    declare private paused: "held" | "stopped" | null;
    declare private ending: boolean;
    declare private playing: boolean;
    declare private last: number;
    declare private unreported: number;

    constructor(rate: number, report: (report: Report) => void) {
      this.at = 0;
      this.over = this.ending = this.playing = false;
      this.targetGain = this.gain = 1;
      this.paused = null;
      this.last = this.unreported = 0;
      this.ring = new SampleRing(Math.ceil(rate * CAPACITY_SECONDS));
      this.step = 1 / Math.max(1, Math.round(rate * FADE_SECONDS));
      this.reportFrames = Math.round(rate * REPORT_SECONDS);
      this.report = report;
    }

    receive(command: Command, frame: number): void {
      if (this.over) return;
      switch (command.type) {
        case "samples":
          if (this.paused !== "stopped") this.ring.write(command.samples);
          break;
        case "end":
          this.ending = true;
          if (!this.playing && this.ring.size === 0 && this.paused === null) this.reportSilence(frame, "ended");
          break;
        case "release":
          if (this.paused !== "held") return;
          this.paused = null;
          this.targetGain = 1;
          if (this.ending && !this.playing && this.ring.size === 0) this.reportSilence(frame, "ended");
          break;
        case "hold":
        case "stop":
          this.pause(command.type === "hold" ? "held" : "stopped", frame);
      }
    }

    render(out: Float32Array, frame: number): void {
      if (this.over) return;
      const wanted = this.gain === 0 && this.targetGain === 0 ? 0 : out.length;
      if (wanted > 0 && this.ring.size > 0 && !this.playing) this.start(frame);
      const before = this.at;
      const taken = this.playing ? this.take(out, wanted) : 0;
      if (taken > 0) this.last = out[taken - 1] ?? 0;
      if (taken < out.length) this.decay(out, taken);
      if (!this.playing) return;
      if (taken < out.length) this.reportSilence(frame + taken, this.silenceReason());
      else this.reportProgress(frame + taken, this.at - before);
    }

    private pause(why: "held" | "stopped", frame: number): void {
      if (this.paused === "stopped") return;
      this.paused = why;
      this.targetGain = 0;
      if (!this.playing) {
        this.gain = 0;
        this.reportSilence(frame, why);
      }
    }

    private take(out: Float32Array, wanted: number): number {
      const taken = this.gain === this.targetGain ? this.ring.read(out, 0, wanted) : this.fade(out, wanted);
      this.at += taken;
      return taken;
    }

    /** Moves the gain towards its target, sample by sample, until it is zero or no samples are left. */
    private fade(out: Float32Array, wanted: number): number {
      let taken = 0;
      while (taken < wanted && !(this.targetGain === 0 && this.gain === 0)) {
        if (this.ring.read(out, taken, 1) === 0) {
          if (this.targetGain === 0) this.gain = 0;
          break;
        }
        if (this.targetGain !== this.gain) this.gain += this.targetGain > this.gain ? this.step : -this.step;
        if (Math.abs(this.gain - this.targetGain) < this.step / 2) this.gain = this.targetGain;
        out[taken] = (out[taken] ?? 0) * this.gain;
        taken += 1;
      }
      return taken;
    }

    /** Lets the last sample decay: audio that breaks off in the middle of a wave would click. */
    private decay(out: Float32Array, from: number): void {
      for (let i = from; i < out.length && Math.abs(this.last) > TAIL_SILENT; i += 1) {
        this.last *= TAIL_DECAY;
        out[i] = this.last;
      }
    }

    private silenceReason(): Why {
      if (this.paused !== null) return this.paused;
      return this.ending ? "ended" : "dry";
    }

    private start(frame: number): void {
      this.playing = true;
      this.unreported = 0;
      this.report({ frame, at: this.at, playing: true, why: "playing" });
    }

    private reportProgress(frame: number, count: number): void {
      this.unreported += count;
      if (this.unreported < this.reportFrames) return;
      this.unreported = 0;
      this.report({ frame, at: this.at, playing: true, why: "playing" });
    }

    private reportSilence(frame: number, why: Why): void {
      this.playing = false;
      if (why === "stopped") this.ring.clear();
      this.over = why === "stopped" || why === "ended";
      this.report({ frame, at: this.at, playing: false, why });
    }
  }

  const Base = scope.AudioWorkletProcessor;
  if (Base !== undefined && scope.registerProcessor !== undefined) {
    class Processor extends Base {
      declare private readonly player: Player;

      constructor() {
        super();
        this.player = new Player(scope.sampleRate ?? 48000, (report) => this.port.postMessage(report));
        this.port.onmessage = (event) => this.player.receive(event.data, scope.currentFrame ?? 0);
      }

      process(_inputs: unknown, outputs: Float32Array[][]): boolean {
        const out = outputs[0]?.[0];
        if (out !== undefined) this.player.render(out, scope.currentFrame ?? 0);
        return !this.player.over;
      }
    }
    scope.registerProcessor("voxwire-player", Processor);
  }
  return { SampleRing, Player };
}

if ("registerProcessor" in globalThis) workletProgram(globalThis as WorkletScope);
