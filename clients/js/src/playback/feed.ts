/** Carries audio frames to an output: gathers, decodes a little ahead, resamples, and counts every sample. */

import { createDecoder, PlaybackError } from "./decoder.js";
import type { AudioFormat, Decoder, DecoderKind, OpusChoice } from "./decoder.js";
import type { JitterBuffer } from "./jitter.js";
import type { Output } from "./output.js";
import { Resampler } from "./resampler.js";

/** How much is decoded and given to the output ahead of what it plays; the rest waits as it came. */
const AHEAD_MS = 500;
/** How much must be out of a decoder before playing begins, unless it has no more: one in another thread may stutter. */
const DECODED_MS = 120;

interface Frame {
  readonly payload: Uint8Array;
  readonly pts: number;
  readonly last: boolean;
  /** The first frame of another encoder's stream. */
  readonly fresh: boolean;
}

export interface FeedOptions {
  readonly format: AudioFormat;
  readonly output: Output;
  readonly jitter: JitterBuffer;
  readonly opus: OpusChoice;
  readonly failed: (error: PlaybackError) => void;
}

/** The frames of one context. Its pts and the output's positions count the same audio at two rates. */
export class Feed {
  readonly frameMs: number;
  /** The pts after the newest frame that came. */
  receivedPts = 0;
  private readonly options: FeedOptions;
  private readonly frames: Frame[] = [];
  private decoder: Decoder | null = null;
  private resampler: Resampler | null = null;
  /** Samples that came out of decoders, at `decodedRate`, since pts `basePts`; lookahead does not count. */
  private decoded = 0;
  private decodedRate: number;
  private basePts: number | null = null;
  private skip = 0;
  private fresh = false;
  private flowing = false;
  /** Decoded samples that wait for their successors, since the output ran dry; null: they go straight on. */
  private gathered: Float32Array[] | null = [];
  private waitingSince: number | null = null;
  private complete = false;
  private busy = false;
  private closed = false;
  private unfinished = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: FeedOptions) {
    this.options = options;
    this.decodedRate = options.format.sample_rate;
    this.frameMs = (options.format.frame_samples / options.format.sample_rate) * 1000;
  }

  get decoderKind(): DecoderKind | null {
    return this.decoder?.kind ?? null;
  }

  /** Frames that the output has not been given. */
  get queued(): number {
    return this.frames.length + (this.decoder?.pending ?? 0);
  }

  /** The pts of an output position: of the first sample that it has not passed. */
  ptsAt(position: number): number {
    const pts = Math.floor((position * this.options.format.sample_rate) / this.options.output.rate + 1e-6);
    return Math.min((this.basePts ?? 0) + pts, this.receivedPts);
  }

  /** The output position of a pts. */
  positionOf(pts: number): number {
    return ((pts - (this.basePts ?? 0)) * this.options.output.rate) / this.options.format.sample_rate;
  }

  /** Takes a frame; `last` ends an utterance. */
  add(payload: Uint8Array, pts: number, last: boolean): void {
    if (this.closed) return;
    this.basePts ??= pts;
    this.frames.push({ payload, pts, last, fresh: this.fresh });
    this.fresh = false;
    this.receivedPts = pts + this.options.format.frame_samples;
    this.waitingSince ??= performance.now();
    void this.pump();
  }

  /** Another encoder goes on at `pts`: frames from there on that the output has not been given are dropped. */
  beginAnew(pts: number): void {
    while ((this.frames.at(-1)?.pts ?? -1) >= pts) this.frames.pop();
    this.receivedPts = pts;
    this.fresh = true;
  }

  /** Nothing more comes; the output ends after what came. */
  end(): void {
    this.complete = true;
    void this.pump();
  }

  /** The output has run dry: what comes next is gathered first. */
  ranDry(): void {
    if (this.queued > 0) return;
    this.flowing = false;
    this.gathered ??= [];
    this.waitingSince = null;
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.frames.length = 0;
    this.decoder?.close();
  }

  /** Gives the output what it has room for. Called whenever something came or was played. */
  async pump(): Promise<void> {
    if (this.busy || this.closed || !this.mayFlow()) return;
    this.busy = true;
    try {
      while (this.frames.length > 0 && this.aheadMs() < AHEAD_MS && !this.closed) await this.decodeNext();
      if (this.complete && this.frames.length === 0 && !this.closed) await this.finish();
    } catch (error) {
      this.fail(error);
    } finally {
      this.busy = false;
    }
  }

  private mayFlow(): boolean {
    if (this.flowing) return true;
    const { jitter } = this.options;
    if (this.frames.length === 0) return this.complete;
    const waited = performance.now() - (this.waitingSince ?? 0);
    const whole = this.complete || this.frames.at(-1)!.last;
    this.flowing = jitter.enough(this.frames.length * this.frameMs, waited, this.frameMs, whole);
    clearTimeout(this.timer);
    if (!this.flowing) this.timer = setTimeout(() => void this.pump(), jitter.targetMs(this.frameMs) - waited + 1);
    return this.flowing;
  }

  private aheadMs(): number {
    const { output } = this.options;
    return ((output.waiting + this.gatheredSamples) / output.rate) * 1000 + (this.decoder?.pending ?? 0) * this.frameMs;
  }

  private async decodeNext(): Promise<void> {
    const frame = this.frames[0]!;
    if (this.decoder === null || frame.fresh) await this.changeDecoder(frame.pts);
    if (this.frames[0] !== frame || this.closed) return;
    this.frames.shift();
    this.unfinished = frame.last;
    this.decoder!.push(frame.payload);
    this.settle();
  }

  /** A decoder for a new stream; where the one before owes samples, silence stands for them. */
  private async changeDecoder(pts: number): Promise<void> {
    const { format, opus } = this.options;
    const before = this.decoder;
    await before?.finish();
    before?.close();
    const due = Math.round(((pts - this.basePts!) * this.decodedRate) / format.sample_rate);
    if (due > this.decoded) this.take(new Float32Array(due - this.decoded));
    const overlap = this.decoded - due;
    let first = true;
    const samples = (some: Float32Array, rate: number): void => {
      if (first) this.skip = Math.round(((format.lookahead_samples ?? 0) * rate) / format.sample_rate) + overlap;
      first = false;
      this.came(some, rate);
    };
    this.decoder = await createDecoder(format, opus, { samples, failed: (error) => this.fail(error) });
    if (this.closed) this.decoder.close();
  }

  private came(samples: Float32Array, rate: number): void {
    if (this.closed) return;
    if (rate !== this.decodedRate) {
      this.decoded = Math.round((this.decoded * rate) / this.decodedRate);
      this.decodedRate = rate;
    }
    const dropped = Math.min(this.skip, samples.length);
    this.skip -= dropped;
    this.take(dropped > 0 ? samples.slice(dropped) : samples);
    this.settle();
  }

  private take(samples: Float32Array): void {
    this.decoded += samples.length;
    const { rate } = this.options.output;
    if (this.resampler?.from !== this.decodedRate) this.resampler = new Resampler(this.decodedRate, rate);
    this.write(this.resampler.push(samples));
  }

  /** After an utterance's last frame nothing may come for long: what the resampler keeps is given, too. */
  private settle(): void {
    if (!this.unfinished || this.decoder!.pending > 0) return;
    this.unfinished = false;
    if (this.resampler !== null) this.write(this.resampler.flush());
  }

  private get gatheredSamples(): number {
    return this.gathered?.reduce((sum, samples) => sum + samples.length, 0) ?? 0;
  }

  private write(samples: Float32Array): void {
    if (samples.length === 0 || this.closed) return;
    if (this.gathered === null) {
      this.options.output.write(samples);
      return;
    }
    this.gathered.push(samples);
    if (this.decoder === null || this.decoder.pending === 0) this.letGo();
    else if ((this.gatheredSamples / this.options.output.rate) * 1000 >= DECODED_MS) this.letGo();
  }

  private letGo(): void {
    const gathered = this.gathered ?? [];
    this.gathered = null;
    for (const samples of gathered) this.write(samples);
  }

  private async finish(): Promise<void> {
    await this.decoder?.finish();
    if (this.closed) return;
    if (this.resampler !== null) this.write(this.resampler.flush());
    this.letGo();
    this.close();
    this.options.output.end();
  }

  private fail(error: unknown): void {
    if (this.closed) return;
    this.close();
    const known = error instanceof PlaybackError;
    this.options.failed(known ? error : new PlaybackError(String(error), "Audio can't be decoded.", { cause: error }));
  }
}
