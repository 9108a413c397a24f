/** Owns the output without an AudioWorklet, for pages that are no secure context: schedules buffers one by one. */

import { Output } from "./output.js";
import type { Why } from "./worklet.js";

const FADE_SECONDS = 0.005;
/** The lead of every change: what is already rendered can't be changed, and a source that starts late is shifted. */
const MARGIN_SECONDS = 0.04;

interface Piece {
  readonly samples: Float32Array;
  readonly frame: number;
  /** The position of its first sample. */
  readonly at: number;
  readonly source: AudioBufferSourceNode;
}

/** Plays AudioBufferSourceNodes, each starting at the frame at which the one before ends. */
export class BufferOutput extends Output {
  readonly kind = "buffers";
  private readonly gain: GainNode;
  private pieces: Piece[] = [];
  /** The frame after the last piece. */
  private nextFrame = 0;
  private paused: "held" | "stopped" | null = null;
  /** Samples to play after `release`. */
  private heldSamples: Float32Array[] = [];
  private ending = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(context: AudioContext, destination: AudioNode) {
    super(context);
    this.gain = context.createGain();
    this.gain.connect(destination);
  }

  write(samples: Float32Array): void {
    if (this.paused === "stopped" || samples.length === 0) return;
    this.written += samples.length;
    if (this.paused === "held") this.heldSamples.push(samples);
    else this.schedule(samples, this.written - samples.length);
  }

  end(): void {
    this.ending = true;
    this.watch();
  }

  hold(): void {
    if (this.paused === null) this.cut("held");
  }

  stop(): void {
    if (this.paused !== "stopped") this.cut("stopped");
  }

  release(): void {
    if (this.paused !== "held") return;
    this.paused = null;
    const heldSamples = this.heldSamples;
    this.heldSamples = [];
    let at = this.latest.at;
    this.gain.gain.cancelScheduledValues(0);
    this.gain.gain.setValueAtTime(1, this.context.currentTime ?? 0);
    for (const samples of heldSamples) {
      this.schedule(samples, at);
      at += samples.length;
    }
    this.watch();
  }

  close(): void {
    clearTimeout(this.timer);
    // A fade that is under way has to end, or it would click. The margin is there as timers and audio have two clocks.
    const leftMs = Math.max(0, (this.nextFrame - this.frame) / this.rate + MARGIN_SECONDS) * 1000;
    setTimeout(() => {
      for (const piece of this.pieces) piece.source.disconnect();
      this.pieces = [];
      this.gain.disconnect();
    }, leftMs);
  }

  private get frame(): number {
    return Math.round((this.context.currentTime ?? 0) * this.rate);
  }

  private schedule(samples: Float32Array, at: number): void {
    const dry = this.nextFrame <= this.frame;
    if (dry) this.nextFrame = this.frame + Math.ceil(MARGIN_SECONDS * this.rate);
    const buffer = this.context.createBuffer(1, samples.length, this.rate);
    buffer.copyToChannel(samples as Float32Array<ArrayBuffer>, 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.gain);
    source.start(this.nextFrame / this.rate);
    this.pieces.push({ samples, frame: this.nextFrame, at, source });
    if (dry) this.onNewReport({ frame: this.nextFrame, at, playing: true, why: "playing" });
    this.nextFrame += samples.length;
    this.watch();
  }

  /** Fades out, cancels scheduled pieces, and reports the position at which the output falls silent. */
  private cut(why: "held" | "stopped"): void {
    this.paused = why;
    const now = this.frame;
    const until = now + Math.ceil(MARGIN_SECONDS * this.rate);
    this.gain.gain.cancelScheduledValues(0);
    this.gain.gain.setValueAtTime(1, (until - Math.ceil(FADE_SECONDS * this.rate)) / this.rate);
    this.gain.gain.linearRampToValueAtTime(0, until / this.rate);
    const rest = this.pieces.filter((piece) => piece.frame + piece.samples.length > until);
    for (const piece of rest) piece.source.stop(Math.max(piece.frame, until) / this.rate);
    if (why === "held") {
      this.heldSamples = rest.map((piece) => piece.samples.subarray(Math.max(0, until - piece.frame)));
    }
    const at = this.positionAt(until);
    const frame = Math.min(until, Math.max(now, this.nextFrame));
    this.pieces = this.pieces.filter((piece) => piece.frame < until);
    this.nextFrame = frame;
    clearTimeout(this.timer);
    this.onNewReport({ frame, at, playing: false, why });
  }

  private positionAt(frame: number): number {
    const piece = this.pieces.find((each) => frame < each.frame + each.samples.length);
    return piece === undefined ? this.written : piece.at + Math.max(0, frame - piece.frame);
  }

  /** Reports what is played; runs every 20 ms while there are pieces. */
  private watch(): void {
    clearTimeout(this.timer);
    if (this.paused !== null) return;
    const now = this.frame;
    this.pieces = this.pieces.filter((piece) => {
      const over = piece.frame + piece.samples.length <= now;
      if (over) piece.source.disconnect();
      return !over;
    });
    if (this.pieces.length === 0) {
      if (this.latest.playing || this.ending) this.reportSilence(this.ending ? "ended" : "dry");
      return;
    }
    const [first] = this.pieces;
    if (first !== undefined && first.frame <= now) {
      this.onNewReport({ frame: now, at: first.at + now - first.frame, playing: true, why: "playing" });
    }
    this.timer = setTimeout(() => this.watch(), 20);
  }

  private reportSilence(why: Why): void {
    this.onNewReport({ frame: this.nextFrame, at: this.written, playing: false, why });
  }
}
