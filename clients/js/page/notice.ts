/** Owns the notice above the controls: what went wrong, and a button to try again. */

import { button, part } from "./elements.js";

/** An error to show, with the fields of the protocol's errors. */
export interface Problem {
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
  #retry: (() => void) | null = null;

  constructor() {
    this.#action.addEventListener("click", () => {
      const retry = this.#retry;
      this.clear();
      retry?.();
    });
  }

  /** Shows `problem`; `retry`, if given, is offered as a button after `retryAfterMs`. */
  show(problem: Problem, retry: (() => void) | null = null): void {
    this.clear();
    this.#title.textContent = TITLES[problem.code] ?? "That did not work.";
    this.#text.textContent = sentence(problem.hint || problem.message);
    this.#box.dataset["code"] = problem.code;
    this.#box.hidden = false;
    if (retry === null) return;
    this.#retry = retry;
    this.#action.hidden = false;
    this.#countDown(Math.ceil((problem.retryAfterMs ?? 0) / 1000));
  }

  /** Removes the notice if it is of `code`. */
  clearIf(code: string): void {
    if (this.#box.dataset["code"] === code) this.clear();
  }

  clear(): void {
    clearInterval(this.#timer);
    this.#retry = null;
    this.#action.hidden = true;
    this.#box.hidden = true;
  }

  /** Enables the button after `seconds`, and shows the seconds left. */
  #countDown(seconds: number): void {
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

/** The text with a capital letter at the beginning and a full stop at the end. */
function sentence(text: string): string {
  const trimmed = text.trim();
  const begun = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(begun) || begun === "" ? begun : `${begun}.`;
}
