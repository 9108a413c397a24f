/** Owns the interface of decoders: audio frames in, samples out, one decoder for one encoder's stream. */

import type { PlaybackError } from "./errors.js";

export type DecoderKind = "pcm" | "g711" | "webcodecs" | "wasm";
export type OpusChoice = "auto" | "webcodecs" | "wasm";

/** The part of `started.audio` that a decoder needs. */
export interface AudioFormat {
  readonly codec: string;
  readonly sample_rate: number;
  readonly frame_samples: number;
  readonly lookahead_samples?: number;
}

/** Receives a decoder's samples, at `rate` Hz. No call follows `failed`. */
export interface SampleSink {
  samples(samples: Float32Array, rate: number): void;
  failed(error: PlaybackError): void;
}

export interface Decoder {
  readonly kind: DecoderKind;
  /** How many packets were pushed whose samples the sink has not received. */
  readonly pending: number;
  /** Takes one frame's payload; the sink receives its samples during the call or later, in order. */
  push(payload: Uint8Array): void;
  /** Resolves when the sink has received the samples of every packet. Nothing may be pushed afterwards. */
  finish(): Promise<void>;
  close(): void;
}
