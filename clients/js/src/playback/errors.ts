/** Owns the error of playback; apart from the decoders, so that each of them can throw it. */

/** Playback can't go on: a codec is missing, or audio can't be decoded. */
export class PlaybackError extends Error {
  override readonly name = "PlaybackError";
  readonly hint: string;

  constructor(message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.hint = hint;
  }
}
