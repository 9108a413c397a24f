/** Owns opening connections: a WebSocket on which the server has said `ready`, or the error that prevented it. */

import { type Clock, withTimeout } from "./clock.js";
import { ConnectionLost } from "./errors.js";
import type { Encoding, WireCodec } from "./protocol/codec.js";
import { codecOf } from "./protocol/codec.js";
import { CloseCode, VoxwireError } from "./protocol/errors.js";
import type { ReadyMessage } from "./protocol/messages.js";
import { type Closed, WebSocketTransport, type SocketClass, socketClass } from "./web-socket-transport.js";

const STREAM_PATH = "/v1/stream";
const SCHEMES: Readonly<Record<string, string>> = { "http:": "ws:", "https:": "wss:", "ws:": "ws:", "wss:": "wss:" };
/** The message of `ws` when the handshake is answered with an HTTP error. */
const HTTP_ERROR = /server response: (\d{3})/;
/** HTTP statuses of the server, or of a proxy before it, after which a retry may succeed. */
const TEMPORARY: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** An open WebSocket, and the `ready` that the server sent on it. */
export interface OpenSocket {
  readonly socket: WebSocketTransport;
  readonly ready: ReadyMessage;
}

/** Credentials, encoding and the rest of what is the same for every attempt to connect. */
export interface DialOptions {
  readonly token: string | (() => Promise<string>) | undefined;
  readonly apiKey: string | undefined;
  readonly encoding: Encoding;
  readonly timeoutMs: number;
  readonly socketClass: SocketClass | undefined;
  readonly clock: Clock;
}

/** Opens connections to one server, all in one encoding and with the same credentials. */
export class Dialer {
  readonly url: string;
  readonly codec: WireCodec;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly #options: DialOptions;
  readonly #socketClass: SocketClass;

  private constructor(url: string, codec: WireCodec, chosen: SocketClass, options: DialOptions) {
    this.url = url;
    this.codec = codec;
    this.timeoutMs = options.timeoutMs;
    this.clock = options.clock;
    this.#options = options;
    this.#socketClass = chosen;
  }

  /** @throws TypeError the URL is invalid. Error: `ws` is needed, and not installed. */
  static async create(url: string, options: DialOptions): Promise<Dialer> {
    const address = streamUrl(url);
    const chosen = options.socketClass ?? (await socketClass(options.apiKey !== undefined));
    return new Dialer(address, await codecOf(options.encoding), chosen, options);
  }

  /**
   * Connects, within `timeoutMs` milliseconds in all. `resume` is the id of the session that the caller will resume.
   *
   * @throws VoxwireError the server refused.
   * @throws ConnectionLost no server answers, or it does not speak this protocol.
   */
  async dial(resume: string | null = null, timeoutMs = this.timeoutMs): Promise<OpenSocket> {
    let socket: WebSocketTransport | null = null;
    let timedOut = false;
    const work = async (): Promise<OpenSocket> => {
      const protocols = await this.#protocols();
      if (timedOut) throw new ConnectionLost(CloseCode.ABNORMAL, "");
      socket = this.#open(resume, protocols);
      return this.#awaitReady(socket);
    };
    return withTimeout(this.clock, timeoutMs, work(), () => {
      timedOut = true;
      socket?.abort();
      return new ConnectionLost(CloseCode.ABNORMAL, `${this.url} does not answer`);
    });
  }

  async #protocols(): Promise<string[]> {
    const { token } = this.#options;
    const protocols = [this.codec.subprotocol];
    if (token === undefined) return protocols;
    try {
      const fetched = typeof token === "string" ? token : await token();
      return [...protocols, `voxwire.token.${fetched}`];
    } catch (error) {
      throw withCause(new ConnectionLost(CloseCode.ABNORMAL, `the token could not be fetched: ${String(error)}`), error);
    }
  }

  #open(resume: string | null, protocols: string[]): WebSocketTransport {
    const url = resume === null ? this.url : resumeUrl(this.url, resume);
    const { apiKey } = this.#options;
    try {
      if (apiKey === undefined) return new WebSocketTransport(new this.#socketClass(url, protocols));
      const headers = { Authorization: `Bearer ${apiKey}` };
      return new WebSocketTransport(new this.#socketClass(url, protocols, { headers }));
    } catch (error) {
      // The page's security policy forbids the URL, or the token has characters that a subprotocol can't have.
      throw withCause(new ConnectionLost(CloseCode.POLICY, String(error)), error);
    }
  }

  async #awaitReady(socket: WebSocketTransport): Promise<OpenSocket> {
    const failed = await socket.opened();
    if (failed !== null) throw this.#handshakeError(failed);
    try {
      if (socket.subprotocol !== this.codec.subprotocol) {
        throw new ConnectionLost(CloseCode.POLICY, `${this.url} does not speak ${this.codec.subprotocol}`);
      }
      const first = await socket.next();
      if (isClosed(first)) throw new ConnectionLost(first.code, first.reason);
      const message = this.codec.decode(first);
      if (message.type === "error") throw VoxwireError.fromMessage(message);
      if (message.type !== "ready") {
        throw new ConnectionLost(CloseCode.POLICY, `the server began with ${message.type}, not with ready`);
      }
      return { socket, ready: message };
    } catch (error) {
      socket.abort();
      throw error;
    }
  }

  #handshakeError(failed: Closed): ConnectionLost {
    const problem = failed.reason === "" ? this.url : `${this.url}: ${failed.reason}`;
    const status = Number(HTTP_ERROR.exec(failed.reason)?.[1] ?? 0);
    if (status === 0) return new ConnectionLost(CloseCode.ABNORMAL, problem);
    const refusals: Readonly<Record<number, string>> = { 401: "client.not_authenticated", 403: "client.not_allowed" };
    const code = refusals[status];
    if (code !== undefined) return new ConnectionLost(refusalCode(code), problem, new VoxwireError(code, problem));
    return new ConnectionLost(TEMPORARY.has(status) ? CloseCode.ABNORMAL : CloseCode.POLICY, problem);
  }
}

/** Whether `WebSocketTransport.next` returned the close instead of a message. */
export function isClosed(next: string | Uint8Array | Closed): next is Closed {
  return typeof next !== "string" && !(next instanceof Uint8Array);
}

function withCause(lost: ConnectionLost, cause: unknown): ConnectionLost {
  lost.cause = cause;
  return lost;
}

/** The close code that belongs to an error code. */
export function refusalCode(code: string): number {
  return new VoxwireError(code, "").closeCode ?? CloseCode.POLICY;
}

/**
 * The WebSocket URL of a server: `http` becomes `ws`, and a missing path `/v1/stream`. In a page `url` may be relative.
 *
 * @throws TypeError `url` is invalid, or of another scheme.
 */
export function streamUrl(url: string): string {
  const here = (globalThis as { readonly location?: { readonly href?: string } }).location?.href;
  const parts = new URL(url, here);
  const scheme = SCHEMES[parts.protocol];
  if (scheme === undefined) {
    throw new TypeError(`${url} is no URL of a server; one looks like ws://127.0.0.1:8765${STREAM_PATH}`);
  }
  const path = parts.pathname.replace(/\/+$/, "") || STREAM_PATH;
  return `${scheme}//${parts.host}${path}${parts.search}`;
}

/** The URL with the session's id, by which a load balancer finds the server that has the session. */
function resumeUrl(url: string, session: string): string {
  return `${url}${url.includes("?") ? "&" : "?"}resume=${encodeURIComponent(session)}`;
}
