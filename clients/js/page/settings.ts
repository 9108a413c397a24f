/** Owns the controls: turns them into options of `speak`, and keeps their values for the next visit. */

import type { SpeakOptions } from "../src/index.js";
import { input, part, select } from "./elements.js";

type Codec = NonNullable<SpeakOptions["codec"]>;

/** The sample rates of each codec (protocol: Audio frames). */
const RATES: Record<Codec, readonly number[]> = {
  pcm_s16le: [8000, 16_000, 22_050, 24_000, 44_100, 48_000],
  opus: [8000, 12_000, 16_000, 24_000, 48_000],
  mulaw: [8000],
  alaw: [8000],
};

const STORAGE_KEY = "voxwire.settings";
const STORED_CONTROLS = ["voice", "codec", "speed", "pace", "rate", "encoding", "lead", "bitrate", "seed", "trickle"] as const;

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
  /** The voice of the last visit, to be selected when the list of voices has come. */
  readonly storedVoice: string;

  /** `onChange` is called after each change of a control. */
  constructor(onChange: () => void) {
    const stored = storedValues();
    this.storedVoice = stored["voice"] ?? "";
    this.#codec.value = stored["codec"] ?? "pcm_s16le";
    if (this.#codec.selectedIndex < 0) this.#codec.value = "pcm_s16le";
    this.#offerRates();
    for (const name of STORED_CONTROLS) this.#restore(name, stored[name]);
    this.#show();
    part("composer").addEventListener("input", (event) => {
      if (event.target === this.#codec) this.#offerRates();
      this.#show();
      this.#store();
      onChange();
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

  /** Whether typed text is sent token by token, as simulated answers are. */
  get trickle(): boolean {
    return this.#trickle.checked;
  }

  /** The options that the controls stand for. Values out of range are not checked here: the server refuses them. */
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
    const options = rates.map((rate) => new Option(`${rate} Hz`, String(rate)));
    this.#rate.replaceChildren(new Option("the voice's own", ""), ...options);
    this.#rate.value = rates.includes(Number(chosen)) ? chosen : "";
    this.#bitrate.disabled = this.codec !== "opus";
  }

  #show(): void {
    part("speed-shown").textContent = `${Number(this.#speed.value).toFixed(2)}×`;
    part("pace-shown").textContent = this.#pace.value;
  }

  #restore(name: (typeof STORED_CONTROLS)[number], value: string | undefined): void {
    if (value === undefined || name === "voice" || name === "codec") return;
    const control = document.getElementById(name);
    if (control instanceof HTMLInputElement && control.type === "checkbox") control.checked = value === "true";
    else if (control instanceof HTMLInputElement) control.value = value;
    else if (control instanceof HTMLSelectElement) {
      if ([...control.options].some((each) => each.value === value)) control.value = value;
    }
  }

  #store(): void {
    const values: Record<string, string> = {};
    for (const name of STORED_CONTROLS) {
      const control = document.getElementById(name) as HTMLInputElement | HTMLSelectElement;
      const isCheckbox = control instanceof HTMLInputElement && control.type === "checkbox";
      values[name] = isCheckbox ? String(control.checked) : control.value;
    }
    try {
      localStorage.setItem(STORAGE_KEY, JSON.stringify(values));
    } catch {
      // The browser may forbid storage; the settings then last as long as the page.
    }
  }
}

function number(control: HTMLInputElement | HTMLSelectElement): number | undefined {
  return control.value === "" ? undefined : Number(control.value);
}

function storedValues(): Record<string, string> {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}");
    return typeof value === "object" && value !== null ? (value as Record<string, string>) : {};
  } catch {
    return {};
  }
}
