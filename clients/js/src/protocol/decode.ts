/** Owns the validation of a server's messages. Unknown fields are ignored; known fields have to be valid. */

import { ProtocolError } from "./errors.js";
import { anything, bool, list, mapOf, number, oneOf, optional, range, record, share, text, whole } from "./fields.js";
import type { Fields } from "./fields.js";
import type {
  AudioInfo,
  DoneTimings,
  Heard,
  Limits,
  PhonemeTiming,
  ResumedContext,
  ServerMessage,
  Unheard,
  VisemeTiming,
  WordTiming,
} from "./messages.js";

type Of<Type extends ServerMessage["type"]> = Extract<ServerMessage, { readonly type: Type }>;
type Table = { readonly [Type in ServerMessage["type"]]: Fields<Omit<Of<Type>, "type">> };

const limits = record<Limits>({
  message_bytes_max: whole,
  contexts_max: whole,
  text_chars_max: whole,
  unspoken_chars_max: whole,
  context_chars_max: whole,
});

const audioInfo = record<Omit<AudioInfo, "lookahead_samples"> & { readonly lookahead_samples?: number }>({
  codec: oneOf("pcm_s16le", "opus", "mulaw", "alaw"),
  sample_rate: whole,
  frame_ms: whole,
  frame_samples: whole,
  bitrate: optional(whole),
  lookahead_samples: optional(whole),
});

const word = record<WordTiming>({ text, chars: range, pts: whole, end_pts: whole });
const phoneme = record<PhonemeTiming>({ ipa: text, pts: whole, end_pts: whole });
const viseme = record<VisemeTiming>({ id: whole, weight: share, pts: whole });
const contextState = oneOf("waiting_for_text", "queued", "speaking", "held");
const timings = { queue_ms: optional(number), ttfa_ms: optional(number), synth_ms: optional(number) };

const TABLE: Table = {
  ready: { session: text, token: text, heartbeat_ms: whole, resume_window_ms: whole, limits },
  started: {
    context: text,
    number: whole,
    voice: text,
    engine: text,
    audio: (value, path) => ({ lookahead_samples: 0, ...audioInfo(value, path) }),
  },
  accepted: { context: text, chars: whole, text_seq: optional(whole) },
  clause: { context: text, chars: range, pts: whole },
  timing: {
    context: text,
    words: optional(list(word)),
    phonemes: optional(list(phoneme)),
    visemes: optional(list(viseme)),
  },
  mark: { context: text, name: text, pts: whole },
  flushed: { context: text, id: optional(text), seq: optional(whole) },
  done: {
    context: text,
    reason: oneOf("completed", "cancelled", "no_speakable_text", "error"),
    frames: whole,
    samples: whole,
    chars: whole,
    timings: optional(record<DoneTimings>(timings)),
  },
  cancelled: {
    context: text,
    sent_seq: optional(whole),
    heard: record<Heard>({ pts: whole, chars: whole, text, word: optional(text) }),
    unheard: record<Unheard>({ chars: whole, text }),
  },
  state: { contexts: mapOf(contextState), received: optional(whole) },
  warning: { code: text, message: text, context: optional(text), details: optional(mapOf(anything)) },
  error: {
    code: text,
    message: text,
    retryable: bool,
    retry_after_ms: optional(whole),
    context: optional(text),
    details: optional(mapOf(anything)),
    hint: optional(text),
  },
  draining: { deadline_ms: whole },
  resumed: {
    token: text,
    received: whole,
    contexts: mapOf(record<ResumedContext>({ next_seq: whole, text_seq: optional(whole) })),
  },
  resume_failed: { reason: text },
  pong: { t: number, server_ms: whole },
};

const READERS: ReadonlyMap<string, (value: unknown, path: string) => object> = new Map(
  Object.entries(TABLE).map(([type, fields]) => [type, record(fields as Fields<object>)]),
);

const head = record<{ readonly type: string }>({ type: text });

/**
 * The server's message of a decoded map.
 *
 * @throws ProtocolError client.malformed_message, unknown_type, missing_field or invalid_field.
 */
export function serverMessage(value: unknown): ServerMessage {
  const { type } = head(value, "");
  const reader = READERS.get(type);
  if (reader === undefined) {
    const details = { field: "type" };
    throw new ProtocolError("client.unknown_type", `there is no message of type ${type.slice(0, 64)}`, { details });
  }
  return { type, ...reader(value, "") } as ServerMessage;
}
