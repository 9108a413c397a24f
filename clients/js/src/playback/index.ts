/** Playback in browsers: a speaker, and what is heard of an utterance. */

export { type DecoderKind, type OpusChoice, PlaybackError } from "./decoder.js";
export { Playback, type PlaybackEvents, type PlaybackSource } from "./playback.js";
export { Speaker, type SpeakerEvents, type SpeakerOptions } from "./speaker.js";
