/** Owns how connections to a server are opened: one WebSocket with its `ready`, or what is in the way of it. */

import type { Clock } from "./clock.js";
import { ConnectionLost } from "./errors.js";
import type { Encoding, WireCodec } from "./protocol/codec.js";
import { codecOf } from "./protocol/codec.js";
import { CloseCode, VoxwireError } from "./protocol/errors.js";
import type { ReadyMessage } from "./protocol/messages.js";
import { type Closed, Connection, type SocketClass, socketClass } from "./socket.js";
import { within } from "./waiting.js";

const STREAM_PATH = "/v1/stream";
const SCHEMES: Readonly<Record<string, string>> = { "http:": "ws:", "https:": "wss:", "ws:": "ws:", "wss:": "wss:" };
/** How `ws` tells of an HTTP answer in place of a handshake. */
const TURNED_AWAY = /server response: (\d{3})/;
/** HTTP answers of whoever stands before the server that may be others next time. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** A connection that the server has greeted. */
export interface Door {
  readonly connection: Connection;
  readonly ready: ReadyMessage;
}

/** Who connects, and how. */
export interface DialOptions {
  readonly token: string | (() => Promise<string>) | undefined;
  readonly apiKey: string | undefined;
  readonly encoding: Encoding;
  readonly timeoutMs: number;
  readonly socketClass: SocketClass | undefined;
  readonly clock: Clock;
}

/** Knows the server's address and how to speak with it. */
export class Dialer {
  readonly url: string;
  readonly codec: WireCodec;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly #options: DialOptions;
  readonly #class: SocketClass;

  private constructor(url: string, codec: WireCodec, kind: SocketClass, options: DialOptions) {
    this.url = url;
    this.codec = codec;
    this.timeoutMs = options.timeoutMs;
    this.clock = options.clock;
    this.#options = options;
    this.#class = kind;
  }

  /** @throws TypeError the URL is none. Error: `ws` is needed, and not installed. */
  static async create(url: string, options: DialOptions): Promise<Dialer> {
    const address = streamUrl(url);
    const kind = options.socketClass ?? (await socketClass(options.apiKey !== undefined));
    return new Dialer(address, await codecOf(options.encoding), kind, options);
  }

  /**
   * Connects; `resume` names the session that is to go on. `timeoutMs` is for the whole.
   *
   * @throws VoxwireError the server refused.
   * @throws ConnectionLost there is no server, or it is not one of ours.
   */
  async dial(resume: string | null = null, timeoutMs = this.timeoutMs): Promise<Door> {
    let connection: Connection | null = null;
    let late = false;
    const work = async (): Promise<Door> => {
      const protocols = await this.#protocols();
      if (late) throw new ConnectionLost(CloseCode.ABNORMAL, "");
      connection = this.#open(resume, protocols);
      return this.#greeted(connection);
    };
    return within(this.clock, timeoutMs, work(), () => {
      late = true;
      connection?.abort();
      return new ConnectionLost(CloseCode.ABNORMAL, `${this.url} does not answer`);
    });
  }

  async #protocols(): Promise<string[]> {
    const { token } = this.#options;
    const known = [this.codec.subprotocol];
    if (token === undefined) return known;
    try {
      const now = typeof token === "string" ? token : await token();
      return [...known, `voxwire.token.${now}`];
    } catch (error) {
      throw caused(new ConnectionLost(CloseCode.ABNORMAL, `no token was to be had: ${String(error)}`), error);
    }
  }

  #open(resume: string | null, protocols: string[]): Connection {
    const url = resume === null ? this.url : resuming(this.url, resume);
    const { apiKey } = this.#options;
    try {
      if (apiKey === undefined) return new Connection(new this.#class(url, protocols));
      return new Connection(new this.#class(url, protocols, { headers: { Authorization: `Bearer ${apiKey}` } }));
    } catch (error) {
      // A page that may not connect there, a token that fits into no subprotocol.
      throw caused(new ConnectionLost(CloseCode.POLICY, String(error)), error);
    }
  }

  async #greeted(connection: Connection): Promise<Door> {
    const failed = await connection.opened();
    if (failed !== null) throw this.#turnedAway(failed);
    try {
      if (connection.subprotocol !== this.codec.subprotocol) {
        throw new ConnectionLost(CloseCode.POLICY, `${this.url} does not speak ${this.codec.subprotocol}`);
      }
      const first = await connection.next();
      if (isClosed(first)) throw new ConnectionLost(first.code, first.reason);
      const message = this.codec.decode(first);
      if (message.type === "error") throw VoxwireError.fromMessage(message);
      if (message.type !== "ready") {
        throw new ConnectionLost(CloseCode.POLICY, `the server began with ${message.type}, not with ready`);
      }
      return { connection, ready: message };
    } catch (error) {
      connection.abort();
      throw error;
    }
  }

  #turnedAway(failed: Closed): ConnectionLost {
    const problem = failed.reason === "" ? this.url : `${this.url}: ${failed.reason}`;
    const status = Number(TURNED_AWAY.exec(failed.reason)?.[1] ?? 0);
    if (status === 0) return new ConnectionLost(CloseCode.ABNORMAL, problem);
    const refusals: Readonly<Record<number, string>> = { 401: "client.not_authenticated", 403: "client.not_allowed" };
    const code = refusals[status];
    if (code !== undefined) return new ConnectionLost(refusalCode(code), problem, new VoxwireError(code, problem));
    return new ConnectionLost(PASSING.has(status) ? CloseCode.ABNORMAL : CloseCode.POLICY, problem);
  }
}

/** Whether a connection ended where a message was awaited. */
export function isClosed(next: string | Uint8Array | Closed): next is Closed {
  return typeof next !== "string" && !(next instanceof Uint8Array);
}

function caused(lost: ConnectionLost, cause: unknown): ConnectionLost {
  lost.cause = cause;
  return lost;
}

/** How the server would have closed the connection with an error. */
export function refusalCode(code: string): number {
  return new VoxwireError(code, "").closeCode ?? CloseCode.POLICY;
}

/**
 * The URL of a server's stream: `http` becomes `ws`, and a missing path `/v1/stream`. In a page it may be relative.
 *
 * @throws TypeError this is no such URL.
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

/** The URL that tells a load balancer which session is to go on. */
function resuming(url: string, session: string): string {
  return `${url}${url.includes("?") ? "&" : "?"}resume=${encodeURIComponent(session)}`;
}
