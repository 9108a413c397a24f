/**
 * Owns where a context stands, and what becomes of it: by its caller, by the server, and by the connection.
 *
 *     new ----open---> opening ---started---> open ----done----> over
 *      |                 |  \                  |                  ^
 *      |               error  +----cancel------+--> leaving -done-+
 *      |                 v                                        |
 *      +---cancel     refused --what was sent after `start` is----+
 *           |                   swept up                          |
 *           +-----------------------------------------------------+
 *
 * Where the session is gone that it was spoken on, it goes back to opening on a fresh one with what was not heard yet.
 * Whatever is lost with the connection for good is over. Facts from the server come by `take`, which never waits:
 * whoever does not listen to one context holds back that context alone.
 */

import type { Clock } from "./clock.js";
import { ConnectionLost, isHarmless, pauseMs } from "./errors.js";
import type { InterruptedEvent, ReconnectedEvent, SpeechEvent } from "./events.js";
import { Hearing } from "./hearing.js";
import type { Line } from "./line.js";
import { configure, configured, type ConfigureOptions, sameAgain } from "./options.js";
import type { Outbox } from "./outbox.js";
import type { ContextMessage, Link, Listener } from "./parties.js";
import type { AudioFrame } from "./protocol/audio.js";
import { CloseCode, VoxwireError } from "./protocol/errors.js";
import type * as m from "./protocol/messages.js";
import type { Note } from "./seam.js";
import { News, sleep } from "./waiting.js";
import { type Speech, Writing } from "./writing.js";

/** So many events waiting for the listener (thirty seconds of audio), and the server is asked to hold. */
const EVENTS_HOLD = 1500;
const EVENTS_RELEASE = 500;
/** What can be on its way when a `hold` is sent stays far below. */
const EVENTS_MAX = 1 << 16;
/** So many fresh sessions without a single new frame: it may be this very text that ends them. */
const RESTARTS_MAX = 5;

type Phase = "new" | "opening" | "open" | "leaving" | "refused" | "over";

/** The inner side of an `Utterance` and a `Context`. */
export class Speaking implements Listener, Speech {
  readonly context: string;
  readonly hearing: Hearing;
  readonly writing: Writing;
  ttfaClientMs: number | null = null;
  /** Called when nobody needs more text. */
  onStopped: (() => void) | null = null;
  readonly #link: Link;
  readonly #news = new News();
  #start: m.StartMessage;
  #line: Line | null = null;
  #phase: Phase = "new";
  #opening: Promise<void> | null = null;
  #failure: Error | null = null;
  #held = false;
  #heldBack = false;
  #restarts = 0;
  #unabort: (() => void) | null = null;

  constructor(link: Link, start: m.StartMessage, signal: AbortSignal | undefined) {
    this.context = start.context;
    this.#link = link;
    this.#start = start;
    this.hearing = new Hearing(start.context);
    this.writing = new Writing(this, this.hearing.transcript);
    if (signal === undefined) return;
    const leave = () => this.leave(null);
    signal.addEventListener("abort", leave);
    this.#unabort = () => signal.removeEventListener("abort", leave);
    if (signal.aborted) leave();
  }

  // -- what its caller wants ----------------------------------------------------------------------------------------

  /** Opens the context, once. Throws ConnectionLost or RangeError, as `Link.attach`. */
  open(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<void> {
    if (this.#phase !== "new") return;
    this.#line = await this.#link.attach(this);
    // It may have been left while it waited for its name.
    if ((this.#phase as Phase) === "over") return this.#line.detach(this);
    this.#phase = "opening";
    const started = this.outbox.send(this.#start);
    if (this.#held) this.#post({ type: "hold", context: this.context });
    await started;
  }

  /** The next event, null at the end. Throws what ended the context. */
  async next(): Promise<SpeechEvent | null> {
    const event = await this.hearing.inbox.get();
    if (this.#heldBack && this.hearing.inbox.length <= EVENTS_RELEASE) {
      this.#heldBack = false;
      if (!this.#held && this.#live) this.#post({ type: "release", context: this.context });
    }
    return event;
  }

  /** Stops writing, forgets audio; leaving until `done` has come, so that the name is not taken too early. */
  leave(playedPts: number | null): void {
    const now = this.clock.now();
    const { hearing, context } = this;
    const pts = playedPts ?? hearing.playout.position(now);
    if (this.#phase !== "leaving") hearing.cancelledPts = pts ?? hearing.playout.estimate(now);
    const live = this.#live;
    if (live) this.#phase = "leaving";
    this.#stopWriting();
    hearing.inbox.dropAudio();
    if (this.#phase === "new") {
      this.#phase = "over";
      this.#unabort?.();
      hearing.inbox.close();
    } else if (live) {
      this.#post({ type: "cancel", context, ...(pts !== null && { played_pts: hearing.there(pts) }) });
      if (!this.outbox.flowing) hearing.reportHere();
    }
    this.#tell();
  }

  /** See `Utterance.cancel`. */
  async cancel(playedPts: number | null): Promise<m.CancelledMessage> {
    const { hearing } = this;
    this.leave(playedPts);
    while (hearing.cancelled === null && this.#phase === "leaving") await this.#news.wait();
    if (hearing.cancelled === null) {
      hearing.cancelled = hearing.report(hearing.cancelledPts ?? 0);
      hearing.inbox.putBeforeDone(hearing.cancelled);
    }
    return hearing.cancelled;
  }

  hold(): void {
    this.hearing.playout.pause(this.clock.now());
    if (this.#held) return;
    this.#held = true;
    if (this.#live) this.#post({ type: "hold", context: this.context });
  }

  release(): void {
    this.hearing.playout.goOn(this.clock.now());
    if (!this.#held) return;
    this.#held = false;
    if (this.#live && !this.#heldBack) this.#post({ type: "release", context: this.context });
  }

  /** See `Utterance.configure`. */
  configure(options: ConfigureOptions): void {
    const change = configure(this.context, options);
    if (change === null) return;
    // A fresh session gets it with its `start`.
    this.#start = configured(this.#start, change);
    if (this.#live) this.#post(change);
  }

  /** Ends it from this side, at once. */
  fail(error: Error): void {
    if (!this.#live) return;
    this.#failure = error;
    this.hearing.inbox.fail(error);
    this.leave(null);
  }

  // -- what its text side needs -------------------------------------------------------------------------------------

  get takesText(): boolean {
    return this.#live && this.#failure === null;
  }

  get starting(): boolean {
    return this.#phase === "opening";
  }

  get leaving(): boolean {
    return this.#phase === "leaving" || this.#phase === "refused";
  }

  get clock(): Clock {
    return this.#link.clock;
  }

  get limits(): m.Limits {
    return (this.#line as Line).ready.limits;
  }

  get outbox(): Outbox {
    return (this.#line as Line).outbox;
  }

  whyOver(): Error {
    if (this.#failure !== null) return this.#failure;
    const { context } = this;
    return new VoxwireError("client.context_ended", `context ${context} takes no more text`, { context });
  }

  get #live(): boolean {
    return this.#phase === "opening" || this.#phase === "open";
  }

  #stopWriting(): void {
    this.onStopped?.();
    this.onStopped = null;
  }

  #tell(): void {
    this.#news.tell();
    this.writing.news();
  }

  #post(message: m.ClientMessage): void {
    if (this.outbox.over === null) this.outbox.post(message);
  }

  // -- what the server says -----------------------------------------------------------------------------------------

  take(message: ContextMessage): void {
    if (this.#phase === "refused" || this.#phase === "over") return;
    switch (message.type) {
      case "accepted":
        this.writing.accepted(message);
        break;
      case "error":
        this.#takeError(VoxwireError.fromMessage(message));
        break;
      case "done":
        this.#takeDone(message);
        break;
      case "started":
        if (this.#phase === "opening") this.#phase = "open";
        this.hearing.start(message);
        break;
      case "cancelled":
        this.hearing.cancel(message);
        break;
      case "warning":
        if (this.#live) this.hearing.inbox.put(message);
        break;
      default:
        this.#takeNote(message);
    }
    this.#tell();
  }

  takeFrame(frame: AudioFrame): void {
    const now = this.clock.now();
    if (this.#phase !== "open" || !this.hearing.frame(frame, now)) return;
    this.#restarts = 0;
    this.ttfaClientMs ??= now - (this.writing.firstTextAt ?? now);
    this.#holdBack();
  }

  acknowledgement(): m.AckMessage | null {
    return this.#phase === "open" ? this.hearing.acknowledgement(this.clock.now()) : null;
  }

  progress(): { readonly seq: number | null; readonly textSeq: number | null } {
    return { seq: this.hearing.receivedThere, textSeq: this.writing.acceptedSeq };
  }

  /** The listener is slow: let the server wait, rather than all other contexts. */
  #holdBack(): void {
    const { length } = this.hearing.inbox;
    if (length >= EVENTS_MAX) {
      this.fail(new VoxwireError("client.slow_reader", `nobody takes the events of ${this.context}`));
    } else if (length >= EVENTS_HOLD && !this.#heldBack) {
      this.#heldBack = true;
      if (!this.#held) this.#post({ type: "hold", context: this.context });
    }
  }

  #takeNote(message: Exclude<Note, m.DoneMessage>): void {
    const note = this.hearing.note(message);
    if (note.type === "flushed") this.writing.flushed(note);
    if (this.#live) this.hearing.inbox.put(note);
  }

  #takeDone(message: m.DoneMessage): void {
    if (this.hearing.done === null) {
      const done = this.hearing.note(message);
      const error = this.#failure ?? new VoxwireError("system.engine_failed", "the speech failed");
      this.hearing.finish(done, done.reason === "error" ? error : null);
    }
    this.#over();
  }

  #takeError(error: VoxwireError): void {
    if (isHarmless(error) || this.#phase === "leaving") return;
    if (this.#phase === "opening") {
      this.#takeRefusal(error);
    } else if (error.code === "client.text_buffer_full") {
      this.writing.full(pauseMs(error));
    } else if (error.errorClass !== "client") {
      // What is ready still comes, then `done`.
      this.#failure = error;
      this.#stopWriting();
    } else {
      this.fail(error);
    }
  }

  /** There is no such context; but a text sent after its `start` may have opened one, with defaults. */
  #takeRefusal(error: VoxwireError): void {
    if (error.code === "server.draining" && this.#link.move(this)) return;
    if (this.#restarts > 0 && error.retryable) {
      void this.#startAgain(error, this.#line);
      return;
    }
    this.#failure = error;
    this.hearing.inbox.fail(error);
    this.#stopWriting();
    if (!this.writing.said) return this.#over();
    this.#phase = "refused";
    void this.#sweepUp();
  }

  /** What was being heard is worth another attempt; every attempt counts as a restart. */
  async #startAgain(error: VoxwireError, line: Line | null): Promise<void> {
    if (this.#restarts >= RESTARTS_MAX) return this.fail(error);
    this.#restarts++;
    await sleep(this.clock, pauseMs(error));
    if (this.#phase === "opening" && this.#line === line) this.#post(this.#startAnew());
  }

  async #sweepUp(): Promise<void> {
    try {
      await this.outbox.send({ type: "cancel", context: this.context });
      await this.outbox.ping();
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
    } finally {
      this.#over();
    }
  }

  #over(): void {
    this.#phase = "over";
    this.#stopWriting();
    this.#unabort?.();
    this.#line?.detach(this);
    this.#tell();
  }

  // -- what becomes of the connection -------------------------------------------------------------------------------

  interrupted(event: InterruptedEvent): void {
    if (this.#phase === "leaving") {
      this.hearing.reportHere();
      this.#tell();
    } else if (this.#live) {
      this.hearing.inbox.put(event);
    }
  }

  resumed(event: ReconnectedEvent): void {
    if (this.#live) this.hearing.inbox.put(event);
  }

  restart(line: Line, event: ReconnectedEvent | null): void {
    this.#line = line;
    if (!this.takesText) {
      if (this.#phase === "leaving") this.hearing.reportHere();
      this.hearing.inbox.close(this.#failure);
      return this.#over();
    }
    this.#restarts++;
    if (this.#restarts > RESTARTS_MAX) {
      const problem = `context ${this.context} ended ${RESTARTS_MAX} sessions`;
      return this.lost(new ConnectionLost(CloseCode.INTERNAL, problem));
    }
    const { pts, chars } = this.hearing.beginAnew();
    if (event !== null) this.hearing.inbox.put({ ...event, pts, chars });
    for (const id of this.writing.beginAnew(chars)) this.hearing.answer(id);
    if (this.writing.ended && this.hearing.heardAll(chars)) {
      this.hearing.finishHere("completed");
      return this.#over();
    }
    this.#phase = "opening";
    this.#post(this.#startAnew());
    if (this.#held || this.#heldBack) this.#post({ type: "hold", context: this.context });
    this.writing.sayLeft().catch((error: unknown) => {
      if (!(error instanceof ConnectionLost)) throw error;
    });
  }

  #startAnew(): m.StartMessage {
    const { started } = this.hearing;
    return started === null ? this.#start : sameAgain(this.#start, started);
  }

  lost(error: ConnectionLost): void {
    if (this.#phase === "over") return;
    this.#failure ??= error;
    this.hearing.inbox.close(error);
    this.#over();
  }
}
