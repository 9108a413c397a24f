/** Owns the types of the protocol's messages, with the names of the wire. `pts` are samples, `chars` code points. */

/** How audio frames are encoded. */
export type Codec = "pcm_s16le" | "opus" | "mulaw" | "alaw";
/** How the text of a context is written. */
export type TextFormat = "text" | "ssml";

/** What a `timing` message can hold. */
export type TimingKind = "word" | "phoneme" | "viseme";
/** `realtime`: at the pace of a listener; `burst`: as fast as possible, for a file. */
export type PacingMode = "realtime" | "burst";
/** Requests of priority `interactive` are served before those of priority `bulk`. */
export type Priority = "interactive" | "bulk";
/** The state of an open context. */
export type ContextState = "waiting_for_text" | "queued" | "speaking" | "held";
/** How a context ended. */
export type DoneReason = "completed" | "cancelled" | "no_speakable_text" | "error";
/** `[start, end)` in code points of the context's text. */
export type CharRange = readonly [start: number, end: number];
/** Any value of JSON. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [name: string]: JsonValue };

// -- messages of the client -----------------------------------------------------------------------------------------

export interface AudioRequest {
  readonly codec?: Codec;
  readonly sample_rate?: number;
  readonly frame_ms?: number;
  readonly bitrate?: number;
}

export interface PacingRequest {
  readonly mode?: PacingMode;
  readonly lead_ms?: number;
}

/** Opens a context. */
export interface StartMessage {
  readonly type: "start";
  readonly context: string;
  readonly voice?: string;
  readonly language?: string;
  readonly speed?: number;
  readonly audio?: AudioRequest;
  readonly timings?: readonly TimingKind[];
  readonly pacing?: PacingRequest;
  readonly priority?: Priority;
  readonly seed?: number;
  readonly format?: TextFormat;
  readonly lexicon?: Lexicon;
  readonly lexicons?: readonly string[];
}

/** How words are said: as other words, or as a `Pronunciation`. */
export type Lexicon = Readonly<Record<string, string | Pronunciation>>;

/** How a word is said: as other words (`alias`) or in IPA; one of them is given. */
export interface Pronunciation {
  readonly alias?: string;
  readonly ipa?: string;
  /** Whether the word is found in any case, or only as it is written; by default in any if it has no capitals. */
  readonly case?: "any" | "exact";
}

/** Appends text. */
export interface TextMessage {
  readonly type: "text";
  readonly context: string;
  readonly text: string;
  readonly seq?: number;
  readonly flush?: boolean;
}

/** Speaks all text so far, although more may follow. */
export interface FlushMessage {
  readonly type: "flush";
  readonly context: string;
  readonly id?: string;
}

/** Ends the text of a context. */
export interface EndMessage {
  readonly type: "end";
  readonly context: string;
}

/** Cancels a context. */
export interface CancelMessage {
  readonly type: "cancel";
  readonly context: string;
  readonly played_pts?: number;
}

/** Pauses the sending of audio. */
export interface HoldMessage {
  readonly type: "hold";
  readonly context: string;
}

/** Resumes after `hold`. */
export interface ReleaseMessage {
  readonly type: "release";
  readonly context: string;
}

/** Drops text that is not being spoken yet. */
export interface RetractMessage {
  readonly type: "retract";
  readonly context: string;
  readonly from_char: number;
}

/** Changes bitrate or pacing. */
export interface ConfigureMessage {
  readonly type: "configure";
  readonly context: string;
  readonly audio?: { readonly bitrate?: number };
  readonly pacing?: PacingRequest;
}

/** Acknowledges what was received and played. */
export interface AckMessage {
  readonly type: "ack";
  readonly context: string;
  readonly seq?: number;
  readonly played_pts?: number;
}

/** Asks for a `pong` with the same `t`. */
export interface PingMessage {
  readonly type: "ping";
  readonly t: number;
}

/** Resumes a session whose connection was dropped. */
export interface ResumeMessage {
  readonly type: "resume";
  readonly session: string;
  readonly token: string;
  readonly received?: number;
  readonly contexts?: Readonly<Record<string, number>>;
  readonly text_seq?: Readonly<Record<string, number>>;
}

/** Any message of a client. */
export type ClientMessage =
  | StartMessage
  | TextMessage
  | FlushMessage
  | EndMessage
  | CancelMessage
  | HoldMessage
  | ReleaseMessage
  | RetractMessage
  | ConfigureMessage
  | AckMessage
  | PingMessage
  | ResumeMessage;

// -- messages of the server -----------------------------------------------------------------------------------------

/** The limits of the session. */
export interface Limits {
  readonly message_bytes_max: number;
  readonly contexts_max: number;
  readonly text_chars_max: number;
  readonly unspoken_chars_max: number;
  readonly context_chars_max: number;
}

/** The session is open. */
export interface ReadyMessage {
  readonly type: "ready";
  readonly session: string;
  readonly token: string;
  readonly heartbeat_ms: number;
  readonly resume_window_ms: number;
  readonly limits: Limits;
}

/** The audio format that the server granted. */
export interface AudioInfo {
  readonly codec: Codec;
  readonly sample_rate: number;
  readonly frame_ms: number;
  readonly frame_samples: number;
  readonly bitrate?: number;
  /** How far a decoder's output lags behind pts; drop so many samples once, at the start of the context. */
  readonly lookahead_samples: number;
}

/** A context is open. */
export interface StartedMessage {
  readonly type: "started";
  readonly context: string;
  readonly number: number;
  readonly voice: string;
  readonly engine: string;
  readonly audio: AudioInfo;
}

/** Text was accepted: `chars` code points so far. */
export interface AcceptedMessage {
  readonly type: "accepted";
  readonly context: string;
  readonly chars: number;
  readonly text_seq?: number;
}

/** A clause begins at `pts`. */
export interface ClauseMessage {
  readonly type: "clause";
  readonly context: string;
  readonly chars: CharRange;
  readonly pts: number;
}

export interface WordTiming {
  readonly text: string;
  readonly chars: CharRange;
  readonly pts: number;
  readonly end_pts: number;
}

export interface PhonemeTiming {
  readonly ipa: string;
  readonly pts: number;
  readonly end_pts: number;
}

/** A keyframe: the shape `id` has this weight at `pts`. */
export interface VisemeTiming {
  readonly id: number;
  readonly weight: number;
  readonly pts: number;
}

/** The pts of words, phonemes and visemes; never sent later than their audio. */
export interface TimingMessage {
  readonly type: "timing";
  readonly context: string;
  readonly words?: readonly WordTiming[];
  readonly phonemes?: readonly PhonemeTiming[];
  readonly visemes?: readonly VisemeTiming[];
}

/** A `mark` of the context's SSML is reached at `pts`; never sent later than the audio there. */
export interface MarkMessage {
  readonly type: "mark";
  readonly context: string;
  readonly name: string;
  readonly pts: number;
}

/** All audio of a flush has been sent. */
export interface FlushedMessage {
  readonly type: "flushed";
  readonly context: string;
  readonly id?: string;
  readonly seq?: number;
}

export interface DoneTimings {
  readonly queue_ms?: number;
  readonly ttfa_ms?: number;
  readonly synth_ms?: number;
}

/** A context is over. */
export interface DoneMessage {
  readonly type: "done";
  readonly context: string;
  readonly reason: DoneReason;
  readonly frames: number;
  readonly samples: number;
  readonly chars: number;
  readonly timings?: DoneTimings;
}

export interface Heard {
  readonly pts: number;
  readonly chars: number;
  readonly text: string;
  /** The word that was interrupted; it is not part of `text`. */
  readonly word?: string;
}

export interface Unheard {
  readonly chars: number;
  readonly text: string;
}

/** The answer to `cancel`: what was heard, and what was not. */
export interface CancelledMessage {
  readonly type: "cancelled";
  readonly context: string;
  readonly sent_seq?: number;
  readonly heard: Heard;
  readonly unheard: Unheard;
}

/** The state of every open context. */
export interface StateMessage {
  readonly type: "state";
  readonly contexts: Readonly<Record<string, ContextState>>;
  readonly received?: number;
}

/** Information; needs no reaction. */
export interface WarningMessage {
  readonly type: "warning";
  readonly code: string;
  readonly message: string;
  readonly context?: string;
  readonly details?: Readonly<Record<string, JsonValue>>;
}

/** A request was refused, or failed. */
export interface ErrorMessage {
  readonly type: "error";
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly retry_after_ms?: number;
  readonly context?: string;
  readonly details?: Readonly<Record<string, JsonValue>>;
  readonly hint?: string;
}

/** The server shuts down within `deadline_ms`. */
export interface DrainingMessage {
  readonly type: "draining";
  readonly deadline_ms: number;
}

export interface ResumedContext {
  readonly next_seq: number;
  readonly text_seq?: number;
}

/** The session was resumed. */
export interface ResumedMessage {
  readonly type: "resumed";
  readonly token: string;
  readonly received: number;
  readonly contexts: Readonly<Record<string, ResumedContext>>;
}

/** The session is lost; the server has opened a new one. */
export interface ResumeFailedMessage {
  readonly type: "resume_failed";
  readonly reason: string;
}

/** Answers `ping`. */
export interface PongMessage {
  readonly type: "pong";
  readonly t: number;
  readonly server_ms: number;
}

/** Any message of a server. */
export type ServerMessage =
  | ReadyMessage
  | StartedMessage
  | AcceptedMessage
  | ClauseMessage
  | TimingMessage
  | MarkMessage
  | FlushedMessage
  | DoneMessage
  | CancelledMessage
  | StateMessage
  | WarningMessage
  | ErrorMessage
  | DrainingMessage
  | ResumedMessage
  | ResumeFailedMessage
  | PongMessage;
