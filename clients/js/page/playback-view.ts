/** Owns the display of one playback: words heard go to the captions, audio received to the plot and the numbers. */

import type { CancelledMessage, DoneMessage, SpeechEvent } from "../src/index.js";
import type { Playback } from "../src/playback/index.js";
import type { Captions } from "./captions.js";
import type { FigureList, Figures } from "./figures.js";
import type { Plot } from "./plot.js";

/** The parts of the page that show a playback. */
export interface Views {
  readonly captions: Captions;
  readonly plot: Plot;
  readonly figures: FigureList;
}

/** An answer from its first text to the end of its audio. */
export class PlaybackView {
  readonly playback: Playback;
  /** Aborting it stops the text. */
  readonly text: AbortController;
  readonly #views: Views;
  #bytes = 0;
  #frames = 0;
  #frameSamples = 0;
  #codec = "";
  #sampleRate = 1;
  #serverTtfaMs: number | null = null;
  #over = false;
  #held = false;
  #started = false;

  /** `onOver` is called once, when the playback has finished or failed. */
  constructor(playback: Playback, text: AbortController, views: Views, onOver: () => void) {
    this.playback = playback;
    this.text = text;
    this.#views = views;
    playback.on("word", (word) => views.captions.light(word.chars));
    playback.on("start", () => {
      this.#started = true;
      views.plot.mark(performance.now(), `first audio ${playback.ttfaMs?.toFixed(0) ?? "?"} ms`);
    });
    playback.on("underrun", () => views.plot.dry(performance.now(), true));
    playback.on("event", (event) => this.#onEvent(event));
    const onFinished = (): void => {
      this.#end();
      onOver();
    };
    playback.finished.then((done) => this.#onDone(done), () => undefined).finally(onFinished);
  }

  get over(): boolean {
    return this.#over;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Draws the plot and the numbers; called for each animation frame. */
  draw(nowMs: number): void {
    const { plot, figures } = this.#views;
    const leadMs = this.playback.leadMs;
    if (this.#started && !this.#over) {
      plot.lead(nowMs, leadMs);
      if (leadMs > 0) plot.dry(nowMs, false);
    }
    figures.show(this.#figures(leadMs), nowMs);
  }

  toggleHold(): void {
    this.#held = !this.#held;
    if (this.#held) this.playback.hold();
    else this.playback.release();
  }

  /** Stops the playback; returns the server's report of what was heard. */
  async interrupt(): Promise<CancelledMessage> {
    this.text.abort();
    const report = await this.playback.interrupt();
    this.#views.captions.interrupt(report.heard.chars);
    return report;
  }

  #onEvent(event: SpeechEvent): void {
    if (event.type === "started") {
      this.#codec = event.audio.codec;
      this.#sampleRate = event.audio.sample_rate;
      this.#frameSamples = event.audio.frame_samples;
    } else if (event.type === "audio") {
      this.#bytes += event.payload.byteLength;
      this.#frames += 1;
      this.#views.plot.frame(performance.now());
    } else if (event.type === "done") {
      this.#onDone(event);
    }
  }

  #onDone(done: DoneMessage): void {
    this.#serverTtfaMs = done.timings?.ttfa_ms ?? this.#serverTtfaMs;
  }

  #end(): void {
    this.#over = true;
    this.text.abort();
    const nowMs = performance.now();
    this.#views.plot.end(nowMs);
    this.#views.figures.show(this.#figures(null), nowMs, true);
  }

  #figures(leadMs: number | null): Figures {
    return {
      ttfaMs: this.playback.ttfaMs,
      serverTtfaMs: this.#serverTtfaMs,
      leadMs: this.#over || !this.#started ? null : leadMs,
      underruns: this.playback.underruns,
      codec: this.#codec,
      sampleRate: this.#sampleRate,
      decoder: this.playback.decoder ?? "",
      bytes: this.#bytes,
      frames: this.#frames,
      frameSamples: this.#frameSamples,
    };
  }
}
