/** Owns the decoders of Opus: the browser's WebCodecs, or the package opus-decoder (WebAssembly), loaded if needed. */

import type { AudioFormat, Decoder, OpusChoice, SampleSink } from "./decoder.js";
import { PlaybackError } from "./errors.js";

/** The part of the package opus-decoder that is used. */
interface OpusPackageDecoder {
  readonly ready: Promise<void>;
  decodeFrame(packet: Uint8Array): {
    channelData: Float32Array[];
    samplesDecoded: number;
    errors: { message: string }[];
  };
  free(): void;
}

/** The chosen decoder; for "auto", WebCodecs if the browser has it, else opus-decoder.
 *
 * Rejects with a PlaybackError if it is not available.
 */
export async function createOpusDecoder(format: AudioFormat, choice: OpusChoice, sink: SampleSink): Promise<Decoder> {
  if (choice !== "wasm" && (await hasWebCodecs(format))) return new WebCodecsDecoder(format, sink);
  if (choice === "webcodecs") {
    throw new PlaybackError(
      "this browser has no WebCodecs decoder for Opus",
      'Choose opus: "auto", or serve the page over https: pages over plain http from another host have no WebCodecs.',
    );
  }
  return createWasmDecoder(format, sink);
}

function configuration(format: AudioFormat): AudioDecoderConfig {
  return { codec: "opus", sampleRate: format.sample_rate, numberOfChannels: 1 };
}

async function hasWebCodecs(format: AudioFormat): Promise<boolean> {
  if (typeof AudioDecoder === "undefined") return false;
  try {
    return (await AudioDecoder.isConfigSupported(configuration(format))).supported === true;
  } catch {
    return false;
  }
}

class WebCodecsDecoder implements Decoder {
  readonly kind = "webcodecs";
  pending = 0;
  private decoder: AudioDecoder;
  private readonly format: AudioFormat;
  private readonly frameMicroseconds: number;
  private readonly sink: SampleSink;
  private pushed = 0;

  constructor(format: AudioFormat, sink: SampleSink) {
    [this.format, this.sink] = [format, sink];
    this.frameMicroseconds = (format.frame_samples / format.sample_rate) * 1e6;
    this.decoder = this.open();
  }

  private open(): AudioDecoder {
    const decoder = new AudioDecoder({ output: (data) => this.onOutput(data), error: (error) => this.fail(error) });
    decoder.configure(configuration(this.format));
    return decoder;
  }

  push(payload: Uint8Array): void {
    if (this.decoder.state !== "configured") return;
    this.pending += 1;
    const timestamp = Math.round(this.pushed * this.frameMicroseconds);
    this.pushed += 1;
    this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp, data: payload }));
  }

  async finish(): Promise<void> {
    if (this.decoder.state !== "configured") return;
    try {
      await this.decoder.flush();
    } catch {
      // A decoding error was reported to the sink; a decoder that was closed meanwhile has no samples left.
    }
  }

  close(): void {
    if (this.decoder.state !== "closed") this.decoder.close();
  }

  private onOutput(data: AudioData): void {
    const samples = new Float32Array(data.numberOfFrames);
    data.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    const rate = data.sampleRate;
    data.close();
    this.pending = Math.max(0, this.pending - 1);
    this.sink.samples(samples, rate);
  }

  private fail(error: DOMException): void {
    if (error.name === "QuotaExceededError" && this.pending === 0) {
      // Browsers close the decoders of hidden pages that have not used them for a while, as during a long hold.
      this.decoder = this.open();
      return;
    }
    const hint = 'Create the speaker with opus: "wasm", or ask the server for pcm_s16le.';
    this.sink.failed(new PlaybackError(`WebCodecs can't decode this Opus: ${error.message}`, hint, { cause: error }));
  }
}

async function createWasmDecoder(format: AudioFormat, sink: SampleSink): Promise<Decoder> {
  try {
    const { OpusDecoder } = await import("opus-decoder");
    // The parameter's type lists the five rates of libopus, which are the protocol's, too.
    const sampleRate = format.sample_rate as 48000;
    const decoder: OpusPackageDecoder = new OpusDecoder({ sampleRate, channels: 1 });
    await decoder.ready;
    return new WasmOpusDecoder(decoder, format.sample_rate, sink);
  } catch (error) {
    const hint = "Install the package opus-decoder, or ask the server for pcm_s16le.";
    throw new PlaybackError("nothing here decodes Opus", hint, { cause: error });
  }
}

class WasmOpusDecoder implements Decoder {
  readonly kind = "wasm";
  readonly pending = 0;
  private readonly decoder: OpusPackageDecoder;
  private readonly rate: number;
  private readonly sink: SampleSink;
  private closed = false;

  constructor(decoder: OpusPackageDecoder, rate: number, sink: SampleSink) {
    [this.decoder, this.rate, this.sink] = [decoder, rate, sink];
  }

  push(payload: Uint8Array): void {
    if (this.closed) return;
    const { channelData, samplesDecoded, errors } = this.decoder.decodeFrame(payload);
    const [error] = errors;
    if (error !== undefined) {
      this.close();
      const hint = "The stream is damaged, or it is no Opus.";
      this.sink.failed(new PlaybackError(`opus-decoder can't decode this: ${error.message}`, hint));
    } else {
      this.sink.samples(channelData[0]!.slice(0, samplesDecoded), this.rate);
    }
  }

  finish(): Promise<void> {
    return Promise.resolve();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.decoder.free();
  }
}
