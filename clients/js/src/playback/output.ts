/** Where samples go: two kinds of output with one clock. Positions count samples at the AudioContext's rate. */

import { heardSeconds, PlayoutClock } from "./clock.js";
import { PROCESSOR, type Command, type Report } from "./worklet.js";

/** Puts samples out in their order; what is written must fit into `roomSamples`. */
export abstract class Output {
  abstract readonly kind: "worklet" | "buffers";
  /** Samples that were written so far. */
  written = 0;
  /** The newest that is known of what is put out. */
  latest: Report = { frame: 0, at: 0, playing: false, why: "dry" };
  onReport: (report: Report) => void = () => undefined;
  protected readonly context: BaseAudioContext & Partial<AudioContext>;
  private readonly clock = new PlayoutClock();

  constructor(context: AudioContext) {
    this.context = context;
  }

  abstract write(samples: Float32Array): void;
  /** Nothing more will be written; `ended` is reported after the last sample. */
  abstract end(): void;
  /** Fades out and waits, or goes on. */
  abstract hold(): void;
  abstract release(): void;
  /** Fades out and drops the rest. */
  abstract stop(): void;
  /** Frees everything, at once. */
  abstract close(): void;

  get rate(): number {
    return this.context.sampleRate;
  }

  /** The AudioContext's frame that is heard now. */
  get heardFrame(): number {
    return Math.floor(heardSeconds(this.context as AudioContext, performance.now()) * this.rate);
  }

  /** Samples that have been heard. */
  get heard(): number {
    return this.clock.at(this.heardFrame, this.written);
  }

  /** Whether a sample is heard now. */
  get sounding(): boolean {
    return this.clock.playingAt(this.heardFrame, this.written);
  }

  /** The frame of the first sample, once it has been heard. */
  get firstFrame(): number | null {
    return this.clock.firstFrame;
  }

  /** How many frames after `frame` a run that is known begins or ends. */
  framesToChange(frame: number): number {
    return (this.clock.changeAfter(frame) ?? Infinity) - frame;
  }

  /** Samples written and not yet put out, as far as is known. */
  get waiting(): number {
    return this.written - this.latest.at;
  }

  protected take(report: Report): void {
    this.latest = report;
    this.clock.add(report);
    this.onReport(report);
  }
}

/** Plays on the audio thread. */
export class WorkletOutput extends Output {
  readonly kind = "worklet";
  private readonly node: AudioWorkletNode;

  /** The processor must have been added to the context. */
  constructor(context: AudioContext, destination: AudioNode) {
    super(context);
    const options = { numberOfInputs: 0, numberOfOutputs: 1, outputChannelCount: [1] };
    this.node = new AudioWorkletNode(context, PROCESSOR, options);
    this.node.port.onmessage = (event: MessageEvent<Report>) => this.take(event.data);
    this.node.connect(destination);
  }

  write(samples: Float32Array): void {
    this.written += samples.length;
    // The whole buffer moves to the audio thread; a view of a larger one would take its neighbours along.
    const whole = samples.byteLength === samples.buffer.byteLength ? samples : samples.slice();
    this.node.port.postMessage({ type: "samples", samples: whole } satisfies Command, [whole.buffer]);
  }

  end(): void {
    this.tell("end");
  }

  hold(): void {
    this.tell("hold");
  }

  release(): void {
    this.tell("release");
  }

  stop(): void {
    this.tell("stop");
  }

  close(): void {
    this.tell("stop");
    this.node.disconnect();
    this.node.port.onmessage = null;
    this.node.port.close();
  }

  private tell(type: "end" | "hold" | "release" | "stop"): void {
    this.node.port.postMessage({ type } satisfies Command);
  }
}
