/** Owns what the package offers: a client of a voxwire server. */

export { connect, Session, type ConnectOptions } from "./session.js";
export type { Tokens } from "./pieces.js";
export type { Clock } from "./clock.js";
export type { SocketClass, SocketLike } from "./socket.js";
export type { Encoding } from "./protocol/codec.js";
export { Context } from "./context.js";
export { Utterance } from "./utterance.js";
export { ConnectionLost } from "./errors.js";
export { MouthTrack, VISEMES } from "./mouth.js";
export { CloseCode, ERRORS, ProtocolError, VoxwireError } from "./protocol/errors.js";
export type { ErrorClass, ErrorCode } from "./protocol/errors.js";
export type * from "./events.js";
export type * from "./protocol/messages.js";
export type { ConfigureOptions, SpeakOptions } from "./options.js";
