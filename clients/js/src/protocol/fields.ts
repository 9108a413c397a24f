/** Owns readers of fields: each turns a decoded value into a typed one, or throws an error that names the field. */

import { ProtocolError } from "./errors.js";
import type { CharRange, JsonValue } from "./messages.js";

/** Reads one value; `path` names it in errors. */
export type Reader<T> = (value: unknown, path: string) => T;

/** A field that may be left out. */
export interface Optional<T> {
  readonly optional: Reader<T>;
}

/** A reader for each field of a message. */
export type Fields<T> = {
  readonly [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? Optional<Exclude<T[K], undefined>> : Reader<T[K]>;
};

/** A field that is absent where it is left out, null, or an empty list. */
export function optional<T>(reader: Reader<T>): Optional<T> {
  return { optional: reader };
}

function wrong(path: string, expected: string): ProtocolError {
  return new ProtocolError("client.invalid_field", `${path} must be ${expected}`, { details: { field: path } });
}

export const text: Reader<string> = (value, path) => {
  if (typeof value !== "string") throw wrong(path, "text");
  return value;
};

export const bool: Reader<boolean> = (value, path) => {
  if (typeof value !== "boolean") throw wrong(path, "true or false");
  return value;
};

export const number: Reader<number> = (value, path) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw wrong(path, "a number");
  return value;
};

export const whole: Reader<number> = (value, path) => {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong(path, "a whole number");
  return value as number;
};

export const share: Reader<number> = (value, path) => {
  const read = number(value, path);
  if (read < 0 || read > 1) throw wrong(path, "a number from 0 to 1");
  return read;
};

export const range: Reader<CharRange> = (value, path) => {
  if (!Array.isArray(value) || value.length !== 2) throw wrong(path, "a range");
  const [start, end] = [whole(value[0], path), whole(value[1], path)];
  if (end < start) throw wrong(path, "a range that ends where it begins or later");
  return [start, end];
};

/** One of the `known` strings. */
export function oneOf<const T extends string>(...known: readonly T[]): Reader<T> {
  return (value, path) => {
    if (!(known as readonly unknown[]).includes(value)) throw wrong(path, `one of ${known.join(", ")}`);
    return value as T;
  };
}

export function list<T>(reader: Reader<T>): Reader<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value)) throw wrong(path, "a list");
    return value.map((each, index) => reader(each, `${path}[${index}]`));
  };
}

/** A map from any name to values of one kind. */
export function mapOf<T>(reader: Reader<T>): Reader<Readonly<Record<string, T>>> {
  return (value, path) => {
    const entries = Object.entries(map(value, path));
    return Object.fromEntries(entries.map(([name, each]) => [name, reader(each, `${path}.${name}`)]));
  };
}

/** Any value of JSON. */
export const anything: Reader<JsonValue> = (value) => value as JsonValue;

/** A map with these fields; other fields are ignored. */
export function record<T>(fields: Fields<T>): Reader<T> {
  const table = Object.entries<Reader<unknown> | Optional<unknown>>(fields);
  return (value, path) => {
    const found = map(value, path);
    const read: Record<string, unknown> = {};
    for (const [name, reader] of table) {
      const inner = path === "" ? name : `${path}.${name}`;
      const each = Object.hasOwn(found, name) ? found[name] : undefined;
      if (each !== undefined && each !== null) {
        const known = typeof reader === "function" ? reader(each, inner) : reader.optional(each, inner);
        if (!(typeof reader !== "function" && Array.isArray(known) && known.length === 0)) read[name] = known;
      } else if (typeof reader === "function") {
        throw new ProtocolError("client.missing_field", `${inner} is missing`, { details: { field: inner } });
      }
    }
    return read as T;
  };
}

function map(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
    throw path === "" ? new ProtocolError("client.malformed_message", "a message is a map") : wrong(path, "a map");
  }
  return value as Readonly<Record<string, unknown>>;
}
