/** Owns decoding of 16-bit PCM and G.711 to floating point, -1 to 1. Pure. */

const FULL_SCALE = 32768;

/** Signed 16-bit samples, little endian. */
export function decodePcm(payload: Uint8Array): Float32Array {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return Float32Array.from({ length: payload.byteLength >> 1 }, (_, i) => view.getInt16(2 * i, true) / FULL_SCALE);
}

/** ITU-T G.711 µ-law, one byte a sample. */
export function decodeMulaw(payload: Uint8Array): Float32Array {
  return Float32Array.from(payload, (byte) => MULAW[byte]!);
}

/** ITU-T G.711 A-law, one byte a sample. */
export function decodeAlaw(payload: Uint8Array): Float32Array {
  return Float32Array.from(payload, (byte) => ALAW[byte]!);
}

/** Table 2a of G.711, widened from 14 to 16 bits. */
function mulawSample(byte: number): number {
  const bits = ~byte & 0xff;
  const magnitude = ((((bits & 0x0f) << 3) + 0x84) << ((bits >> 4) & 7)) - 0x84;
  return (bits & 0x80 ? -magnitude : magnitude) / FULL_SCALE;
}

/** Table 1a of G.711, widened from 13 to 16 bits. */
function alawSample(byte: number): number {
  const bits = byte ^ 0x55;
  const exponent = (bits >> 4) & 7;
  const step = ((bits & 0x0f) << 4) + 8;
  const magnitude = exponent === 0 ? step : (step + 0x100) << (exponent - 1);
  return (bits & 0x80 ? magnitude : -magnitude) / FULL_SCALE;
}

const MULAW = Float32Array.from({ length: 256 }, (_, byte) => mulawSample(byte));
const ALAW = Float32Array.from({ length: 256 }, (_, byte) => alawSample(byte));
