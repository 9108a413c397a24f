/** Owns the numbers beside the plot. */

import { part } from "./elements.js";

const NONE = "–";
const CODECS: Readonly<Record<string, string>> = { pcm_s16le: "PCM", opus: "Opus", mulaw: "µ-law", alaw: "A-law" };
const DECODERS: Readonly<Record<string, string>> = {
  pcm: "none", g711: "G.711", webcodecs: "WebCodecs", wasm: "WebAssembly",
};
/** The time between two updates of the numbers: updated faster, they could not be read. */
const SHOW_MS = 200;

/** The numbers about an answer's audio at one moment; null: not known yet. */
export interface Figures {
  readonly ttfaMs: number | null;
  readonly serverTtfaMs: number | null;
  readonly leadMs: number | null;
  readonly underruns: number;
  readonly codec: string;
  readonly sampleRate: number;
  readonly decoder: string;
  readonly bytes: number;
  readonly frames: number;
  readonly frameSamples: number;
}

/** The list of numbers of index.html. */
export class FigureList {
  #shownMs = 0;

  /** Shows `figures`, unless the last update was less than `SHOW_MS` ago; `force`: in any case. */
  show(figures: Figures, nowMs: number, force = false): void {
    if (!force && nowMs - this.#shownMs < SHOW_MS) return;
    this.#shownMs = nowMs;
    set("ttfa-client", ms(figures.ttfaMs));
    set("ttfa-server", ms(figures.serverTtfaMs));
    set("lead-now", ms(figures.leadMs));
    set("underruns", figures.codec === "" ? NONE : String(figures.underruns));
    set("codec-now", figures.codec === "" ? NONE : (CODECS[figures.codec] ?? figures.codec));
    set("rate-now", figures.codec === "" ? NONE : `${figures.sampleRate / 1000} kHz`);
    set("decoder", DECODERS[figures.decoder] ?? NONE);
    const seconds = (figures.frames * figures.frameSamples) / figures.sampleRate;
    set("bitrate-now", seconds > 0 ? `${((figures.bytes * 8) / seconds / 1000).toFixed(0)} kbit/s` : NONE);
  }
}

function set(id: string, text: string): void {
  const shown = part(id);
  if (shown.textContent !== text) shown.textContent = text;
}

function ms(value: number | null): string {
  return value === null ? NONE : `${value.toFixed(0)} ms`;
}
