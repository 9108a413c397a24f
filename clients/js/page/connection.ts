/** Owns the page's session: opens it, with a token if there is an API key, reports its state, and can drop it. */

import { connect, ConnectionLost, VoxwireError, type Session } from "../src/index.js";
import { askServer, HttpRefusal } from "./voices.js";

export type ConnectionState = "idle" | "connecting" | "connected" | "reconnecting" | "resumed" | "refused" | "lost";

const RETRY_MS = [1000, 2000, 4000, 8000, 15_000];
const POLL_MS = 250;
const STORAGE_KEY = "voxwire.key";
/** The close code of `cut`. Not 1000, by which a client ends its session: the server must keep it for a resume. */
const CUT = 4999;
const CLOSED_NORMALLY = 1000;

/** A WebSocket that can be cut as if the network had failed: this side sees a close with code 1006. */
class CuttableSocket extends WebSocket {
  #isCut = false;

  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols);
    // Added before all other listeners, so that those get no event after the cut.
    for (const type of ["open", "message", "error", "close"]) {
      this.addEventListener(type, (event) => {
        if (this.#isCut && event.isTrusted) event.stopImmediatePropagation();
      });
    }
  }

  cut(): void {
    if (this.#isCut || this.readyState > WebSocket.OPEN) return;
    this.#isCut = true;
    this.close(CUT, "cut on purpose");
    this.dispatchEvent(new CloseEvent("close", { code: 1006, wasClean: false }));
  }
}

/** The answer of `POST /v1/tokens`. */
interface TokenAnswer {
  token: string;
  expires_in: number;
}

/** The connection of the page to its server: one session at a time, replaced when it can't be used any more. */
export class PageConnection {
  readonly #onState: (state: ConnectionState) => void;
  readonly #onAway: (away: boolean) => void;
  #session: Session | null = null;
  #encoding = "";
  #opening: Promise<Session> | null = null;
  #socket: CuttableSocket | null = null;
  #state: ConnectionState = "idle";
  #retries = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #key = storedKey();

  /** `onState` is called for each new state; `onAway` when the connection drops (true) and when it is back (false). */
  constructor(onState: (state: ConnectionState) => void, onAway: (away: boolean) => void) {
    this.#onState = onState;
    this.#onAway = onAway;
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get apiKey(): string {
    return this.#key;
  }

  /** Uses `key` from now on; with `keep`, also after a reload, until the tab is closed. */
  useKey(key: string, keep: boolean): void {
    this.#key = key;
    try {
      if (keep) sessionStorage.setItem(STORAGE_KEY, key);
      else sessionStorage.removeItem(STORAGE_KEY);
    } catch {
      // The browser may forbid storage.
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

  /** Cuts the connection as if the network had failed; the session is resumed over a new one. */
  drop(): void {
    this.#socket?.cut();
  }

  /** The session was lost; with `retry`, opens a new one as soon as the server answers. */
  onLost(retry: boolean): void {
    this.#session = null;
    this.#setState(retry ? "lost" : "refused");
    if (retry) this.#retryLater();
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    const session = this.#session;
    this.#session = null;
    this.#setState("idle");
    await session?.close().catch(() => undefined);
  }

  async #connect(encoding: "json" | "msgpack"): Promise<Session> {
    this.#setState("connecting");
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/v1/stream`;
    try {
      const session = await connect(url, {
        encoding,
        ...(this.#key === "" ? {} : { token: () => this.#fetchToken() }),
        WebSocket: this.#socketClass(),
        onChange: (event) => this.#onChange(event),
      });
      this.#retries = 0;
      this.#setState("connected");
      void session.whenClosed().then((lost) => this.#onClosed(session, lost));
      return session;
    } catch (error) {
      this.#setState(error instanceof VoxwireError || error instanceof HttpRefusal ? "refused" : "lost");
      throw error;
    }
  }

  async #fetchToken(): Promise<string> {
    return (await askServer<TokenAnswer>("/v1/tokens", this.#key, "POST")).token;
  }

  /** A class of WebSockets whose newest instance is `#socket`. */
  #socketClass(): typeof WebSocket {
    const opened = (socket: CuttableSocket): void => {
      this.#socket = socket;
    };
    return class extends CuttableSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        opened(this);
      }
    };
  }

  #onClosed(session: Session, lost: ConnectionLost): void {
    if (session !== this.#session) return;
    this.#session = null;
    // The server closes idle sessions normally; a new one is opened when there is text to speak.
    if (lost.closeCode === CLOSED_NORMALLY) this.#setState("idle");
    else this.onLost(lost.retryable);
  }

  #onChange(event: { type: "interrupted" } | { type: "reconnected"; resumed: boolean }): void {
    if (event.type === "reconnected") {
      this.#onBack(event.resumed);
      return;
    }
    this.#setState("reconnecting");
    this.#onAway(true);
    this.#pollConnected();
  }

  /** Polls `session.connected`: a session that moves to another server raises no `reconnected`. */
  #pollConnected(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#state !== "reconnecting") return;
      if (this.#session?.connected === true) this.#onBack(false);
      else this.#pollConnected();
    }, POLL_MS);
  }

  #onBack(resumed: boolean): void {
    this.#setState(resumed ? "resumed" : "connected");
    this.#onAway(false);
  }

  /** Tries to connect every few seconds while the page is visible. */
  #retryLater(): void {
    clearTimeout(this.#timer);
    const wait = RETRY_MS[Math.min(this.#retries++, RETRY_MS.length - 1)]!;
    this.#timer = setTimeout(() => {
      if (document.hidden) return this.#retryLater();
      const encoding = this.#encoding === "msgpack" ? "msgpack" : "json";
      this.open(encoding).catch((error: unknown) => this.onLost(isUnreachable(error)));
    }, wait);
  }

  #setState(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#onState(state);
  }
}

/** Whether `error` means that the server could not be reached, rather than that it refused. */
export function isUnreachable(error: unknown): boolean {
  return error instanceof ConnectionLost || error instanceof TypeError;
}

function storedKey(): string {
  try {
    return sessionStorage.getItem(STORAGE_KEY) ?? "";
  } catch {
    return "";
  }
}
