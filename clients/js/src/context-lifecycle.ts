/**
 * Owns the state of a context, and what changes it: its caller, the server, and the connection.
 *
 *     new ----open---> opening ---started---> open ------done------> over
 *      |                 |  \                  |                      ^
 *      |               error  +----cancel------+--> cancelling --done-+
 *      |                 v                                            |
 *      +---cancel     refused ---cancel and ping are answered --------+
 *           |                                                         |
 *           +---------------------------------------------------------+
 *
 * When the server session is lost, an open context returns to `opening` in another session, with the text that was not
 * heard. When the connection is lost for good, every context is over. The handlers of server messages (`onMessage`,
 * `onFrame`) never wait, so that a slow reader of one context delays no other.
 */

import { type Clock, sleep } from "./clock.js";
import { AudioReceiver } from "./audio-receiver.js";
import { Condition } from "./condition.js";
import { ConnectionLost, isHarmless, pauseMs } from "./errors.js";
import type { InterruptedEvent, ReconnectedEvent, SpeechEvent } from "./events.js";
import { configure, configured, type ConfigureOptions, restartMessage } from "./options.js";
import type { Outbox } from "./outbox.js";
import type { AudioFrame } from "./protocol/audio.js";
import { CloseCode, VoxwireError } from "./protocol/errors.js";
import type * as m from "./protocol/messages.js";
import type { ContextHandler, ResumableConnection } from "./resumable-connection.js";
import type { ContextMessage } from "./server-session.js";
import { type TextContext, TextSender } from "./text-sender.js";
import type { OffsetMessage } from "./timeline-offset.js";

/** With so many unread events (30 seconds of audio), the server is asked to hold. */
const EVENTS_HOLD = 1500;
const EVENTS_RELEASE = 500;
/** Fails the context. Far above what can still arrive after a `hold` was sent. */
const EVENTS_MAX = 1 << 16;
/** Sessions in a row that may end without a new frame: the text of this very context may be what ends them. */
const RESTARTS_MAX = 5;

/** What a context needs of the client's session. */
export interface ContextSession {
  readonly clock: Clock;
  /**
   * Adds the context to a connection; waits until a former context of the same name is over.
   *
   * @throws RangeError the name is in use. ConnectionLost: the session is over.
   */
  attach(context: ContextHandler): Promise<ResumableConnection>;
  /** Moves the context to another connection, as its server is draining; false if there is none. */
  move(context: ContextHandler): boolean;
}

type Phase = "new" | "opening" | "open" | "cancelling" | "refused" | "over";

/** The implementation behind an `Utterance` and a `Context`. */
export class ContextLifecycle implements ContextHandler, TextContext {
  readonly context: string;
  readonly receiver: AudioReceiver;
  readonly sender: TextSender;
  ttfaClientMs: number | null = null;
  /** Called once, when the context takes no more text. */
  onStopped: (() => void) | null = null;
  readonly #session: ContextSession;
  readonly #changed = new Condition();
  #start: m.StartMessage;
  #connection: ResumableConnection | null = null;
  #phase: Phase = "new";
  #opening: Promise<void> | null = null;
  #failure: Error | null = null;
  /** Whether the caller holds the context. */
  #held = false;
  /** Whether this side holds the context, because its events are not read. */
  #heldForReader = false;
  #restarts = 0;
  #removeAbortListener: (() => void) | null = null;

  constructor(session: ContextSession, start: m.StartMessage, signal: AbortSignal | undefined) {
    this.context = start.context;
    this.#session = session;
    this.#start = start;
    this.receiver = new AudioReceiver(start.context);
    this.sender = new TextSender(this, this.receiver.transcript);
    if (signal === undefined) return;
    const cancel = () => this.startCancel(null);
    signal.addEventListener("abort", cancel);
    this.#removeAbortListener = () => signal.removeEventListener("abort", cancel);
    if (signal.aborted) cancel();
  }

  // -- called by the context's user ---------------------------------------------------------------------------------

  /** Opens the context, once. Throws ConnectionLost or RangeError, as `ContextSession.attach`. */
  open(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<void> {
    if (this.#phase !== "new") return;
    this.#connection = await this.#session.attach(this);
    // The context may have been cancelled while it waited for its name.
    if ((this.#phase as Phase) === "over") return this.#connection.removeContext(this);
    this.#phase = "opening";
    const sent = this.outbox.send(this.#start);
    if (this.#held) this.#post({ type: "hold", context: this.context });
    await sent;
  }

  /** The next event, null at the end. Throws the error that ended the context. */
  async next(): Promise<SpeechEvent | null> {
    const event = await this.receiver.events.get();
    if (this.#heldForReader && this.receiver.events.length <= EVENTS_RELEASE) {
      this.#heldForReader = false;
      if (!this.#held && this.#live) this.#post({ type: "release", context: this.context });
    }
    return event;
  }

  /** Cancels: takes no more text and drops unread audio. The name stays in use until the server's `done`. */
  startCancel(playedPts: number | null): void {
    const now = this.clock.now();
    const { receiver, context } = this;
    const pts = playedPts ?? receiver.playout.position(now);
    if (this.#phase !== "cancelling") receiver.cancelledPts = pts ?? receiver.playout.estimate(now);
    const live = this.#live;
    if (live) this.#phase = "cancelling";
    this.#stopText();
    receiver.events.dropAudio();
    if (this.#phase === "new") {
      this.#phase = "over";
      this.#removeAbortListener?.();
      receiver.events.close();
    } else if (live) {
      this.#post({ type: "cancel", context, ...(pts !== null && { played_pts: receiver.toSessionPts(pts) }) });
      if (!this.outbox.connected) receiver.reportLocally();
    }
    this.#notify();
  }

  /** See `Utterance.cancel`. */
  async cancel(playedPts: number | null): Promise<m.CancelledMessage> {
    const { receiver } = this;
    this.startCancel(playedPts);
    while (receiver.cancelled === null && this.#phase === "cancelling") await this.#changed.wait();
    if (receiver.cancelled === null) {
      receiver.cancelled = receiver.report(receiver.cancelledPts ?? 0);
      receiver.events.putBeforeDone(receiver.cancelled);
    }
    return receiver.cancelled;
  }

  hold(): void {
    this.receiver.playout.pause(this.clock.now());
    if (this.#held) return;
    this.#held = true;
    if (this.#live) this.#post({ type: "hold", context: this.context });
  }

  release(): void {
    this.receiver.playout.resume(this.clock.now());
    if (!this.#held) return;
    this.#held = false;
    if (this.#live && !this.#heldForReader) this.#post({ type: "release", context: this.context });
  }

  /** See `Utterance.configure`. */
  configure(options: ConfigureOptions): void {
    const change = configure(this.context, options);
    if (change === null) return;
    // Another session receives the change with its `start`.
    this.#start = configured(this.#start, change);
    if (this.#live) this.#post(change);
  }

  /** Ends the context at once with an error of this side. */
  fail(error: Error): void {
    if (!this.#live) return;
    this.#failure = error;
    this.receiver.events.fail(error);
    this.startCancel(null);
  }

  // -- TextContext -----------------------------------------------------------------------------------------------

  get takesText(): boolean {
    return this.#live && this.#failure === null;
  }

  get starting(): boolean {
    return this.#phase === "opening";
  }

  get closing(): boolean {
    return this.#phase === "cancelling" || this.#phase === "refused";
  }

  get clock(): Clock {
    return this.#session.clock;
  }

  get limits(): m.Limits {
    return (this.#connection as ResumableConnection).ready.limits;
  }

  get outbox(): Outbox {
    return (this.#connection as ResumableConnection).outbox;
  }

  endError(): Error {
    if (this.#failure !== null) return this.#failure;
    const { context } = this;
    return new VoxwireError("client.context_ended", `context ${context} takes no more text`, { context });
  }

  get #live(): boolean {
    return this.#phase === "opening" || this.#phase === "open";
  }

  #stopText(): void {
    this.onStopped?.();
    this.onStopped = null;
  }

  #notify(): void {
    this.#changed.notifyAll();
    this.sender.notify();
  }

  #post(message: m.ClientMessage): void {
    if (this.outbox.lost === null) this.outbox.post(message);
  }

  // -- messages of the server ---------------------------------------------------------------------------------------

  onMessage(message: ContextMessage): void {
    if (this.#phase === "refused" || this.#phase === "over") return;
    switch (message.type) {
      case "accepted":
        this.sender.onAccepted(message);
        break;
      case "error":
        this.#onError(VoxwireError.fromMessage(message));
        break;
      case "done":
        this.#onDone(message);
        break;
      case "started":
        if (this.#phase === "opening") this.#phase = "open";
        this.receiver.onStarted(message);
        break;
      case "cancelled":
        this.receiver.onCancelled(message);
        break;
      case "warning":
        if (this.#live) this.receiver.events.put(message);
        break;
      default:
        this.#onTimeline(message);
    }
    this.#notify();
  }

  onFrame(frame: AudioFrame): void {
    const now = this.clock.now();
    if (this.#phase !== "open" || !this.receiver.onFrame(frame, now)) return;
    this.#restarts = 0;
    this.ttfaClientMs ??= now - (this.sender.firstTextAt ?? now);
    this.#limitUnread();
  }

  nextAck(): m.AckMessage | null {
    return this.#phase === "open" ? this.receiver.nextAck(this.clock.now()) : null;
  }

  progress(): { readonly seq: number | null; readonly textSeq: number | null } {
    return { seq: this.receiver.receivedSessionSeq, textSeq: this.sender.acceptedSeq };
  }

  /** Asks the server to hold when the caller reads too slowly, so that other contexts are not held up. */
  #limitUnread(): void {
    const { length } = this.receiver.events;
    if (length >= EVENTS_MAX) {
      this.fail(new VoxwireError("client.slow_reader", `the events of ${this.context} are not read`));
    } else if (length >= EVENTS_HOLD && !this.#heldForReader) {
      this.#heldForReader = true;
      if (!this.#held) this.#post({ type: "hold", context: this.context });
    }
  }

  #onTimeline(message: Exclude<OffsetMessage, m.DoneMessage>): void {
    const shifted = this.receiver.onMessage(message);
    if (shifted.type === "flushed") this.sender.onFlushed(shifted);
    if (this.#live) this.receiver.events.put(shifted);
  }

  #onDone(message: m.DoneMessage): void {
    if (this.receiver.done === null) {
      const done = this.receiver.onMessage(message);
      const error = this.#failure ?? new VoxwireError("system.engine_failed", "the speech failed");
      this.receiver.finish(done, done.reason === "error" ? error : null);
    }
    this.#end();
  }

  #onError(error: VoxwireError): void {
    if (isHarmless(error) || this.#phase === "cancelling") return;
    if (this.#phase === "opening") {
      this.#onRefused(error);
    } else if (error.code === "client.text_buffer_full") {
      this.sender.onFull(pauseMs(error));
    } else if (error.errorClass !== "client") {
      // Audio that is ready still comes, then `done`.
      this.#failure = error;
      this.#stopText();
    } else {
      this.fail(error);
    }
  }

  /** The `start` was refused. A text sent after it may still have opened a context, with default settings. */
  #onRefused(error: VoxwireError): void {
    if (error.code === "server.draining" && this.#session.move(this)) return;
    if (this.#restarts > 0 && error.retryable) {
      void this.#retryStart(error, this.#connection);
      return;
    }
    this.#failure = error;
    this.receiver.events.fail(error);
    this.#stopText();
    if (!this.sender.sentAny) return this.#end();
    this.#phase = "refused";
    void this.#cancelStray();
  }

  /** Sends the `start` again after a pause, for a context that was already speaking; counts as a restart. */
  async #retryStart(error: VoxwireError, connection: ResumableConnection | null): Promise<void> {
    if (this.#restarts >= RESTARTS_MAX) return this.fail(error);
    this.#restarts++;
    await sleep(this.clock, pauseMs(error));
    if (this.#phase === "opening" && this.#connection === connection) this.#post(this.#restartMessage());
  }

  /** Cancels the context that a text may have opened after the refusal, and waits until the server has done so. */
  async #cancelStray(): Promise<void> {
    try {
      await this.outbox.send({ type: "cancel", context: this.context });
      await this.outbox.ping();
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
    } finally {
      this.#end();
    }
  }

  #end(): void {
    this.#phase = "over";
    this.#stopText();
    this.#removeAbortListener?.();
    this.#connection?.removeContext(this);
    this.#notify();
  }

  // -- changes of the connection ------------------------------------------------------------------------------------

  onInterrupted(event: InterruptedEvent): void {
    if (this.#phase === "cancelling") {
      this.receiver.reportLocally();
      this.#notify();
    } else if (this.#live) {
      this.receiver.events.put(event);
    }
  }

  onResumed(event: ReconnectedEvent): void {
    if (this.#live) this.receiver.events.put(event);
  }

  restart(connection: ResumableConnection, event: ReconnectedEvent | null): void {
    this.#connection = connection;
    if (!this.takesText) {
      if (this.#phase === "cancelling") this.receiver.reportLocally();
      this.receiver.events.close(this.#failure);
      return this.#end();
    }
    this.#restarts++;
    if (this.#restarts > RESTARTS_MAX) {
      const problem = `context ${this.context} ended ${RESTARTS_MAX} sessions`;
      return this.onLost(new ConnectionLost(CloseCode.INTERNAL, problem));
    }
    const { pts, chars } = this.receiver.restart();
    if (event !== null) this.receiver.events.put({ ...event, pts, chars });
    for (const id of this.sender.restart(chars)) this.receiver.putFlushed(id);
    if (this.sender.ended && this.receiver.isComplete(chars)) {
      this.receiver.finishLocally("completed");
      return this.#end();
    }
    this.#phase = "opening";
    this.#post(this.#restartMessage());
    if (this.#held || this.#heldForReader) this.#post({ type: "hold", context: this.context });
    this.sender.sendPending().catch((error: unknown) => {
      if (!(error instanceof ConnectionLost)) throw error;
    });
  }

  #restartMessage(): m.StartMessage {
    const { started } = this.receiver;
    return started === null ? this.#start : restartMessage(this.#start, started);
  }

  onLost(error: ConnectionLost): void {
    if (this.#phase === "over") return;
    this.#failure ??= error;
    this.receiver.events.close(error);
    this.#end();
  }
}
