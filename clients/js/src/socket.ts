/** Owns one WebSocket: which class makes it, what came and was not taken yet, and how it ended. */

import { CloseCode } from "./protocol/errors.js";
import type { Raw } from "./protocol/codec.js";

/** What is used of a WebSocket; browsers', Node's and the `ws` package's have it. */
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
  /** Ends the connection at once; browsers have no such thing. */
  terminate?(): void;
}

/** A class of WebSockets. `init` is given only where headers have to be sent. */
export type SocketClass = new (
  url: string,
  protocols: string[],
  init?: { readonly headers: Readonly<Record<string, string>> },
) => SocketLike;

/** How a connection ended. */
export interface Closed {
  /** 1006 where there was no goodbye. */
  readonly code: number;
  readonly reason: string;
}

/** What an open connection tells. */
export interface SocketListener {
  message(raw: Raw): void;
  closed(closed: Closed): void;
}

/**
 * The class to use where none is given: the platform's own, or that of `ws` where it has none or headers are wanted.
 *
 * @throws Error `ws` is needed, and not installed.
 */
export async function socketClass(withHeaders: boolean): Promise<SocketClass> {
  if (!withHeaders && typeof globalThis.WebSocket === "function") {
    return globalThis.WebSocket as unknown as SocketClass;
  }
  // Not a literal, so that nobody bundles for browsers what they can't use.
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

/** One connection. What comes waits here until there is a listener. */
export class Connection {
  readonly #socket: SocketLike;
  readonly #waiting: Raw[] = [];
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
    socket.onmessage = (event: { readonly data: unknown }) => this.#take(event.data);
    socket.onerror = (event: { readonly message?: unknown }) => {
      if (typeof event.message === "string") this.#problem = event.message;
    };
    socket.onclose = (event: Closed) => this.#end({ code: event.code, reason: event.reason || this.#problem });
  }

  /** Resolves when the connection is open; with how it ended where it never was. */
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

  /** Bytes that were given to the WebSocket and not to the network yet. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** The next message, or how the connection ended. Not beside `listen`. */
  async next(): Promise<Raw | Closed> {
    while (this.#waiting.length === 0) {
      if (this.#closed !== null) return this.#closed;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#waiting.shift() as Raw;
  }

  /** Gives everything that came and will come to `listener`, at once. */
  listen(listener: SocketListener): void {
    this.#listener = listener;
    while (this.#waiting.length > 0 && this.#listener !== null) listener.message(this.#waiting.shift() as Raw);
    if (this.#closed !== null && this.#listener !== null) listener.closed(this.#closed);
  }

  /** Sends a message; without effect when the connection is gone. */
  send(raw: Raw): void {
    if (this.#closed === null) this.#socket.send(raw as string | Uint8Array<ArrayBuffer>);
  }

  /** Says goodbye; the listener is told when the other side has answered. */
  close(code: number, reason = ""): void {
    if (this.#closed !== null) return;
    try {
      this.#socket.close(code, reason);
    } catch {
      this.#socket.close(); // Browsers let pages use few of the codes.
    }
  }

  /** Takes the connection for gone, at once, and says why. */
  abort(reason = ""): void {
    if (this.#closed !== null) return;
    // What an aborted handshake throws or tells is of no interest.
    this.#socket.onmessage = this.#socket.onclose = this.#socket.onopen = null;
    this.#socket.onerror = () => undefined;
    if (this.#socket.terminate !== undefined) this.#socket.terminate();
    else this.#socket.close();
    this.#end({ code: CloseCode.ABNORMAL, reason });
  }

  #take(data: unknown): void {
    const raw = typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer);
    if (this.#listener !== null) return this.#listener.message(raw);
    this.#waiting.push(raw);
    this.#wake?.();
  }

  #end(closed: Closed): void {
    if (this.#closed !== null) return;
    // 1005: the other side gave no code. 0 comes from sockets that never opened.
    this.#closed = closed.code === 0 ? { ...closed, code: CloseCode.ABNORMAL } : closed;
    this.#wake?.();
    this.#listener?.closed(this.#closed);
  }
}
