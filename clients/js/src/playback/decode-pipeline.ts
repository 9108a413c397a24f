/** Owns the way of audio frames to an output: gathers, decodes a little ahead, resamples, and counts every sample. */

import { createDecoder } from "./create-decoder.js";
import type { AudioFormat, Decoder, DecoderKind, OpusChoice } from "./decoder.js";
import { PlaybackError } from "./errors.js";
import type { JitterBufferTarget } from "./jitter-buffer-target.js";
import type { Output } from "./output.js";
import { Resampler } from "./resampler.js";

/** How much is decoded ahead of what the output plays; the rest stays encoded, which needs less memory. */
const AHEAD_MS = 500;
/** How much must be decoded before playing begins, unless there is no more: a decoder in another thread may stutter. */
const DECODED_MS = 120;

interface Frame {
  readonly payload: Uint8Array;
  readonly pts: number;
  readonly last: boolean;
  /** Whether it is the first of a new encoder's stream, which needs a new decoder. */
  readonly startsStream: boolean;
}

export interface DecodePipelineOptions {
  readonly format: AudioFormat;
  readonly output: Output;
  readonly jitter: JitterBufferTarget;
  readonly opus: OpusChoice;
  readonly failed: (error: PlaybackError) => void;
}

/** The frames of one context. Its pts and the output's positions count the same audio at two sample rates. */
export class DecodePipeline {
  readonly frameMs: number;
  /** The pts after the newest frame received. */
  receivedPts = 0;
  private readonly options: DecodePipelineOptions;
  private readonly frames: Frame[] = [];
  private decoder: Decoder | null = null;
  private resampler: Resampler | null = null;
  /** How many samples were decoded, at `decodedRate`, since pts `basePts`; without the lookahead. */
  private decoded = 0;
  private decodedRate: number;
  private basePts: number | null = null;
  /** How many of the decoder's next samples to drop: its lookahead, and what overlaps the stream before. */
  private skip = 0;
  /** Whether the next frame is the first of a new encoder's stream. */
  private streamStarts = false;
  /** Whether enough was gathered to play. */
  private playing = false;
  /** Samples decoded since the output ran dry, kept until there are enough to play; null: they go straight on. */
  private gathered: Float32Array[] | null = [];
  private waitingSince: number | null = null;
  private complete = false;
  private busy = false;
  private closed = false;
  /** Whether the newest decoded frame ends an utterance, and the resampler is not flushed yet. */
  private flushPending = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: DecodePipelineOptions) {
    this.options = options;
    this.decodedRate = options.format.sample_rate;
    this.frameMs = (options.format.frame_samples / options.format.sample_rate) * 1000;
  }

  get decoderKind(): DecoderKind | null {
    return this.decoder?.kind ?? null;
  }

  /** How many frames were not written to the output yet. */
  get queued(): number {
    return this.frames.length + (this.decoder?.pending ?? 0);
  }

  /** The pts that belongs to an output position. */
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
    this.frames.push({ payload, pts, last, startsStream: this.streamStarts });
    this.streamStarts = false;
    this.receivedPts = pts + this.options.format.frame_samples;
    this.waitingSince ??= performance.now();
    void this.pump();
  }

  /** A new encoder's stream begins at `pts`: drops queued frames from there on. */
  restart(pts: number): void {
    while ((this.frames.at(-1)?.pts ?? -1) >= pts) this.frames.pop();
    this.receivedPts = pts;
    this.streamStarts = true;
  }

  /** No more frames come; the output ends after the last one. */
  end(): void {
    this.complete = true;
    void this.pump();
  }

  /** The output has run dry: the next frames are gathered first. */
  onDry(): void {
    if (this.queued > 0) return;
    this.playing = false;
    this.gathered ??= [];
    this.waitingSince = null;
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.frames.length = 0;
    this.decoder?.close();
  }

  /** Decodes as much as the output has room for. Called for each frame received and each report of the output. */
  async pump(): Promise<void> {
    if (this.busy || this.closed || !this.mayPlay()) return;
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

  private mayPlay(): boolean {
    if (this.playing) return true;
    const { jitter } = this.options;
    if (this.frames.length === 0) return this.complete;
    const waited = performance.now() - (this.waitingSince ?? 0);
    const complete = this.complete || this.frames.at(-1)!.last;
    this.playing = jitter.isReached(this.frames.length * this.frameMs, waited, this.frameMs, complete);
    clearTimeout(this.timer);
    if (!this.playing) this.timer = setTimeout(() => void this.pump(), jitter.targetMs(this.frameMs) - waited + 1);
    return this.playing;
  }

  private aheadMs(): number {
    const { output } = this.options;
    return ((output.waiting + this.gatheredSamples) / output.rate) * 1000 + (this.decoder?.pending ?? 0) * this.frameMs;
  }

  private async decodeNext(): Promise<void> {
    const frame = this.frames[0]!;
    if (this.decoder === null || frame.startsStream) await this.changeDecoder(frame.pts);
    if (this.frames[0] !== frame || this.closed) return;
    this.frames.shift();
    this.flushPending = frame.last;
    this.decoder!.push(frame.payload);
    this.flushAfterUtterance();
  }

  /** Creates a decoder for the stream that begins at `pts`; a gap after the stream before is filled with silence. */
  private async changeDecoder(pts: number): Promise<void> {
    const { format, opus } = this.options;
    const previous = this.decoder;
    await previous?.finish();
    previous?.close();
    const start = Math.round(((pts - this.basePts!) * this.decodedRate) / format.sample_rate);
    if (start > this.decoded) this.resample(new Float32Array(start - this.decoded));
    const overlap = this.decoded - start;
    let first = true;
    const samples = (decoded: Float32Array, rate: number): void => {
      if (first) this.skip = Math.round(((format.lookahead_samples ?? 0) * rate) / format.sample_rate) + overlap;
      first = false;
      this.onDecoded(decoded, rate);
    };
    this.decoder = await createDecoder(format, opus, { samples, failed: (error) => this.fail(error) });
    if (this.closed) this.decoder.close();
  }

  private onDecoded(samples: Float32Array, rate: number): void {
    if (this.closed) return;
    if (rate !== this.decodedRate) {
      this.decoded = Math.round((this.decoded * rate) / this.decodedRate);
      this.decodedRate = rate;
    }
    const dropped = Math.min(this.skip, samples.length);
    this.skip -= dropped;
    this.resample(dropped > 0 ? samples.slice(dropped) : samples);
    this.flushAfterUtterance();
  }

  private resample(samples: Float32Array): void {
    this.decoded += samples.length;
    const { rate } = this.options.output;
    if (this.resampler?.from !== this.decodedRate) this.resampler = new Resampler(this.decodedRate, rate);
    this.write(this.resampler.push(samples));
  }

  /** Flushes the resampler after an utterance's last frame: the next frame may come much later. */
  private flushAfterUtterance(): void {
    if (!this.flushPending || this.decoder!.pending > 0) return;
    this.flushPending = false;
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
    if (this.decoder === null || this.decoder.pending === 0) this.writeGathered();
    else if ((this.gatheredSamples / this.options.output.rate) * 1000 >= DECODED_MS) this.writeGathered();
  }

  private writeGathered(): void {
    const gathered = this.gathered ?? [];
    this.gathered = null;
    for (const samples of gathered) this.write(samples);
  }

  private async finish(): Promise<void> {
    await this.decoder?.finish();
    if (this.closed) return;
    if (this.resampler !== null) this.write(this.resampler.flush());
    this.writeGathered();
    this.close();
    this.options.output.end();
  }

  private fail(error: unknown): void {
    if (this.closed) return;
    this.close();
    const wrapped = () => new PlaybackError(String(error), "Audio can't be decoded.", { cause: error });
    this.options.failed(error instanceof PlaybackError ? error : wrapped());
  }
}
