/** Owns what the package offers: a client of a voxwire server. */

export { connect, Session, type ConnectOptions, type Tokens } from "./session.js";
export { Context } from "./context.js";
export { Utterance } from "./utterance.js";
export { ConnectionLost } from "./errors.js";
export { MouthTrack, VISEMES } from "./mouth.js";
export { CloseCode, ERRORS, ProtocolError, VoxwireError } from "./protocol/errors.js";
export type { ErrorClass, ErrorCode } from "./protocol/errors.js";
export type * from "./events.js";
export type * from "./protocol/messages.js";
export type { ConfigureOptions, SpeakOptions } from "./options.js";
