/** The entry point of the page: creates its parts and connects them. */

import { VoxwireError, type CancelledMessage } from "../src/index.js";
import { PlaybackError, Speaker } from "../src/playback/index.js";
import { Captions } from "./captions.js";
import { PageConnection, isUnreachable, type ConnectionState } from "./connection.js";
import { button, element, input, part } from "./elements.js";
import { Face, WeightBars } from "./face/face.js";
import { closed } from "./face/shapes.js";
import { FigureList } from "./figures.js";
import { answersIn, trickle, type Answer } from "./llm.js";
import { Notice, type Problem } from "./notice.js";
import { PlaybackView, type Views } from "./playback-view.js";
import { Plot } from "./plot.js";
import { Settings } from "./settings.js";
import { SnippetTabs, type SnippetValues } from "./snippets.js";
import { followTheme } from "./theme.js";
import { askServer, fillVoices, HttpRefusal, type Voices } from "./voices.js";

const STATES: Readonly<Record<ConnectionState, string>> = {
  idle: "Connects when you speak",
  connecting: "Connecting…",
  connected: "Connected",
  reconnecting: "Reconnecting…",
  resumed: "Resumed",
  refused: "Refused",
  lost: "Looking for the server…",
};
/** How long a connection may be interrupted before a notice is shown. */
const NOTICE_AFTER_MS = 2500;
/** The time between two drawings of a face that does not speak. */
const IDLE_FRAME_MS = 40;
const LOST: Problem = {
  code: "lost",
  message: "It is being looked for. What you said is kept, and goes on when it is back.",
};
const GREETING =
  "Hello! Type something here, and hear it while it is still on its way: a poem, a price like $4.50, Dr. Brown's bumpy " +
  "breakfast. Press Interrupt whenever you like, and every word that you have not heard stays pale.";

/** The page: speaks one answer at a time. */
class Page {
  readonly #views: Views;
  readonly #connection: PageConnection;
  readonly #notice = new Notice();
  readonly #settings: Settings;
  readonly #snippets: SnippetTabs;
  readonly #face: Face;
  readonly #bars = new WeightBars(part("strip"), element("shapes", HTMLDetailsElement));
  readonly #text = element("text", HTMLTextAreaElement);
  readonly #weights = closed();
  readonly #closed = closed();
  #speaker: Promise<Speaker> | null = null;
  #audio: AudioContext | null = null;
  #current: PlaybackView | null = null;
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;
  #drawnMs = 0;
  /** Counts the answers that were requested: a request that is not the newest any more stops. */
  #request = 0;
  #simulations = 0;
  #voices: Voices = { voices: [], default: null };

  constructor() {
    const plot = new Plot(element("plot", HTMLCanvasElement));
    this.#views = { captions: new Captions(part("caption")), plot, figures: new FigureList() };
    this.#face = new Face(element("face", SVGSVGElement), matchMedia("(prefers-reduced-motion: reduce)"));
    this.#connection = new PageConnection(
      (state) => this.#showConnection(state),
      (away) => plot.away(performance.now(), away),
    );
    this.#settings = new Settings(() => this.#snippets.fill(this.#snippetValues()));
    this.#snippets = new SnippetTabs(
      { tabs: part("tabs"), panel: part("snippet"), code: part("snippet-code"), note: part("snippet-note"), copy: button("copy") },
      this.#snippetValues(),
    );
    followTheme(button("theme"), () => plot.recolour());
    if (this.#text.value === "") this.#text.value = GREETING;
    // On a phone there is no room for the bars.
    element("shapes", HTMLDetailsElement).open = matchMedia("(min-width: 60rem)").matches;
    plot.begin(performance.now());
    this.#addListeners();
    this.#updateButtons();
    requestAnimationFrame((nowMs) => this.#animate(nowMs));
    void this.#connect();
  }

  /** The current playback, for the browser's console and for tests. */
  get playback(): PlaybackView["playback"] | null {
    return this.#current?.playback ?? null;
  }

  /** The loudspeaker, which is created by the first call. */
  loudspeaker(): Promise<Speaker> {
    return this.#makeSpeaker();
  }

  get weights(): Float32Array {
    return this.#weights;
  }

  // -- the user's actions -----------------------------------------------------------------------------------------

  #addListeners(): void {
    part("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#speakTyped();
    });
    button("simulate").addEventListener("click", () => void this.#simulate());
    button("hold").addEventListener("click", () => this.#toggleHold());
    button("interrupt").addEventListener("click", () => void this.#interrupt());
    button("drop").addEventListener("click", () => this.#connection.drop());
    button("tap").addEventListener("click", () => void this.#resumeAudio());
    button("key-use").addEventListener("click", () => this.#useKey());
    input("key").addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.#useKey();
    });
    document.addEventListener("keydown", (event) => this.#onKey(event));
    addEventListener("pagehide", () => void this.#connection.close());
  }

  #onKey(event: KeyboardEvent): void {
    const letter = event.altKey && !event.ctrlKey && !event.metaKey ? event.code : "";
    if (event.key === "Escape") void this.#interrupt();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void this.#speakTyped();
    else if (letter === "KeyL") void this.#simulate();
    else if (letter === "KeyH") this.#toggleHold();
    else return;
    event.preventDefault();
  }

  #speakTyped(): Promise<void> {
    const text = this.#text.value;
    if (text.trim() === "") {
      this.#text.focus();
      return Promise.resolve();
    }
    return this.#speak({ question: "", text }, this.#settings.trickle);
  }

  #simulate(): Promise<void> {
    const answers = answersIn(this.#language());
    return this.#speak(answers[this.#simulations++ % answers.length]!, true);
  }

  #toggleHold(): void {
    if (this.#current === null || this.#current.over) return;
    this.#current.toggleHold();
    this.#updateButtons();
    this.#announce(this.#current.held ? "Held." : "Going on.");
  }

  async #interrupt(): Promise<void> {
    const current = this.#current;
    this.#request += 1;
    if (current === null || current.over) return;
    try {
      this.#showReport(await current.interrupt());
    } catch (error) {
      this.#showError(error, null);
    }
    this.#updateButtons();
  }

  async #speak(answer: Answer, tokenByToken: boolean): Promise<void> {
    this.#notice.clear();
    // During the click: browsers let a page start audio only in a user's gesture.
    const speakerReady = this.#makeSpeaker();
    void this.#resumeAudio();
    if (this.#current !== null && !this.#current.over) await this.#interrupt();
    const request = ++this.#request;
    this.#showAnswer(answer);
    try {
      const [speaker, session] = await Promise.all([speakerReady, this.#connection.open(this.#settings.encoding)]);
      if (request !== this.#request) return;
      const { captions } = this.#views;
      const stop = new AbortController();
      const pieces = tokenByToken
        ? trickle(answer.text, () => this.#settings.tokensPerSecond, stop.signal, (token) => captions.append(token))
        : answer.text;
      if (!tokenByToken) captions.append(answer.text);
      this.#views.plot.begin(performance.now());
      const playback = speaker.play(session.speak(pieces, this.#settings.options()));
      const view = new PlaybackView(playback, stop, this.#views, () => this.#updateButtons());
      this.#current = view;
      this.#updateButtons();
      await this.#awaitEnd(view);
    } catch (error) {
      if (request === this.#request) this.#showError(error, () => void this.#speak(answer, tokenByToken));
    }
    if (request === this.#request) this.#updateButtons();
  }

  async #awaitEnd(view: PlaybackView): Promise<void> {
    const done = await view.playback.finished;
    if (done.reason === "no_speakable_text") {
      this.#notice.show({ code: "no_speakable_text", message: "Nothing in this text can be spoken." });
    }
    if (done.reason === "completed") {
      this.#views.captions.finish();
      this.#announce("Finished.");
    }
  }

  #useKey(): void {
    this.#connection.useKey(input("key").value.trim(), input("key-keep").checked);
    void this.#connect();
  }

  // -- the server -------------------------------------------------------------------------------------------------

  /** Fetches the voices and opens a session, so that the first answer need not wait for either. */
  async #connect(): Promise<void> {
    try {
      this.#voices = await askServer<Voices>("/v1/voices", this.#connection.apiKey);
      fillVoices(this.#settings.voice, this.#voices, this.#settings.storedVoice);
      this.#snippets.fill(this.#snippetValues());
      await this.#connection.open(this.#settings.encoding);
      this.#notice.clear();
      part("key-field").hidden = true;
    } catch (error) {
      this.#showError(error, () => void this.#connect());
    }
  }

  /** Shows what went wrong; `retry`, if given, is offered as a button. */
  #showError(error: unknown, retry: (() => void) | null): void {
    const problem = problemOf(error);
    if (isUnreachable(error)) this.#connection.onLost(true);
    if (problem.code === "client.not_authenticated") this.#askForKey();
    this.#notice.show(problem, problem.code === "client.not_authenticated" ? null : retry);
  }

  #askForKey(): void {
    const wasHidden = part("key-field").hidden;
    part("key-field").hidden = false;
    if (wasHidden || input("key").value !== "") input("key").focus();
  }

  #makeSpeaker(): Promise<Speaker> {
    this.#speaker ??= Speaker.create({ workletUrl: "/page/worklet.js" }).then(
      (speaker) => {
        speaker.on("state", () => this.#updateButtons());
        this.#audio = speaker.audioContext;
        return speaker;
      },
      (error: unknown) => {
        this.#speaker = null; // The worklet could not be loaded; the next call tries again.
        throw error;
      },
    );
    return this.#speaker;
  }

  async #resumeAudio(): Promise<void> {
    const speaker = await this.#speaker?.catch(() => null);
    await speaker?.resume();
    this.#updateButtons();
  }

  // -- the display ------------------------------------------------------------------------------------------------

  #showAnswer(answer: Answer): void {
    part("report").hidden = true;
    part("question").hidden = answer.question === "";
    part("question").textContent = answer.question;
    this.#views.captions.begin(this.#language());
    this.#announce("PlaybackView.");
  }

  #animate(nowMs: number): void {
    requestAnimationFrame((next) => this.#animate(next));
    const current = this.#current;
    const idle = current === null || current.over;
    // Breathing and blinking need fewer frames, and an idle page should use little power.
    if (idle && nowMs - this.#drawnMs < IDLE_FRAME_MS) return;
    this.#drawnMs = nowMs;
    if (current === null) this.#weights.set(this.#closed);
    else current.playback.mouth(this.#weights);
    this.#face.draw(this.#weights, nowMs);
    this.#bars.draw(this.#weights);
    if (idle) return;
    current.draw(performance.now());
    this.#views.plot.draw(performance.now());
  }

  #updateButtons(): void {
    const speaking = this.#current !== null && !this.#current.over;
    document.body.classList.toggle("speaking", speaking);
    button("interrupt").disabled = !speaking;
    button("hold").disabled = !speaking;
    button("drop").disabled = this.#connection.state === "idle" || this.#connection.state === "lost";
    button("tap").hidden = !speaking || this.#audio?.state === "running";
    button("hold").setAttribute("aria-pressed", String(speaking && this.#current!.held));
  }

  #showReport(report: CancelledMessage): void {
    part("report-heard").textContent = report.heard.text.trim() || "nothing";
    part("report-unheard").textContent = report.unheard.text.trim() || "nothing";
    const word = report.heard.word === undefined ? "" : ` It stopped within “${report.heard.word}”.`;
    part("report-note").textContent =
      `As the server reports it: ${report.heard.chars} characters heard, ${report.unheard.chars} not.${word}`;
    part("report").hidden = false;
    this.#announce(`Interrupted. Heard: ${report.heard.text.trim() || "nothing"}`);
  }

  #showConnection(state: ConnectionState): void {
    part("connection").dataset["state"] = state;
    part("connection-text").textContent = STATES[state];
    clearTimeout(this.#noticeTimer);
    if (state === "reconnecting") this.#noticeTimer = setTimeout(() => this.#notice.show(LOST), NOTICE_AFTER_MS);
    else this.#notice.clearIf(LOST.code);
    this.#updateButtons();
  }

  #announce(text: string): void {
    part("status").textContent = text;
  }

  #language(): string {
    const voice = this.#voices.voices.find((each) => each.name === this.#settings.voice.value);
    return voice?.languages[0] ?? "en";
  }

  #snippetValues(): SnippetValues {
    return {
      http: location.origin,
      voice: this.#settings?.voice.value || this.#voices?.default || "heart",
      codec: this.#settings?.codec ?? "pcm_s16le",
      keyed: this.#connection.apiKey !== "",
    };
  }
}

function problemOf(error: unknown): Problem {
  if (error instanceof VoxwireError) {
    const { code, message, hint, retryAfterMs } = error;
    return { code, message, hint, retryAfterMs };
  }
  if (error instanceof HttpRefusal) return error;
  if (error instanceof PlaybackError) return { code: "playback", message: error.message, hint: error.hint };
  if (isUnreachable(error)) return { code: "unreachable", message: "It is looked for every few seconds." };
  return { code: "", message: error instanceof Error ? error.message : String(error) };
}

Object.assign(globalThis, { voxwire: new Page() });
