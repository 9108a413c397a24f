/** Owns one answer while it is spoken: what is heard goes to the captions, what arrives to the plot and the numbers. */

import type { CancelledMessage, DoneMessage, SpeechEvent } from "../src/index.js";
import type { Playback } from "../src/playback/index.js";
import type { Captions } from "./captions.js";
import type { FigureList, Figures } from "./figures.js";
import type { Plot } from "./plot.js";

export interface Views {
  readonly captions: Captions;
  readonly plot: Plot;
  readonly figures: FigureList;
}

/** An answer from its first text to the end of its audio. */
export class PlaybackView {
  readonly playback: Playback;
  /** Its text stops coming once this is aborted. */
  readonly text: AbortController;
  readonly #stage: Views;
  #bytes = 0;
  #frames = 0;
  #frameSamples = 0;
  #codec = "";
  #sampleRate = 1;
  #serverTtfaMs: number | null = null;
  #over = false;
  #held = false;
  #begun = false;

  /** `over` is called once, when nothing more will be heard. */
  constructor(playback: Playback, text: AbortController, stage: Views, over: () => void) {
    this.playback = playback;
    this.text = text;
    this.#stage = stage;
    playback.on("word", (word) => stage.captions.light(word.chars));
    playback.on("start", () => {
      this.#begun = true;
      stage.plot.mark(performance.now(), `first audio ${playback.ttfaMs?.toFixed(0) ?? "?"} ms`);
    });
    playback.on("underrun", () => stage.plot.dry(performance.now(), true));
    playback.on("event", (event) => this.#arrived(event));
    const ended = (): void => {
      this.#end();
      over();
    };
    playback.finished.then((done) => this.#done(done), () => undefined).finally(ended);
  }

  get over(): boolean {
    return this.#over;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Once an animation frame. */
  draw(nowMs: number): void {
    const { plot, figures } = this.#stage;
    const leadMs = this.playback.leadMs;
    if (this.#begun && !this.#over) {
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

  /** Silence at once; the server's report of what was heard. */
  async interrupt(): Promise<CancelledMessage> {
    this.text.abort();
    const report = await this.playback.interrupt();
    this.#stage.captions.interrupt(report.heard.chars);
    return report;
  }

  #arrived(event: SpeechEvent): void {
    if (event.type === "started") {
      this.#codec = event.audio.codec;
      this.#sampleRate = event.audio.sample_rate;
      this.#frameSamples = event.audio.frame_samples;
    } else if (event.type === "audio") {
      this.#bytes += event.payload.byteLength;
      this.#frames += 1;
      this.#stage.plot.frame(performance.now());
    } else if (event.type === "done") {
      this.#done(event);
    }
  }

  #done(done: DoneMessage): void {
    this.#serverTtfaMs = done.timings?.ttfa_ms ?? this.#serverTtfaMs;
  }

  #end(): void {
    this.#over = true;
    this.text.abort();
    const nowMs = performance.now();
    this.#stage.plot.end(nowMs);
    this.#stage.figures.show(this.#figures(null), nowMs, true);
  }

  #figures(leadMs: number | null): Figures {
    return {
      ttfaMs: this.playback.ttfaMs,
      serverTtfaMs: this.#serverTtfaMs,
      leadMs: this.#over || !this.#begun ? null : leadMs,
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
