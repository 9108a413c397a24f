/** One utterance on its way to the ear: reads it, plays it, tells the server and the listeners what is heard.
 *
 *     WAITING --first sample heard--> SPEAKING <--hold/release--> HELD
 *        |                               |                         |
 *        +------------- interrupt, close, a failure ---------------+--> STOPPED --+
 *                                        |                                        v
 *                                        +------ the last sample was heard ----> OVER
 */

import type { SpeechEvent } from "../events.js";
import type { CancelledMessage, DoneMessage, StartedMessage } from "../protocol/messages.js";
import { type DecoderKind, type OpusChoice, PlaybackError } from "./decoder.js";
import { Emitter } from "./emitter.js";
import { Feed } from "./feed.js";
import type { JitterBuffer } from "./jitter.js";
import type { Output } from "./output.js";
import { Telling, type Told } from "./telling.js";
import type { Report } from "./worklet.js";

/** The longest that a stopped player is waited for; one whose AudioContext is suspended never answers. */
const STOP_MS_MAX = 100;
const HELD_BACK_WORDS = 2;
const TIMER_MS_MIN = 1;
const TIMER_MS_MAX = 250;

/** What can be played: an `Utterance` or a `Context`. */
export interface PlaybackSource extends AsyncIterable<SpeechEvent> {
  /** The text that was written so far. */
  readonly textSoFar?: string;
  acknowledge(seq: number, playedPts: number): void;
  cancel(options?: { playedPts?: number }): Promise<CancelledMessage>;
  hold(): void;
  release(): void;
}

/** What a playback tells, by its name. Words, phonemes, visemes and clauses come at the moment they are heard. */
export interface PlaybackEvents extends Told {
  /** The first sample is heard. */
  start: { ttfaMs: number };
  /** Nothing is left to hear at `pts`, though something was still to come. */
  underrun: { pts: number; count: number };
  /** Nothing is left to hear for now. */
  dry: { pts: number };
  /** Everything was heard, or the playback was interrupted. */
  end: DoneMessage;
  error: Error;
  /** What the source gives, as it comes. */
  event: SpeechEvent;
}

/** What a speaker gives its playbacks. */
export interface PlaybackOptions {
  readonly openOutput: () => Output;
  readonly jitter: JitterBuffer;
  readonly opus: OpusChoice;
  /** Resolves when the playbacks before are over. */
  readonly turn: Promise<void>;
}

type Phase = "waiting" | "speaking" | "held" | "stopped" | "over";

/** Made by `Speaker.play`. */
export class Playback extends Emitter<PlaybackEvents> {
  /** `done`, once all was heard or it was interrupted; rejects with what the source threw, or a PlaybackError. */
  readonly finished: Promise<DoneMessage>;
  /** From `play` to the first sample that is heard; null: none was yet. */
  ttfaMs: number | null = null;
  /** How often the listener ran dry though something was still to come. */
  underruns = 0;
  private readonly source: PlaybackSource;
  private readonly options: PlaybackOptions;
  private readonly telling = new Telling((type, detail) => this.emit(type, detail as PlaybackEvents[typeof type]));
  private readonly beganMs = performance.now();
  private readonly stop = signal<void>();
  private readonly silence = signal<void>();
  private readonly settled = signal<DoneMessage>();
  private phase: Phase = "waiting";
  private started: StartedMessage | null = null;
  private feed: Feed | null = null;
  private output: Output | null = null;
  private done: DoneMessage | null = null;
  private failure: Error | null = null;
  private read = false;
  private newestSeq = -1;
  /** The pts after the newest utterance that came to its end. */
  private wholePts = 0;
  private reached = 0;
  private spokenChars = 0;
  private dryCounted = true;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(source: PlaybackSource, options: PlaybackOptions) {
    super();
    [this.source, this.options] = [source, options];
    this.finished = this.settled.promise;
    this.finished.catch(() => undefined);
    void this.follow();
  }

  /** The pts of the first sample that the loudspeaker has not played; never goes back. */
  get playedPts(): number {
    if (this.feed !== null && this.output !== null) {
      this.reached = Math.max(this.reached, this.feed.ptsAt(this.output.heard));
    }
    return this.reached;
  }

  /** How much audio has come that has not been heard yet. */
  get leadMs(): number {
    const rate = this.started?.audio.sample_rate ?? 1;
    return this.phase === "over" ? 0 : (((this.feed?.receivedPts ?? 0) - this.playedPts) / rate) * 1000;
  }

  /** What decodes the audio; null: none has come yet. */
  get decoder(): DecoderKind | null {
    return this.feed?.decoderKind ?? null;
  }

  /** The weights of the fifteen mouth shapes now; closed (`sil` 1) while nothing is heard. */
  mouth(out?: Float32Array): Float32Array {
    const open = this.phase === "speaking" && this.output?.sounding === true;
    return this.telling.mouth(open ? this.playedPts : null, out);
  }

  /** Falls silent within milliseconds, drops the rest, and tells the server what was heard.
   *
   * Resolves with the server's report. Rejects where the source's `cancel` does.
   */
  async interrupt(): Promise<CancelledMessage> {
    await this.fallSilent();
    return this.source.cancel({ playedPts: this.playedToEnd() });
  }

  /** Pauses, for an interruption that may be a false one; nothing is lost. */
  hold(): void {
    if (this.phase !== "waiting" && this.phase !== "speaking") return;
    this.phase = "held";
    this.output?.hold();
    this.source.hold();
  }

  /** Goes on after `hold`. */
  release(): void {
    if (this.phase !== "held") return;
    this.phase = this.ttfaMs === null ? "waiting" : "speaking";
    this.output?.release();
    this.source.release();
    void this.feed?.pump();
  }

  /** Ends at once; for a speaker that closes. */
  close(): void {
    if (this.phase === "over") return;
    void this.interrupt().catch(() => undefined);
  }

  // -- what comes ---------------------------------------------------------------------------------------------------

  private async follow(): Promise<void> {
    try {
      for await (const event of this.source) await this.take(event);
    } catch (error) {
      this.failure ??= error instanceof Error ? error : new Error(String(error), { cause: error });
    }
    this.read = true;
    // An error of the context comes after the audio that was ready before it: that is heard first.
    if (this.feed === null || this.phase === "stopped") this.conclude();
    else this.feed.end();
  }

  private async take(event: SpeechEvent): Promise<void> {
    this.emit("event", event);
    if (event.type === "done") this.done = event;
    if (this.phase === "stopped") return;
    switch (event.type) {
      case "started":
        await this.open(event);
        break;
      case "audio":
        if (event.last) this.wholePts = event.pts + event.frameSamples;
        this.newestSeq = event.seq;
        this.feed?.add(event.payload, event.pts, event.last);
        this.acknowledge();
        break;
      case "reconnected":
        if (!event.resumed) this.beginAnew(event.pts ?? this.feed?.receivedPts ?? 0);
        break;
      case "warning":
        if (event.code === "underrun") this.countUnderrun();
        break;
      case "cancelled":
        void this.fallSilent();
        break;
      default:
        if (event.type === "clause") this.spokenChars = event.chars[1];
        this.telling.note(event);
    }
  }

  private async open(started: StartedMessage): Promise<void> {
    this.started = started;
    if (this.feed !== null) return;
    await Promise.race([this.options.turn, this.stop.promise]);
    if (this.isStopped()) return;
    const { jitter, opus } = this.options;
    const output = this.options.openOutput();
    this.output = output;
    output.onReport = (report) => this.hear(report);
    if (this.isHeld()) output.hold();
    this.feed = new Feed({ format: started.audio, output, jitter, opus, failed: (error) => this.fail(error) });
  }

  private beginAnew(pts: number): void {
    this.feed?.beginAnew(pts);
    this.telling.forget(pts);
  }

  private fail(error: PlaybackError): void {
    this.failure ??= error;
    this.close();
  }

  // -- what is heard ------------------------------------------------------------------------------------------------

  private hear(report: Report): void {
    if (report.why === "dry") this.ranDry(report);
    if (report.why === "playing") this.dryCounted = false;
    if (report.why === "stopped") this.silence.resolve();
    this.tick();
  }

  private ranDry(report: Report): void {
    const feed = this.feed!;
    const pts = feed.ptsAt(report.at);
    feed.ranDry();
    const whole = this.wholePts === feed.receivedPts;
    if (!whole && (pts < this.telling.expectedPts || this.textWaits())) this.countUnderrun();
    this.emit("dry", { pts });
  }

  /** Whether the server has text that it could speak: more than the last words, which may still grow. */
  private textWaits(): boolean {
    const rest = [...(this.source.textSoFar ?? "")].slice(this.spokenChars).join("");
    return rest.trim().split(/\s+/).length > HELD_BACK_WORDS;
  }

  /** Counts the dry spell that is under way, or was the last, once. */
  private countUnderrun(): void {
    if (this.dryCounted || this.feed === null) return;
    this.dryCounted = true;
    this.underruns += 1;
    this.options.jitter.underrun(this.feed.frameMs, performance.now());
    this.emit("underrun", { pts: this.playedPts, count: this.underruns });
  }

  /** Brings everything up to the present; called by every report of the output, and by a timer between them. */
  private tick(): void {
    const { feed, output } = this;
    if (feed === null || output === null || this.phase === "over") return;
    clearTimeout(this.timer);
    void feed.pump();
    if (this.phase === "stopped") {
      if (this.read && output.latest.why === "stopped") this.conclude();
      return;
    }
    const pts = this.playedPts;
    this.start(output);
    if (output.sounding) this.options.jitter.calm(performance.now());
    // Nothing of `pts` itself is heard before it sounds, as before the first sample, or where the next one is missing.
    this.telling.reach(output.sounding ? pts : pts - 1);
    this.acknowledge();
    // One look at the clock for both: between two the end might pass unseen.
    const frame = output.heardFrame;
    if (output.latest.why === "ended" && frame >= output.latest.frame) this.conclude();
    else this.arm(feed, output, frame);
  }

  private start(output: Output): void {
    const first = output.firstFrame;
    if (this.ttfaMs !== null || first === null) return;
    const sinceMs = ((output.heardFrame - first) / output.rate) * 1000;
    this.ttfaMs = performance.now() - this.beganMs - sinceMs;
    if (this.phase === "waiting") this.phase = "speaking";
    this.emit("start", { ttfaMs: this.ttfaMs });
  }

  /** Wakes up when the next cue is heard, or what is heard changes. A timer will do: reports reach hidden pages. */
  private arm(feed: Feed, output: Output, frame: number): void {
    const next = this.telling.nextPts;
    const cue = next === null ? Infinity : feed.positionOf(next) - output.heard;
    const frames = Math.min(output.framesToChange(frame), output.sounding ? Math.max(0, cue) : Infinity);
    if (frames === Infinity) return;
    const ms = Math.min(TIMER_MS_MAX, Math.max(TIMER_MS_MIN, (frames / output.rate) * 1000));
    this.timer = setTimeout(() => this.tick(), ms);
  }

  private acknowledge(): void {
    if (this.newestSeq >= 0 && this.phase !== "stopped") this.source.acknowledge(this.newestSeq, this.playedPts);
  }

  // -- the end ------------------------------------------------------------------------------------------------------

  /** Resolves when the output says that it is silent, or would have. */
  private async fallSilent(): Promise<void> {
    if (this.phase === "over" || this.phase === "stopped") return;
    this.phase = "stopped";
    clearTimeout(this.timer);
    this.stop.resolve();
    this.feed?.close();
    if (this.output !== null) {
      this.output.stop();
      const timer = setTimeout(() => this.silence.resolve(), STOP_MS_MAX);
      await this.silence.promise;
      clearTimeout(timer);
    }
    if (this.read) this.conclude();
  }

  /** Where a playback that was stopped fell silent: what is on its way to the loudspeaker will be heard, too. */
  private playedToEnd(): number {
    if (this.phase === "over" || this.feed === null || this.output === null) return this.reached;
    if (this.output.latest.why !== "stopped") return this.playedPts;
    return Math.max(this.reached, this.feed.ptsAt(this.output.latest.at));
  }

  private conclude(): void {
    if (this.phase === "over") return;
    const whole = this.phase !== "stopped";
    this.reached = whole && this.feed !== null ? this.feed.receivedPts : this.playedToEnd();
    if (whole) this.telling.reach(Infinity);
    this.phase = "over";
    clearTimeout(this.timer);
    this.feed?.close();
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

interface Signal<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

function signal<T>(): Signal<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}
