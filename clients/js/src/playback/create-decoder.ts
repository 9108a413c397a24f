/** Owns the choice of a decoder for a format, and the decoder of codecs without state between frames. */

import type { AudioFormat, Decoder, DecoderKind, OpusChoice, SampleSink } from "./decoder.js";
import { PlaybackError } from "./errors.js";
import { createOpusDecoder } from "./opus.js";
import { decodeAlaw, decodeMulaw, decodePcm } from "./pcm.js";

/** A decoder for a format.
 *
 * Rejects with a PlaybackError if there is none.
 */
export async function createDecoder(format: AudioFormat, opus: OpusChoice, sink: SampleSink): Promise<Decoder> {
  switch (format.codec) {
    case "pcm_s16le":
      return new StatelessDecoder("pcm", decodePcm, format.sample_rate, sink);
    case "mulaw":
      return new StatelessDecoder("g711", decodeMulaw, format.sample_rate, sink);
    case "alaw":
      return new StatelessDecoder("g711", decodeAlaw, format.sample_rate, sink);
    case "opus":
      return createOpusDecoder(format, opus, sink);
    default:
      throw new PlaybackError(`nothing here decodes ${format.codec}`, "Ask for pcm_s16le, opus, mulaw or alaw.");
  }
}

/** Decodes each frame by itself, during `push`. */
class StatelessDecoder implements Decoder {
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
