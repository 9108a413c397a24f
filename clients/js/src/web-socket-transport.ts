/** Owns one WebSocket: the class that makes it, the messages received and not read yet, and how it closed. */

import { CloseCode } from "./protocol/errors.js";
import type { Raw } from "./protocol/codec.js";

/** The part of a WebSocket that the client uses; those of browsers, of Node and of the package `ws` have it. */
export interface SocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly protocol: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number, reason?: string): void;
  /** Ends the connection at once; not in browsers. */
  terminate?(): void;
}

/** A class of WebSockets. `init` is passed only when headers have to be sent. */
export type SocketClass = new (
  url: string,
  protocols: string[],
  init?: { readonly headers: Readonly<Record<string, string>> },
) => SocketLike;

/** How a WebSocket closed. */
export interface Closed {
  /** 1006 without a close frame. */
  readonly code: number;
  readonly reason: string;
}

/** Receives the messages of an open WebSocket, then its close. */
export interface SocketListener {
  onMessage(raw: Raw): void;
  onClosed(closed: Closed): void;
}

/**
 * The default class of WebSockets: the platform's, or that of `ws` if the platform has none or headers are needed.
 *
 * @throws Error `ws` is needed, and not installed.
 */
export async function socketClass(withHeaders: boolean): Promise<SocketClass> {
  if (!withHeaders && typeof globalThis.WebSocket === "function") {
    return globalThis.WebSocket as unknown as SocketClass;
  }
  // Not a literal, so that bundlers leave `ws`, which browsers can't use, out of their bundles.
  const name = "ws";
  try {
    const found = (await import(/* webpackIgnore: true */ /* @vite-ignore */ name)) as { readonly default: SocketClass };
    return found.default;
  } catch (error) {
    const why = withHeaders
      ? "an API key goes in a header, which browsers and this platform's WebSocket can't send: use a token, or in Node the package `ws`"
      : "this platform has no WebSocket: install the package `ws`, or give one as the option `WebSocket`";
    throw new Error(`${why} (npm install ws)`, { cause: error });
  }
}

/** One WebSocket. Messages are buffered until `next` or a listener takes them. */
export class WebSocketTransport {
  readonly #socket: SocketLike;
  readonly #buffered: Raw[] = [];
  #listener: SocketListener | null = null;
  #closed: Closed | null = null;
  #problem = "";
  #open = false;
  #wake: (() => void) | null = null;

  constructor(socket: SocketLike) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#open = true;
      this.#wake?.();
    };
    socket.onmessage = (event: { readonly data: unknown }) => this.#onData(event.data);
    socket.onerror = (event: { readonly message?: unknown }) => {
      if (typeof event.message === "string") this.#problem = event.message;
    };
    socket.onclose = (event: Closed) => this.#close({ code: event.code, reason: event.reason || this.#problem });
  }

  /** Resolves with null when the WebSocket is open, or with how it closed if it never opened. */
  async opened(): Promise<Closed | null> {
    while (!this.#open) {
      if (this.#closed !== null) return this.#closed;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return null;
  }

  get subprotocol(): string {
    return this.#socket.protocol;
  }

  /** Bytes that the WebSocket has not handed to the network yet. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** The next message, or how the WebSocket closed. Not to be used after `listen`. */
  async next(): Promise<Raw | Closed> {
    while (this.#buffered.length === 0) {
      if (this.#closed !== null) return this.#closed;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#buffered.shift() as Raw;
  }

  /** Passes all buffered and future messages to `listener`. */
  listen(listener: SocketListener): void {
    this.#listener = listener;
    while (this.#buffered.length > 0 && this.#listener !== null) listener.onMessage(this.#buffered.shift() as Raw);
    if (this.#closed !== null && this.#listener !== null) listener.onClosed(this.#closed);
  }

  /** Sends a message; without effect after the close. */
  send(raw: Raw): void {
    if (this.#closed === null) this.#socket.send(raw as string | Uint8Array<ArrayBuffer>);
  }

  /** Starts the closing handshake; `onClosed` follows when the other side has answered. */
  close(code: number, reason = ""): void {
    if (this.#closed !== null) return;
    try {
      this.#socket.close(code, reason);
    } catch {
      this.#socket.close(); // Browsers let pages use only some of the codes.
    }
  }

  /** Closes at once, without a handshake; `onClosed` is called with code 1006 and `reason`. */
  abort(reason = ""): void {
    if (this.#closed !== null) return;
    // An aborted handshake may still raise events, which mean nothing now.
    this.#socket.onmessage = this.#socket.onclose = this.#socket.onopen = null;
    this.#socket.onerror = () => undefined;
    if (this.#socket.terminate !== undefined) this.#socket.terminate();
    else this.#socket.close();
    this.#close({ code: CloseCode.ABNORMAL, reason });
  }

  #onData(data: unknown): void {
    const raw = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
    if (this.#listener !== null) return this.#listener.onMessage(raw);
    this.#buffered.push(raw);
    this.#wake?.();
  }

  #close(closed: Closed): void {
    if (this.#closed !== null) return;
    // 1005 means that the other side gave no code; 0 comes from WebSockets that never opened.
    this.#closed = closed.code === 0 ? { ...closed, code: CloseCode.ABNORMAL } : closed;
    this.#wake?.();
    this.#listener?.onClosed(this.#closed);
  }
}
