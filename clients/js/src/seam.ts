/** Owns how one context is carried over from a session that is gone to a fresh one: numbers and clocks go on. Pure. */

import type { CharRange, ClauseMessage, DoneMessage, FlushedMessage, TimingMessage } from "./protocol/messages.js";

/** What is said of audio and text, and has to be moved behind the seam. */
export type Note = ClauseMessage | TimingMessage | FlushedMessage | DoneMessage;

/** Where what the server calls 0 lies for the caller: its first frame, its first sample, its first character. */
export interface Seam {
  readonly seq: number;
  readonly pts: number;
  readonly chars: number;
}

/** Nothing was spoken elsewhere before. */
export const START: Seam = { seq: 0, pts: 0, chars: 0 };

/** What a message of the server's means for the caller. */
export function shift<T extends Note>(seam: Seam, message: T): T;
export function shift(seam: Seam, message: Note): Note {
  if (seam === START) return message;
  switch (message.type) {
    case "clause":
      return { ...message, chars: moved(seam, message.chars), pts: message.pts + seam.pts };
    case "timing":
      return timing(seam, message);
    case "flushed":
      return flushed(seam, message);
    case "done":
      return done(seam, message);
  }
}

function moved(seam: Seam, [from, to]: CharRange): CharRange {
  return [from + seam.chars, to + seam.chars];
}

function timing(seam: Seam, message: TimingMessage): TimingMessage {
  const later = <T extends { readonly pts: number; readonly end_pts: number }>(each: T): T => ({
    ...each,
    pts: each.pts + seam.pts,
    end_pts: each.end_pts + seam.pts,
  });
  const { words, phonemes, visemes } = message;
  return {
    ...message,
    ...(words && { words: words.map((word) => ({ ...later(word), chars: moved(seam, word.chars) })) }),
    ...(phonemes && { phonemes: phonemes.map(later) }),
    ...(visemes && { visemes: visemes.map((each) => ({ ...each, pts: each.pts + seam.pts })) }),
  };
}

function flushed(seam: Seam, { seq, ...message }: FlushedMessage): FlushedMessage {
  const last = seq === undefined ? seam.seq - 1 : seq + seam.seq;
  return last < 0 ? message : { ...message, seq: last };
}

function done(seam: Seam, message: DoneMessage): DoneMessage {
  // What was left may have been an emoji: the whole was speakable all the same.
  const mute = message.reason === "no_speakable_text" && seam.seq > 0;
  return {
    ...message,
    reason: mute ? "completed" : message.reason,
    frames: message.frames + seam.seq,
    samples: message.samples + seam.pts,
    chars: message.chars + seam.chars,
  };
}
