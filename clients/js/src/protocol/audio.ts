/** Owns the binary format of audio frames: a header of 16 bytes, little endian, then the payload. */

import { ProtocolError } from "./errors.js";

const HEADER_BYTES = 16;
const KIND = 1;
const FIRST = 1;
const LAST = 2;
const REPLAYED = 4;

/** One audio frame, with the numbers of the wire. */
export interface AudioFrame {
  /** The first of an utterance. */
  readonly first: boolean;
  /** The last of an utterance. */
  readonly last: boolean;
  /** Sent again after a resume. */
  readonly replayed: boolean;
  /** The number of the context; see `started.number`. */
  readonly number: number;
  readonly seq: number;
  readonly pts: number;
  /** A view on the message, not a copy. */
  readonly payload: Uint8Array;
}

/** Whether a binary message is an audio frame rather than a MessagePack map. */
export function isAudioFrame(raw: Uint8Array): boolean {
  return raw[0] === KIND;
}

/**
 * Parses an audio frame.
 *
 * @throws ProtocolError client.malformed_message: the header is missing or invalid.
 */
export function parseAudioFrame(raw: Uint8Array): AudioFrame {
  if (raw.byteLength < HEADER_BYTES || raw[0] !== KIND) {
    throw new ProtocolError("client.malformed_message", "this is no audio frame");
  }
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const flags = raw[1] as number;
  return {
    first: (flags & FIRST) !== 0,
    last: (flags & LAST) !== 0,
    replayed: (flags & REPLAYED) !== 0,
    number: view.getUint16(2, true),
    seq: view.getUint32(4, true),
    pts: Number(view.getBigUint64(8, true)),
    payload: raw.subarray(HEADER_BYTES),
  };
}
