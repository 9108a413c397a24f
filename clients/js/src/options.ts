/** Owns the options of speech, and the messages `start` and `configure` that are made of them. Pure. */

import { countChars, wellFormed } from "./code-points.js";
import { ProtocolError } from "./protocol/errors.js";
import type {
  AudioRequest,
  Codec,
  ConfigureMessage,
  Lexicon,
  PacingMode,
  PacingRequest,
  Priority,
  StartedMessage,
  StartMessage,
  TextFormat,
  TimingKind,
} from "./protocol/messages.js";

const CONTEXT_CHARS_MAX = 64;

/** How to speak. The server chooses what is left out. */
export interface SpeakOptions {
  /** A name of `GET /v1/voices`. */
  readonly voice?: string | undefined;
  /** BCP 47, such as `en` or `en-US`. */
  readonly language?: string | undefined;
  /** 0.5 to 2; 1 is the voice's normal speed. */
  readonly speed?: number | undefined;
  readonly codec?: Codec | undefined;
  readonly sampleRate?: number | undefined;
  readonly frameMs?: number | undefined;
  /** Bits per second; only for Opus. */
  readonly bitrate?: number | undefined;
  /** Words by default. */
  readonly timings?: readonly TimingKind[] | undefined;
  readonly pacing?: PacingMode | undefined;
  /** How many milliseconds of audio the server sends ahead of the listener. */
  readonly leadMs?: number | undefined;
  readonly priority?: Priority | undefined;
  /** The same text, voice, settings and seed sound the same. */
  readonly seed?: number | undefined;
  /** `ssml`: the text is SSML, in pieces of any size. */
  readonly format?: TextFormat | undefined;
  /** How words are said: `{ kubectl: "kube control", Nguyen: { ipa: "wɪn" } }`. */
  readonly lexicon?: Lexicon | undefined;
  /** Names of lexicons of the server. */
  readonly lexicons?: readonly string[] | undefined;
  /** The context's name, 1 to 64 characters; a fresh one by default. */
  readonly context?: string | undefined;
  /** Cancels the speech when it is aborted; the loop over its events ends then. */
  readonly signal?: AbortSignal | undefined;
}

/** What can be changed while a context speaks. */
export interface ConfigureOptions {
  readonly bitrate?: number | undefined;
  readonly pacing?: PacingMode | undefined;
  readonly leadMs?: number | undefined;
}

/** The same fields, none of them undefined. */
type Given<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** The fields that are neither undefined nor null; undefined if there are none. */
function given<T extends object>(fields: T): Given<T> | undefined {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as Given<T>);
}

/**
 * The `start` that asks for `options`.
 *
 * @throws RangeError the context's name is empty, longer than 64 characters, or not well-formed.
 */
export function start(options: SpeakOptions, defaultContext: string): StartMessage {
  const context = options.context ?? defaultContext;
  if (context === "" || countChars(context) > CONTEXT_CHARS_MAX || wellFormed(context) !== context) {
    throw new RangeError(`a context's name has 1 to ${CONTEXT_CHARS_MAX} characters`);
  }
  const { voice, language, speed, priority, seed, format, lexicon, lexicons } = options;
  const audio = given({
    codec: options.codec,
    sample_rate: options.sampleRate,
    frame_ms: options.frameMs,
    bitrate: options.bitrate,
  });
  const pacing = given({ mode: options.pacing, lead_ms: options.leadMs });
  const timings = options.timings && [...options.timings];
  const rest = given({ voice, language, speed, audio, timings, pacing, priority, seed, format, lexicon, lexicons });
  return { type: "start", context, ...rest } as StartMessage;
}

/** The `configure` that asks for `options`; null if they are empty. */
export function configure(context: string, options: ConfigureOptions): ConfigureMessage | null {
  const audio = given({ bitrate: options.bitrate });
  const pacing = given({ mode: options.pacing, lead_ms: options.leadMs });
  const changes = given({ audio, pacing });
  return changes === undefined ? null : ({ type: "configure", context, ...changes } as ConfigureMessage);
}

/**
 * The `start` that has the same effect as `message` followed by `change`.
 *
 * @throws ProtocolError client.unsupported_audio: the codec has no bitrate.
 */
export function configured(message: StartMessage, change: ConfigureMessage): StartMessage {
  let audio: AudioRequest | undefined = message.audio;
  let pacing: PacingRequest | undefined = message.pacing;
  if (change.audio?.bitrate !== undefined) {
    const codec = audio?.codec ?? "pcm_s16le";
    if (codec !== "opus") {
      const details = { field: "audio.bitrate" };
      throw new ProtocolError("client.unsupported_audio", `${codec} has no bitrate to choose`, { details });
    }
    audio = { ...audio, bitrate: change.audio.bitrate };
  }
  if (change.pacing !== undefined) pacing = { ...pacing, ...change.pacing };
  return { ...message, ...given({ audio, pacing }) } as StartMessage;
}

/** The `start` for another session: asks for the voice and format that the first one granted, not for its defaults. */
export function restartMessage(message: StartMessage, started: StartedMessage): StartMessage {
  const { codec, sample_rate, frame_ms, bitrate } = started.audio;
  const audio = given({ codec, sample_rate, frame_ms, bitrate: message.audio?.bitrate ?? bitrate });
  return { ...message, voice: started.voice, audio } as StartMessage;
}
