/** Owns the playback of one utterance: reads its events, plays its audio, and reports what is heard.
 *
 *     WAITING --first sample heard--> SPEAKING <--hold/release--> HELD
 *        |                               |                         |
 *        +------------- interrupt, close, a failure ---------------+--> STOPPED --+
 *                                        |                                        v
 *                                        +------ the last sample was heard ----> OVER
 */

import type { SpeechEvent } from "../events.js";
import type { CancelledMessage, DoneMessage, StartedMessage } from "../protocol/messages.js";
import { DecodePipeline } from "./decode-pipeline.js";
import type { DecoderKind, OpusChoice } from "./decoder.js";
import { Emitter } from "./emitter.js";
import { PlaybackError } from "./errors.js";
import type { JitterBufferTarget } from "./jitter-buffer-target.js";
import type { Output } from "./output.js";
import { TimedEvents, type TimedEventMap } from "./timed-events.js";
import type { Report } from "./worklet.js";

/** How long to wait for an output to report that it has stopped; with a suspended AudioContext it never does. */
const STOP_MS_MAX = 100;
/** Words at the end of a text that the server does not speak yet, as the next piece may change them. */
const HELD_BACK_WORDS = 2;
const TIMER_MS_MIN = 1;
const TIMER_MS_MAX = 250;

/** The part of an `Utterance` or a `Context` that a playback uses. */
export interface PlaybackSource extends AsyncIterable<SpeechEvent> {
  /** The text that was written so far. */
  readonly textSoFar?: string;
  acknowledge(seq: number, playedPts: number): void;
  cancel(options?: { playedPts?: number }): Promise<CancelledMessage>;
  hold(): void;
  release(): void;
}

/** The events of a playback, by name. Words, phonemes, visemes, clauses and marks come at the moment they are heard. */
export interface PlaybackEvents extends TimedEventMap {
  /** The first sample is heard. */
  start: { ttfaMs: number };
  /** Audio ran out at `pts` although more was to come; `count` underruns so far. */
  underrun: { pts: number; count: number };
  /** All audio received so far has been heard. */
  dry: { pts: number };
  /** All audio was heard, or the playback was interrupted. */
  end: DoneMessage;
  error: Error;
  /** An event of the source, when it is received. */
  event: SpeechEvent;
}

/** What a speaker passes to its playbacks. */
export interface PlaybackOptions {
  readonly openOutput: () => Output;
  readonly jitter: JitterBufferTarget;
  readonly opus: OpusChoice;
  /** Resolves when the playbacks before this one are over. */
  readonly previousOver: Promise<void>;
}

type Phase = "waiting" | "speaking" | "held" | "stopped" | "over";

/** Made by `Speaker.play`. */
export class Playback extends Emitter<PlaybackEvents> {
  /** The `done`, once all was heard or it was interrupted; rejects with what the source threw, or a PlaybackError. */
  readonly finished: Promise<DoneMessage>;
  /** Milliseconds from `play` to the first sample that is heard; null before it. */
  ttfaMs: number | null = null;
  /** How often audio ran out although more was to come. */
  underruns = 0;
  private readonly source: PlaybackSource;
  private readonly options: PlaybackOptions;
  private readonly timedEvents = new TimedEvents((type, detail) => {
    this.emit(type, detail as PlaybackEvents[typeof type]);
  });
  private readonly beganMs = performance.now();
  private readonly stopped = deferred<void>();
  private readonly silent = deferred<void>();
  private readonly settled = deferred<DoneMessage>();
  private phase: Phase = "waiting";
  private started: StartedMessage | null = null;
  private pipeline: DecodePipeline | null = null;
  private output: Output | null = null;
  private done: DoneMessage | null = null;
  private failure: Error | null = null;
  /** Whether the source has ended. */
  private sourceEnded = false;
  private newestSeq = -1;
  /** The pts after the newest utterance that was received completely. */
  private utteranceEndPts = 0;
  /** The largest `playedPts` so far. */
  private reachedPts = 0;
  private spokenChars = 0;
  /** Whether the current or the last silence was counted as an underrun. */
  private underrunCounted = true;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(source: PlaybackSource, options: PlaybackOptions) {
    super();
    [this.source, this.options] = [source, options];
    this.finished = this.settled.promise;
    this.finished.catch(() => undefined);
    void this.readSource();
  }

  /** The pts of the first sample that the loudspeaker has not played; never decreases. */
  get playedPts(): number {
    if (this.pipeline !== null && this.output !== null) {
      this.reachedPts = Math.max(this.reachedPts, this.pipeline.ptsAt(this.output.heard));
    }
    return this.reachedPts;
  }

  /** Milliseconds of audio that were received and not heard yet. */
  get leadMs(): number {
    const rate = this.started?.audio.sample_rate ?? 1;
    return this.phase === "over" ? 0 : (((this.pipeline?.receivedPts ?? 0) - this.playedPts) / rate) * 1000;
  }

  /** The kind of decoder in use; null before the first audio. */
  get decoder(): DecoderKind | null {
    return this.pipeline?.decoderKind ?? null;
  }

  /** The weights of the fifteen mouth shapes now; closed (`sil` 1) while nothing is heard. */
  mouth(out?: Float32Array): Float32Array {
    const open = this.phase === "speaking" && this.output?.sounding === true;
    return this.timedEvents.mouth(open ? this.playedPts : null, out);
  }

  /** Fades out within milliseconds, drops the rest, and reports to the server what was heard.
   *
   * Resolves with the server's report. Rejects if the source's `cancel` does.
   */
  async interrupt(): Promise<CancelledMessage> {
    await this.stopOutput();
    return this.source.cancel({ playedPts: this.stoppedPts() });
  }

  /** Pauses, for an interruption that may be a false one; nothing is lost. */
  hold(): void {
    if (this.phase !== "waiting" && this.phase !== "speaking") return;
    this.phase = "held";
    this.output?.hold();
    this.source.hold();
  }

  /** Resumes after `hold`. */
  release(): void {
    if (this.phase !== "held") return;
    this.phase = this.ttfaMs === null ? "waiting" : "speaking";
    this.output?.release();
    this.source.release();
    void this.pipeline?.pump();
  }

  /** Interrupts without waiting for the report. */
  close(): void {
    if (this.phase === "over") return;
    void this.interrupt().catch(() => undefined);
  }

  // -- events of the source -----------------------------------------------------------------------------------------

  private async readSource(): Promise<void> {
    try {
      for await (const event of this.source) await this.onEvent(event);
    } catch (error) {
      this.failure ??= error instanceof Error ? error : new Error(String(error), { cause: error });
    }
    this.sourceEnded = true;
    // Audio that came before an error of the context is still played.
    if (this.pipeline === null || this.phase === "stopped") this.finish();
    else this.pipeline.end();
  }

  private async onEvent(event: SpeechEvent): Promise<void> {
    this.emit("event", event);
    if (event.type === "done") this.done = event;
    if (this.phase === "stopped") return;
    switch (event.type) {
      case "started":
        await this.open(event);
        break;
      case "audio":
        if (event.last) this.utteranceEndPts = event.pts + event.frameSamples;
        this.newestSeq = event.seq;
        this.pipeline?.add(event.payload, event.pts, event.last);
        this.acknowledge();
        break;
      case "reconnected":
        if (!event.resumed) this.restart(event.pts ?? this.pipeline?.receivedPts ?? 0);
        break;
      case "warning":
        if (event.code === "underrun") this.countUnderrun();
        break;
      case "cancelled":
        void this.stopOutput();
        break;
      default:
        if (event.type === "clause") this.spokenChars = event.chars[1];
        this.timedEvents.add(event);
    }
  }

  private async open(started: StartedMessage): Promise<void> {
    this.started = started;
    if (this.pipeline !== null) return;
    await Promise.race([this.options.previousOver, this.stopped.promise]);
    if (this.isStopped()) return;
    const { jitter, opus } = this.options;
    const output = this.options.openOutput();
    this.output = output;
    output.onReport = (report) => this.onReport(report);
    if (this.isHeld()) output.hold();
    const failed = (error: PlaybackError): void => this.fail(error);
    this.pipeline = new DecodePipeline({ format: started.audio, output, jitter, opus, failed });
  }

  /** The text whose audio begins at `pts` is synthesized again by another session. */
  private restart(pts: number): void {
    this.pipeline?.restart(pts);
    this.timedEvents.discardFrom(pts);
  }

  private fail(error: PlaybackError): void {
    this.failure ??= error;
    this.close();
  }

  // -- reports of the output ----------------------------------------------------------------------------------------

  private onReport(report: Report): void {
    if (report.why === "dry") this.onDry(report);
    if (report.why === "playing") this.underrunCounted = false;
    if (report.why === "stopped") this.silent.resolve();
    this.tick();
  }

  private onDry(report: Report): void {
    const pipeline = this.pipeline!;
    const pts = pipeline.ptsAt(report.at);
    pipeline.onDry();
    const complete = this.utteranceEndPts === pipeline.receivedPts;
    if (!complete && (pts < this.timedEvents.expectedPts || this.hasUnspokenText())) this.countUnderrun();
    this.emit("dry", { pts });
  }

  /** Whether the server has text that it could speak: more than the last words, which it holds back. */
  private hasUnspokenText(): boolean {
    const rest = [...(this.source.textSoFar ?? "")].slice(this.spokenChars).join("");
    return rest.trim().split(/\s+/).length > HELD_BACK_WORDS;
  }

  /** Counts the current or the last silence as an underrun, once. */
  private countUnderrun(): void {
    if (this.underrunCounted || this.pipeline === null) return;
    this.underrunCounted = true;
    this.underruns += 1;
    this.options.jitter.onUnderrun(this.pipeline.frameMs, performance.now());
    this.emit("underrun", { pts: this.playedPts, count: this.underruns });
  }

  /** Handles what was heard since the last call; called for every report of the output, and by a timer between them. */
  private tick(): void {
    const { pipeline, output } = this;
    if (pipeline === null || output === null || this.phase === "over") return;
    clearTimeout(this.timer);
    void pipeline.pump();
    if (this.phase === "stopped") {
      if (this.sourceEnded && output.latest.why === "stopped") this.finish();
      return;
    }
    const pts = this.playedPts;
    this.emitStart(output);
    if (output.sounding) this.options.jitter.onPlaying(performance.now());
    // While the output is silent, the sample at `pts` has not been heard: it is the next to be played.
    this.timedEvents.emitUntil(output.sounding ? pts : pts - 1);
    this.acknowledge();
    // The clock is read once: between two readings the end could pass unnoticed.
    const frame = output.heardFrame;
    if (output.latest.why === "ended" && frame >= output.latest.frame) this.finish();
    else this.scheduleTick(pipeline, output, frame);
  }

  private emitStart(output: Output): void {
    const first = output.firstFrame;
    if (this.ttfaMs !== null || first === null) return;
    const sinceMs = ((output.heardFrame - first) / output.rate) * 1000;
    this.ttfaMs = performance.now() - this.beganMs - sinceMs;
    if (this.phase === "waiting") this.phase = "speaking";
    this.emit("start", { ttfaMs: this.ttfaMs });
  }

  /**
   * Calls `tick` when the next timed event is heard, or the output begins or ends a run. The timer may be late in
   * hidden pages, which browsers slow down; the output's reports are not.
   */
  private scheduleTick(pipeline: DecodePipeline, output: Output, frame: number): void {
    const next = this.timedEvents.nextPts;
    const framesToEvent = next === null ? Infinity : pipeline.positionOf(next) - output.heard;
    const frames = Math.min(output.framesToChange(frame), output.sounding ? Math.max(0, framesToEvent) : Infinity);
    if (frames === Infinity) return;
    const ms = Math.min(TIMER_MS_MAX, Math.max(TIMER_MS_MIN, (frames / output.rate) * 1000));
    this.timer = setTimeout(() => this.tick(), ms);
  }

  private acknowledge(): void {
    if (this.newestSeq >= 0 && this.phase !== "stopped") this.source.acknowledge(this.newestSeq, this.playedPts);
  }

  // -- the end ------------------------------------------------------------------------------------------------------

  /** Stops the output; resolves when it reports silence, or after `STOP_MS_MAX`. */
  private async stopOutput(): Promise<void> {
    if (this.phase === "over" || this.phase === "stopped") return;
    this.phase = "stopped";
    clearTimeout(this.timer);
    this.stopped.resolve();
    this.pipeline?.close();
    if (this.output !== null) {
      this.output.stop();
      const timer = setTimeout(() => this.silent.resolve(), STOP_MS_MAX);
      await this.silent.promise;
      clearTimeout(timer);
    }
    if (this.sourceEnded) this.finish();
  }

  /** The pts at which a stopped playback ends, including samples that are put out but not heard yet. */
  private stoppedPts(): number {
    if (this.phase === "over" || this.pipeline === null || this.output === null) return this.reachedPts;
    if (this.output.latest.why !== "stopped") return this.playedPts;
    return Math.max(this.reachedPts, this.pipeline.ptsAt(this.output.latest.at));
  }

  private finish(): void {
    if (this.phase === "over") return;
    const completed = this.phase !== "stopped";
    this.reachedPts = completed && this.pipeline !== null ? this.pipeline.receivedPts : this.stoppedPts();
    if (completed) this.timedEvents.emitUntil(Infinity);
    this.phase = "over";
    clearTimeout(this.timer);
    this.pipeline?.close();
    this.output?.close();
    if (this.failure === null && this.done !== null) {
      this.emit("end", this.done);
      this.settled.resolve(this.done);
    } else {
      const hint = "The source ended before it was done.";
      const error = this.failure ?? new PlaybackError("the speech ended without `done`", hint);
      this.emit("error", error);
      this.settled.reject(error);
    }
  }

  private isStopped(): boolean {
    return this.phase === "stopped" || this.phase === "over";
  }

  private isHeld(): boolean {
    return this.phase === "held";
  }
}

/** A promise with the functions that settle it. */
interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}
