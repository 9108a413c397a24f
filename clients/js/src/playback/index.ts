/** The public interface of `voxwire/playback`: a loudspeaker for utterances in browsers. */

export type { DecoderKind, OpusChoice } from "./decoder.js";
export { PlaybackError } from "./errors.js";
export { Playback, type PlaybackEvents, type PlaybackSource } from "./playback.js";
export { Speaker, type SpeakerEvents, type SpeakerOptions } from "./speaker.js";
