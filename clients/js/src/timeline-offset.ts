/** Owns the offset between a server session's numbers and the caller's, for a context that changed sessions. Pure. */

import type {
  CharRange,
  ClauseMessage,
  DoneMessage,
  FlushedMessage,
  MarkMessage,
  TimingMessage,
} from "./protocol/messages.js";

/** Messages that hold frame numbers, pts or characters, and so are shifted by the offset. */
export type OffsetMessage = ClauseMessage | TimingMessage | MarkMessage | FlushedMessage | DoneMessage;

/** What to add to the server's frame numbers, pts and characters: what former sessions delivered of the context. */
export interface TimelineOffset {
  readonly seq: number;
  readonly pts: number;
  readonly chars: number;
}

/** The offset of a context's first session. */
export const NO_OFFSET: TimelineOffset = { seq: 0, pts: 0, chars: 0 };

/** A server's message with the caller's numbers. */
export function shift<T extends OffsetMessage>(offset: TimelineOffset, message: T): T;
export function shift(offset: TimelineOffset, message: OffsetMessage): OffsetMessage {
  if (offset === NO_OFFSET) return message;
  switch (message.type) {
    case "clause":
      return { ...message, chars: shiftRange(offset, message.chars), pts: message.pts + offset.pts };
    case "timing":
      return shiftTiming(offset, message);
    case "mark":
      return { ...message, pts: message.pts + offset.pts };
    case "flushed":
      return shiftFlushed(offset, message);
    case "done":
      return shiftDone(offset, message);
  }
}

function shiftRange(offset: TimelineOffset, [from, to]: CharRange): CharRange {
  return [from + offset.chars, to + offset.chars];
}

function shiftTiming(offset: TimelineOffset, message: TimingMessage): TimingMessage {
  const shifted = <T extends { readonly pts: number; readonly end_pts: number }>(each: T): T => ({
    ...each,
    pts: each.pts + offset.pts,
    end_pts: each.end_pts + offset.pts,
  });
  const { words, phonemes, visemes } = message;
  return {
    ...message,
    ...(words && { words: words.map((word) => ({ ...shifted(word), chars: shiftRange(offset, word.chars) })) }),
    ...(phonemes && { phonemes: phonemes.map(shifted) }),
    ...(visemes && { visemes: visemes.map((each) => ({ ...each, pts: each.pts + offset.pts })) }),
  };
}

function shiftFlushed(offset: TimelineOffset, { seq, ...message }: FlushedMessage): FlushedMessage {
  const last = seq === undefined ? offset.seq - 1 : seq + offset.seq;
  return last < 0 ? message : { ...message, seq: last };
}

function shiftDone(offset: TimelineOffset, message: DoneMessage): DoneMessage {
  // The rest of a text can be unspeakable, such as an emoji, although the text as a whole was spoken.
  const restUnspeakable = message.reason === "no_speakable_text" && offset.seq > 0;
  return {
    ...message,
    reason: restUnspeakable ? "completed" : message.reason,
    frames: message.frames + offset.seq,
    samples: message.samples + offset.pts,
    chars: message.chars + offset.chars,
  };
}
