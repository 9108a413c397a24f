/** Owns the one notice above the controls: what went wrong, in kind words, and what can be done about it. */

import { button, part } from "./elements.js";

/** What an error tells; the fields of the protocol's errors. */
export interface Trouble {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | null;
  readonly retryAfterMs?: number | null;
}

const TITLES: Readonly<Record<string, string>> = {
  "client.not_authenticated": "This server wants an API key.",
  "client.not_allowed": "The server does not allow that.",
  "client.rate_limited": "Too many wrong keys.",
  "client.over_quota": "The quota is used up.",
  "client.unknown_voice": "There is no such voice.",
  "client.unsupported_audio": "Codec and sample rate don't go together.",
  "client.unsupported_language": "The voice does not speak that language.",
  "client.invalid_field": "One setting can't be as it is.",
  "client.text_too_long": "The text is too long.",
  "server.overloaded": "The server is busy.",
  "server.too_many_sessions": "The server is busy.",
  "system.engine_overloaded": "The voice is busy.",
  "server.not_ready": "The server is still starting.",
  "server.draining": "The server is going away.",
  "system.engine_failed": "The voice failed.",
  "system.clause_failed": "Some of the text could not be spoken.",
  no_speakable_text: "There is nothing to say.",
  playback: "The sound can't be played.",
  lost: "The connection is lost.",
  unreachable: "The server can't be reached.",
};

/** The notice of index.html. */
export class Notice {
  readonly #box = part("notice");
  readonly #title = part("notice-title");
  readonly #text = part("notice-text");
  readonly #action = button("notice-action");
  #timer: ReturnType<typeof setInterval> | undefined;
  #act: (() => void) | null = null;

  constructor() {
    this.#action.addEventListener("click", () => {
      const act = this.#act;
      this.clear();
      act?.();
    });
  }

  /** Show `trouble`; `again`, where given, is offered as a button once the server may be asked again. */
  show(trouble: Trouble, again: (() => void) | null = null): void {
    this.clear();
    this.#title.textContent = TITLES[trouble.code] ?? "That did not work.";
    this.#text.textContent = sentence(trouble.hint || trouble.message);
    this.#box.dataset["code"] = trouble.code;
    this.#box.hidden = false;
    if (again === null) return;
    this.#act = again;
    this.#action.hidden = false;
    this.#count(Math.ceil((trouble.retryAfterMs ?? 0) / 1000));
  }

  /** Take the notice of `code` away, if it is that one. */
  settle(code: string): void {
    if (this.#box.dataset["code"] === code) this.clear();
  }

  clear(): void {
    clearInterval(this.#timer);
    this.#act = null;
    this.#action.hidden = true;
    this.#box.hidden = true;
  }

  #count(seconds: number): void {
    let left = seconds;
    const show = (): void => {
      this.#action.disabled = left > 0;
      this.#action.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
      if (left-- <= 0) clearInterval(this.#timer);
    };
    this.#timer = setInterval(show, 1000);
    show();
  }
}

function sentence(text: string): string {
  const trimmed = text.trim();
  const begun = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(begun) || begun === "" ? begun : `${begun}.`;
}
