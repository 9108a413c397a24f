/** Audio frames in, samples out: one decoder for the whole life of a context. */

import { createOpusDecoder } from "./opus.js";
import { decodeAlaw, decodeMulaw, decodePcm } from "./pcm.js";

export type DecoderKind = "pcm" | "g711" | "webcodecs" | "wasm";
export type OpusChoice = "auto" | "webcodecs" | "wasm";

/** What `started.audio` says, as far as a decoder needs it. */
export interface AudioFormat {
  readonly codec: string;
  readonly sample_rate: number;
  readonly frame_samples: number;
  readonly lookahead_samples?: number;
}

/** Where samples go. Nothing comes after `failed`. */
export interface SampleSink {
  samples(samples: Float32Array, rate: number): void;
  failed(error: PlaybackError): void;
}

export interface Decoder {
  readonly kind: DecoderKind;
  /** Packets whose samples have not come out yet. */
  readonly pending: number;
  /** Takes one frame's payload; its samples reach the sink now or later, in order. */
  push(payload: Uint8Array): void;
  /** Resolves when everything pushed has reached the sink. The decoder takes no more after it. */
  finish(): Promise<void>;
  close(): void;
}

/** Playback can't go on: a codec is missing, or audio can't be decoded. */
export class PlaybackError extends Error {
  override readonly name = "PlaybackError";
  readonly hint: string;

  constructor(message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.hint = hint;
  }
}

/** A decoder for a format.
 *
 * Rejects with a PlaybackError where there is none.
 */
export async function createDecoder(format: AudioFormat, opus: OpusChoice, sink: SampleSink): Promise<Decoder> {
  switch (format.codec) {
    case "pcm_s16le":
      return new DirectDecoder("pcm", decodePcm, format.sample_rate, sink);
    case "mulaw":
      return new DirectDecoder("g711", decodeMulaw, format.sample_rate, sink);
    case "alaw":
      return new DirectDecoder("g711", decodeAlaw, format.sample_rate, sink);
    case "opus":
      return createOpusDecoder(format, opus, sink);
    default:
      throw new PlaybackError(`nothing here decodes ${format.codec}`, "Ask for pcm_s16le, opus, mulaw or alaw.");
  }
}

/** Codecs of which every frame stands for itself. */
class DirectDecoder implements Decoder {
  readonly kind: DecoderKind;
  readonly pending = 0;
  private readonly decode: (payload: Uint8Array) => Float32Array;
  private readonly rate: number;
  private readonly sink: SampleSink;

  constructor(kind: DecoderKind, decode: (payload: Uint8Array) => Float32Array, rate: number, sink: SampleSink) {
    [this.kind, this.decode, this.rate, this.sink] = [kind, decode, rate, sink];
  }

  push(payload: Uint8Array): void {
    this.sink.samples(this.decode(payload), this.rate);
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {}
}
