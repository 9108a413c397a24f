/** Owns the interface of outputs, which play samples, and the output by an AudioWorklet. */

import { heardSeconds, OutputTimeline } from "./output-timeline.js";
import { PROCESSOR, type Command, type Report } from "./worklet.js";

/** Plays samples in order. Positions count samples at the AudioContext's rate. */
export abstract class Output {
  abstract readonly kind: "worklet" | "buffers";
  /** How many samples were written so far. */
  written = 0;
  /** The newest report of what is put out. */
  latest: Report = { frame: 0, at: 0, playing: false, why: "dry" };
  onReport: (report: Report) => void = () => undefined;
  protected readonly context: BaseAudioContext & Partial<AudioContext>;
  private readonly timeline = new OutputTimeline();

  constructor(context: AudioContext) {
    this.context = context;
  }

  abstract write(samples: Float32Array): void;
  /** Nothing more will be written; `ended` is reported after the last sample. */
  abstract end(): void;
  /** Fades out and pauses; nothing is lost. */
  abstract hold(): void;
  /** Resumes after `hold`. */
  abstract release(): void;
  /** Fades out and drops the rest. */
  abstract stop(): void;
  /** Frees all resources. */
  abstract close(): void;

  get rate(): number {
    return this.context.sampleRate;
  }

  /** The frame of the AudioContext that is heard now. */
  get heardFrame(): number {
    return Math.floor(heardSeconds(this.context as AudioContext, performance.now()) * this.rate);
  }

  /** How many samples have been heard. */
  get heard(): number {
    return this.timeline.at(this.heardFrame, this.written);
  }

  /** Whether a sample is heard now. */
  get sounding(): boolean {
    return this.timeline.playingAt(this.heardFrame, this.written);
  }

  /** The frame of the first sample, once it has been heard. */
  get firstFrame(): number | null {
    return this.timeline.firstFrame;
  }

  /** How many frames after `frame` a known run of samples begins or ends; Infinity: none is known. */
  framesToChange(frame: number): number {
    return (this.timeline.changeAfter(frame) ?? Infinity) - frame;
  }

  /** How many samples were written and not put out yet, by the newest report. */
  get waiting(): number {
    return this.written - this.latest.at;
  }

  protected onNewReport(report: Report): void {
    this.latest = report;
    this.timeline.add(report);
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
    this.node.port.onmessage = (event: MessageEvent<Report>) => this.onNewReport(event.data);
    this.node.connect(destination);
  }

  write(samples: Float32Array): void {
    this.written += samples.length;
    // The whole ArrayBuffer is transferred to the audio thread, so that a view of a larger one has to be copied.
    const whole = samples.byteLength === samples.buffer.byteLength ? samples : samples.slice();
    this.node.port.postMessage({ type: "samples", samples: whole } satisfies Command, [whole.buffer]);
  }

  end(): void {
    this.post("end");
  }

  hold(): void {
    this.post("hold");
  }

  release(): void {
    this.post("release");
  }

  stop(): void {
    this.post("stop");
  }

  close(): void {
    this.post("stop");
    this.node.disconnect();
    this.node.port.onmessage = null;
    this.node.port.close();
  }

  private post(type: "end" | "hold" | "release" | "stop"): void {
    this.node.port.postMessage({ type } satisfies Command);
  }
}
