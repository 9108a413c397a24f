/** The composition root: makes the page's parts and joins them. */

import { VoxwireError, type CancelledMessage } from "../src/index.js";
import { PlaybackError, Speaker } from "../src/playback/index.js";
import { Captions } from "./captions.js";
import { button, element, input, part } from "./elements.js";
import { Face } from "./face/face.js";
import { closed } from "./face/shapes.js";
import { Strip } from "./face/strip.js";
import { FigureList } from "./figures.js";
import { PageConnection, isLoss, type ConnectionState } from "./connection.js";
import { answersIn, trickle, type Answer } from "./llm.js";
import { Notice, type Trouble } from "./notice.js";
import { Plot } from "./plot.js";
import { Settings } from "./settings.js";
import { SnippetTabs, type Filling } from "./snippets.js";
import { PlaybackView, type Views } from "./playback-view.js";
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
/** How long a connection may be away before it is worth a word. */
const PATIENCE_MS = 2500;
/** Between drawings of a face that does not speak. */
const IDLE_FRAME_MS = 40;
const LOST: Trouble = { code: "lost", message: "It is being looked for. What you said is kept, and goes on when it is back." };
const GREETING =
  "Hello! Type something here, and hear it while it is still on its way: a poem, a price like $4.50, Dr. Brown's bumpy " +
  "breakfast. Press Interrupt whenever you like, and every word that you have not heard stays pale.";

/** What can go on at a time: one answer, or the way to it. */
class Page {
  readonly #stage: Views;
  readonly #line: PageConnection;
  readonly #notice = new Notice();
  readonly #settings: Settings;
  readonly #snippets: SnippetTabs;
  readonly #face: Face;
  readonly #strip = new Strip(part("strip"), element("shapes", HTMLDetailsElement));
  readonly #text = element("text", HTMLTextAreaElement);
  readonly #weights = closed();
  readonly #shut = closed();
  #speaker: Promise<Speaker> | null = null;
  #audio: AudioContext | null = null;
  #speaking: PlaybackView | null = null;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #drawnMs = 0;
  #turn = 0;
  #answers = 0;
  #found: Voices = { voices: [], default: null };

  constructor() {
    const plot = new Plot(element("plot", HTMLCanvasElement));
    this.#stage = { captions: new Captions(part("caption")), plot, figures: new FigureList() };
    this.#face = new Face(element("face", SVGSVGElement), matchMedia("(prefers-reduced-motion: reduce)"));
    this.#line = new PageConnection(
      (state) => this.#showLine(state),
      (away) => plot.away(performance.now(), away),
    );
    this.#settings = new Settings(() => this.#snippets.fill(this.#filling()));
    this.#snippets = new SnippetTabs(
      { tabs: part("tabs"), panel: part("snippet"), code: part("snippet-code"), note: part("snippet-note"), copy: button("copy") },
      this.#filling(),
    );
    followTheme(button("theme"), () => plot.recolour());
    if (this.#text.value === "") this.#text.value = GREETING;
    // A phone has no room for what is there for the curious.
    element("shapes", HTMLDetailsElement).open = matchMedia("(min-width: 60rem)").matches;
    plot.begin(performance.now());
    this.#listen();
    this.#showTurn();
    requestAnimationFrame((nowMs) => this.#animate(nowMs));
    void this.#greet();
  }

  /** For the browser's console, and for tests: what is being spoken. */
  get playback(): PlaybackView["playback"] | null {
    return this.#speaking?.playback ?? null;
  }

  /** The loudspeaker, made if there is none yet. */
  loudspeaker(): Promise<Speaker> {
    return this.#makeSpeaker();
  }

  get weights(): Float32Array {
    return this.#weights;
  }

  // -- what one does ----------------------------------------------------------------------------------------------

  #listen(): void {
    part("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#speakTyped();
    });
    button("simulate").addEventListener("click", () => void this.#simulate());
    button("hold").addEventListener("click", () => this.#toggleHold());
    button("interrupt").addEventListener("click", () => void this.#interrupt());
    button("drop").addEventListener("click", () => this.#line.drop());
    button("tap").addEventListener("click", () => void this.#wake());
    button("key-use").addEventListener("click", () => this.#useKey());
    input("key").addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.#useKey();
    });
    document.addEventListener("keydown", (event) => this.#pressed(event));
    addEventListener("pagehide", () => void this.#line.close());
  }

  #pressed(event: KeyboardEvent): void {
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
    return this.#speak(answers[this.#answers++ % answers.length]!, true);
  }

  #toggleHold(): void {
    if (this.#speaking === null || this.#speaking.over) return;
    this.#speaking.toggleHold();
    this.#showTurn();
    this.#say(this.#speaking.held ? "Held." : "Going on.");
  }

  async #interrupt(): Promise<void> {
    const speaking = this.#speaking;
    this.#turn += 1;
    if (speaking === null || speaking.over) return;
    try {
      this.#showReport(await speaking.interrupt());
    } catch (error) {
      this.#trouble(error, null);
    }
    this.#showTurn();
  }

  async #speak(answer: Answer, tokenByToken: boolean): Promise<void> {
    this.#notice.clear();
    // Within the press of the button: browsers let audio begin there only.
    const speakerReady = this.#makeSpeaker();
    void this.#wake();
    if (this.#speaking !== null && !this.#speaking.over) await this.#interrupt();
    const turn = ++this.#turn;
    this.#prepare(answer);
    try {
      const [speaker, session] = await Promise.all([speakerReady, this.#line.open(this.#settings.encoding)]);
      if (turn !== this.#turn) return;
      const { captions } = this.#stage;
      const stop = new AbortController();
      const pieces = tokenByToken
        ? trickle(answer.text, () => this.#settings.tokensPerSecond, stop.signal, (token) => captions.append(token))
        : answer.text;
      if (!tokenByToken) captions.append(answer.text);
      this.#stage.plot.begin(performance.now());
      const playback = speaker.play(session.speak(pieces, this.#settings.options()));
      const speaking = new PlaybackView(playback, stop, this.#stage, () => this.#showTurn());
      this.#speaking = speaking;
      this.#showTurn();
      await this.#listenTo(speaking);
    } catch (error) {
      if (turn === this.#turn) this.#trouble(error, () => void this.#speak(answer, tokenByToken));
    }
    if (turn === this.#turn) this.#showTurn();
  }

  async #listenTo(speaking: PlaybackView): Promise<void> {
    const done = await speaking.playback.finished;
    if (done.reason === "no_speakable_text") {
      this.#notice.show({ code: "no_speakable_text", message: "Nothing in this text can be spoken." });
    }
    if (done.reason === "completed") {
      this.#stage.captions.finish();
      this.#say("Finished.");
    }
  }

  #useKey(): void {
    this.#line.useKey(input("key").value.trim(), input("key-keep").checked);
    void this.#greet();
  }

  // -- the server -------------------------------------------------------------------------------------------------

  /** Ask for the voices and open a session, so that the first words need not wait for either. */
  async #greet(): Promise<void> {
    try {
      this.#found = await askServer<Voices>("/v1/voices", this.#line.apiKey);
      fillVoices(this.#settings.voice, this.#found, this.#settings.voiceWanted);
      this.#snippets.fill(this.#filling());
      await this.#line.open(this.#settings.encoding);
      this.#notice.clear();
      part("key-field").hidden = true;
    } catch (error) {
      this.#trouble(error, () => void this.#greet());
    }
  }

  #trouble(error: unknown, again: (() => void) | null): void {
    const trouble = troubleOf(error);
    if (isLoss(error)) this.#line.lost(true);
    if (trouble.code === "client.not_authenticated") this.#askForKey();
    this.#notice.show(trouble, trouble.code === "client.not_authenticated" ? null : again);
  }

  #askForKey(): void {
    const asked = part("key-field").hidden;
    part("key-field").hidden = false;
    if (asked || input("key").value !== "") input("key").focus();
  }

  #makeSpeaker(): Promise<Speaker> {
    this.#speaker ??= Speaker.create({ workletUrl: "/page/worklet.js" }).then(
      (speaker) => {
        speaker.on("state", () => this.#showTurn());
        this.#audio = speaker.audioContext;
        return speaker;
      },
      (error: unknown) => {
        this.#speaker = null; // The worklet could not be loaded; it may be next time.
        throw error;
      },
    );
    return this.#speaker;
  }

  async #wake(): Promise<void> {
    const speaker = await this.#speaker?.catch(() => null);
    await speaker?.resume();
    this.#showTurn();
  }

  // -- what one sees ----------------------------------------------------------------------------------------------

  #prepare(answer: Answer): void {
    part("report").hidden = true;
    part("question").hidden = answer.question === "";
    part("question").textContent = answer.question;
    this.#stage.captions.begin(this.#language());
    this.#say("PlaybackView.");
  }

  #animate(nowMs: number): void {
    requestAnimationFrame((next) => this.#animate(next));
    const speaking = this.#speaking;
    const idle = speaking === null || speaking.over;
    // Breathing and blinking need no more, and a page that lies open should cost little.
    if (idle && nowMs - this.#drawnMs < IDLE_FRAME_MS) return;
    this.#drawnMs = nowMs;
    if (speaking === null) this.#weights.set(this.#shut);
    else speaking.playback.mouth(this.#weights);
    this.#face.draw(this.#weights, nowMs);
    this.#strip.draw(this.#weights);
    if (idle) return;
    speaking.draw(performance.now());
    this.#stage.plot.draw(performance.now());
  }

  #showTurn(): void {
    const speaking = this.#speaking !== null && !this.#speaking.over;
    document.body.classList.toggle("speaking", speaking);
    button("interrupt").disabled = !speaking;
    button("hold").disabled = !speaking;
    button("drop").disabled = this.#line.state === "idle" || this.#line.state === "lost";
    button("tap").hidden = !speaking || this.#audio?.state === "running";
    button("hold").setAttribute("aria-pressed", String(speaking && this.#speaking!.held));
  }

  #showReport(report: CancelledMessage): void {
    part("report-heard").textContent = report.heard.text.trim() || "nothing";
    part("report-unheard").textContent = report.unheard.text.trim() || "nothing";
    const word = report.heard.word === undefined ? "" : ` It stopped within “${report.heard.word}”.`;
    part("report-note").textContent =
      `As the server reports it: ${report.heard.chars} characters heard, ${report.unheard.chars} not.${word}`;
    part("report").hidden = false;
    this.#say(`Interrupted. Heard: ${report.heard.text.trim() || "nothing"}`);
  }

  #showLine(state: ConnectionState): void {
    part("connection").dataset["state"] = state;
    part("connection-text").textContent = STATES[state];
    clearTimeout(this.#patience);
    if (state === "reconnecting") this.#patience = setTimeout(() => this.#notice.show(LOST), PATIENCE_MS);
    else this.#notice.settle(LOST.code);
    this.#showTurn();
  }

  #say(text: string): void {
    part("status").textContent = text;
  }

  #language(): string {
    const voice = this.#found.voices.find((each) => each.name === this.#settings.voice.value);
    return voice?.languages[0] ?? "en";
  }

  #filling(): Filling {
    return {
      http: location.origin,
      voice: this.#settings?.voice.value || this.#found?.default || "heart",
      codec: this.#settings?.codec ?? "pcm_s16le",
      keyed: this.#line.apiKey !== "",
    };
  }
}

function troubleOf(error: unknown): Trouble {
  if (error instanceof VoxwireError) {
    const { code, message, hint, retryAfterMs } = error;
    return { code, message, hint, retryAfterMs };
  }
  if (error instanceof HttpRefusal) return error;
  if (error instanceof PlaybackError) return { code: "playback", message: error.message, hint: error.hint };
  if (isLoss(error)) return { code: "unreachable", message: "It is looked for every few seconds." };
  return { code: "", message: error instanceof Error ? error.message : String(error) };
}

Object.assign(globalThis, { voxwire: new Page() });
