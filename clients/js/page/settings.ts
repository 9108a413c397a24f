/** Owns the controls: what they say as options of `speak`, and that they are there again when the page is opened next. */

import type { SpeakOptions } from "../src/index.js";
import { input, part, select } from "./elements.js";

type Codec = NonNullable<SpeakOptions["codec"]>;

/** What each codec can be had at (protocol: Audio frames). */
const RATES: Record<Codec, readonly number[]> = {
  pcm_s16le: [8000, 16_000, 22_050, 24_000, 44_100, 48_000],
  opus: [8000, 12_000, 16_000, 24_000, 48_000],
  mulaw: [8000],
  alaw: [8000],
};

const STORED = "voxwire.settings";
const KEPT = ["voice", "codec", "speed", "pace", "rate", "encoding", "lead", "bitrate", "seed", "trickle"] as const;

/** The controls of index.html. */
export class Settings {
  readonly voice = select("voice");
  readonly #codec = select("codec");
  readonly #speed = input("speed");
  readonly #pace = input("pace");
  readonly #rate = select("rate");
  readonly #encoding = select("encoding");
  readonly #lead = input("lead");
  readonly #bitrate = input("bitrate");
  readonly #seed = input("seed");
  readonly #trickle = input("trickle");
  /** The voice of last time, which may come with the list of voices. */
  readonly voiceWanted: string;

  /** `changed` after each change of a control. */
  constructor(changed: () => void) {
    const kept = stored();
    this.voiceWanted = kept["voice"] ?? "";
    this.#codec.value = kept["codec"] ?? "pcm_s16le";
    if (this.#codec.selectedIndex < 0) this.#codec.value = "pcm_s16le";
    this.#offerRates();
    for (const name of KEPT) this.#restore(name, kept[name]);
    this.#show();
    part("composer").addEventListener("input", (event) => {
      if (event.target === this.#codec) this.#offerRates();
      this.#show();
      this.#keep();
      changed();
    });
  }

  get codec(): Codec {
    return this.#codec.value as Codec;
  }

  get encoding(): "json" | "msgpack" {
    return this.#encoding.value === "msgpack" ? "msgpack" : "json";
  }

  get tokensPerSecond(): number {
    return Number(this.#pace.value);
  }

  /** Whether typed text, too, is sent token by token. */
  get trickle(): boolean {
    return this.#trickle.checked;
  }

  /** What the controls say. Fields that can't be as they are (too small a lead) are left to the server to refuse. */
  options(): SpeakOptions {
    const speed = Number(this.#speed.value);
    return {
      codec: this.codec,
      timings: ["word", "viseme"],
      voice: this.voice.value || undefined,
      speed: speed === 1 ? undefined : speed,
      sampleRate: number(this.#rate),
      leadMs: number(this.#lead),
      seed: number(this.#seed),
      bitrate: this.codec === "opus" ? number(this.#bitrate) : undefined,
    };
  }

  #offerRates(): void {
    const chosen = this.#rate.value;
    const rates = RATES[this.codec];
    this.#rate.replaceChildren(new Option("the voice's own", ""), ...rates.map((rate) => new Option(`${rate} Hz`, String(rate))));
    this.#rate.value = rates.includes(Number(chosen)) ? chosen : "";
    this.#bitrate.disabled = this.codec !== "opus";
  }

  #show(): void {
    part("speed-shown").textContent = `${Number(this.#speed.value).toFixed(2)}×`;
    part("pace-shown").textContent = this.#pace.value;
  }

  #restore(name: (typeof KEPT)[number], value: string | undefined): void {
    if (value === undefined || name === "voice" || name === "codec") return;
    const control = document.getElementById(name);
    if (control instanceof HTMLInputElement && control.type === "checkbox") control.checked = value === "true";
    else if (control instanceof HTMLInputElement) control.value = value;
    else if (control instanceof HTMLSelectElement && [...control.options].some((each) => each.value === value)) control.value = value;
  }

  #keep(): void {
    const kept: Record<string, string> = {};
    for (const name of KEPT) {
      const control = document.getElementById(name) as HTMLInputElement | HTMLSelectElement;
      kept[name] = control instanceof HTMLInputElement && control.type === "checkbox" ? String(control.checked) : control.value;
    }
    try {
      localStorage.setItem(STORED, JSON.stringify(kept));
    } catch {
      // Storage can be forbidden; the settings then last as long as the page.
    }
  }
}

function number(control: HTMLInputElement | HTMLSelectElement): number | undefined {
  return control.value === "" ? undefined : Number(control.value);
}

function stored(): Record<string, string> {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(STORED) ?? "{}");
    return typeof value === "object" && value !== null ? (value as Record<string, string>) : {};
  } catch {
    return {};
  }
}
