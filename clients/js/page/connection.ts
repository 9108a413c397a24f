/** Owns the page's session: opens it, with a token where the server wants one, says how it is, and can drop it on purpose. */

import { connect, ConnectionLost, VoxwireError, type Session } from "../src/index.js";
import { askServer, HttpRefusal } from "./voices.js";

export type ConnectionState = "idle" | "connecting" | "connected" | "reconnecting" | "resumed" | "refused" | "lost";

const RETRY_MS = [1000, 2000, 4000, 8000, 15_000];
const WATCH_MS = 250;
const KEY_STORED = "voxwire.key";

/** A WebSocket that can be cut: this side sees a network that failed, whatever the other side says about it. */
class FragileSocket extends WebSocket {
  #isCut = false;

  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    // The first listeners, so that nobody hears of what comes after the cut.
    for (const type of ["open", "message", "error", "close"]) {
      this.addEventListener(type, (event) => {
        if (this.#isCut && event.isTrusted) event.stopImmediatePropagation();
      });
    }
  }

  cut(): void {
    if (this.#isCut || this.readyState > WebSocket.OPEN) return;
    this.#isCut = true;
    // Not 1000, by which a client ends its session: the server keeps it for a resume.
    this.close(CUT, "cut on purpose");
    this.dispatchEvent(new CloseEvent("close", { code: 1006, wasClean: false }));
  }
}

const CUT = 4999;
const CLOSED_NORMALLY = 1000;

interface Minted {
  token: string;
  expires_in: number;
}

/** One session at a time; a new one whenever the last can't be used any more. */
export class PageConnection {
  readonly #changed: (state: ConnectionState) => void;
  readonly #awayChanged: (away: boolean) => void;
  #session: Session | null = null;
  #encoding = "";
  #opening: Promise<Session> | null = null;
  #socket: FragileSocket | null = null;
  #state: ConnectionState = "idle";
  #retries = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #key = kept();

  /** `changed` for each state; `away` when the connection drops and when it is back. */
  constructor(changed: (state: ConnectionState) => void, away: (away: boolean) => void) {
    this.#changed = changed;
    this.#awayChanged = away;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get apiKey(): string {
    return this.#key;
  }

  /** Use `key` from now on; with `keep`, until the tab closes, else until the page does. */
  useKey(key: string, keep: boolean): void {
    this.#key = key;
    try {
      if (keep) sessionStorage.setItem(KEY_STORED, key);
      else sessionStorage.removeItem(KEY_STORED);
    } catch {
      // Storage can be forbidden.
    }
    void this.close();
  }

  /**
   * The open session, or a new one.
   *
   * @throws VoxwireError, HttpRefusal: refused. ConnectionLost, TypeError: the server can't be reached.
   */
  async open(encoding: "json" | "msgpack"): Promise<Session> {
    if (this.#session !== null && !this.#session.closed && this.#encoding === encoding) return this.#session;
    if (this.#opening !== null && this.#encoding === encoding) return this.#opening;
    clearTimeout(this.#timer);
    const former = this.#session;
    this.#session = null;
    void former?.close().catch(() => undefined);
    this.#encoding = encoding;
    this.#opening = this.#connect(encoding);
    try {
      return (this.#session = await this.#opening);
    } finally {
      this.#opening = null;
    }
  }

  /** The connection goes down as if the network had: the session is resumed on a new one. */
  drop(): void {
    this.#socket?.cut();
  }

  /** What ended a session: it can't be used any more, and a new one is looked for when `retry`. */
  lost(retry: boolean): void {
    this.#session = null;
    this.#become(retry ? "lost" : "refused");
    if (retry) this.#retryLater();
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    const session = this.#session;
    this.#session = null;
    this.#become("idle");
    await session?.close().catch(() => undefined);
  }

  async #connect(encoding: "json" | "msgpack"): Promise<Session> {
    this.#become("connecting");
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/stream`;
    try {
      const session = await connect(url, {
        encoding,
        ...(this.#key === "" ? {} : { token: () => this.#mint() }),
        WebSocket: this.#watched(),
        onChange: (event) => this.#onChange(event),
      });
      this.#retries = 0;
      this.#become("connected");
      void session.whenClosed().then((lost) => this.#ended(session, lost));
      return session;
    } catch (error) {
      this.#become(error instanceof VoxwireError || error instanceof HttpRefusal ? "refused" : "lost");
      throw error;
    }
  }

  async #mint(): Promise<string> {
    return (await askServer<Minted>("/v1/tokens", this.#key, "POST")).token;
  }

  /** WebSocket, of which the newest is remembered. */
  #watched(): typeof WebSocket {
    const opened = (socket: FragileSocket): void => {
      this.#socket = socket;
    };
    return class extends FragileSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        opened(this);
      }
    };
  }

  #ended(session: Session, lost: ConnectionLost): void {
    if (session !== this.#session) return;
    this.#session = null;
    // A server that closes in good order (nothing was said for long) is asked again when there is something to say.
    if (lost.closeCode === CLOSED_NORMALLY) this.#become("idle");
    else this.lost(lost.retryable);
  }

  #onChange(event: { type: "interrupted" } | { type: "reconnected"; resumed: boolean }): void {
    if (event.type === "reconnected") {
      this.#back(event.resumed);
      return;
    }
    this.#become("reconnecting");
    this.#awayChanged(true);
    this.#watchForReturn();
  }

  /** A session that goes on elsewhere, because its server went away for good, is back without a word. */
  #watchForReturn(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#state !== "reconnecting") return;
      if (this.#session?.connected === true) this.#back(false);
      else this.#watchForReturn();
    }, WATCH_MS);
  }

  #back(resumed: boolean): void {
    this.#become(resumed ? "resumed" : "connected");
    this.#awayChanged(false);
  }

  /** Look for the server every few seconds, for as long as the page is looked at. */
  #retryLater(): void {
    clearTimeout(this.#timer);
    const wait = RETRY_MS[Math.min(this.#retries++, RETRY_MS.length - 1)]!;
    this.#timer = setTimeout(() => {
      if (document.hidden) this.#retryLater();
      else this.open(this.#encoding === "msgpack" ? "msgpack" : "json").catch((error: unknown) => this.lost(isLoss(error)));
    }, wait);
  }

  #become(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#changed(state);
  }
}

/** Whether `error` says that the server was not reached, rather than that it refused. */
export function isLoss(error: unknown): boolean {
  return error instanceof ConnectionLost || error instanceof TypeError;
}

function kept(): string {
  try {
    return sessionStorage.getItem(KEY_STORED) ?? "";
  } catch {
    return "";
  }
}
