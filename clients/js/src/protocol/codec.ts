/** Owns the two encodings of messages. Decoding throws only `ProtocolError`. */

import { serverMessage } from "./decode.js";
import { ProtocolError } from "./errors.js";
import type { ClientMessage, ServerMessage } from "./messages.js";

/** The names of the encodings. */
export type Encoding = "json" | "msgpack";

/** The data of a WebSocket message. */
export type Raw = string | Uint8Array;

/** One encoding of messages. */
export interface WireCodec {
  readonly subprotocol: string;
  /** Whether messages are binary. */
  readonly binary: boolean;
  encode(message: ClientMessage): Raw;
  /**
   * @throws ProtocolError the message is invalid; client.unknown_type: its type may be of a later version.
   */
  decode(raw: Raw): ServerMessage;
}

/** Messages as JSON text. */
export const JSON_CODEC: WireCodec = {
  subprotocol: "voxwire.v1.json",
  binary: false,
  encode: (message) => JSON.stringify(message),
  decode(raw) {
    if (typeof raw !== "string") throw new ProtocolError("client.unexpected_binary", "a message is text here");
    return serverMessage(parsed("JSON", () => JSON.parse(raw) as unknown));
  },
};

/** Messages as MessagePack; the package for it is loaded only here, so that other programs need not bundle it. */
export async function msgpackCodec(): Promise<WireCodec> {
  const { decode, encode } = await import("@msgpack/msgpack");
  return {
    subprotocol: "voxwire.v1.msgpack",
    binary: true,
    // Without the option, undefined fields would be written as nil.
    encode: (message) => encode(message, { ignoreUndefined: true }),
    decode(raw) {
      if (typeof raw === "string") throw new ProtocolError("client.malformed_message", "a message is binary here");
      return serverMessage(parsed("MessagePack", () => decode(raw)));
    },
  };
}

/** The codec of an encoding. */
export async function codecOf(encoding: Encoding): Promise<WireCodec> {
  return encoding === "msgpack" ? msgpackCodec() : JSON_CODEC;
}

/** Whether a binary message is a MessagePack map (fixmap, map 16, map 32). */
export function isMap(raw: Uint8Array): boolean {
  const first = raw[0];
  return first !== undefined && ((first & 0xf0) === 0x80 || first === 0xde || first === 0xdf);
}

function parsed(encoding: string, parse: () => unknown): unknown {
  try {
    return parse();
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw new ProtocolError("client.malformed_message", `not ${encoding}: ${problem}`);
  }
}
