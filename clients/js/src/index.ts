/** The public interface of the package: a client of a voxwire server. */

export { connect, Session, type ConnectOptions } from "./session.js";
export type { Tokens } from "./text-source.js";
export type { Clock } from "./clock.js";
export type { SocketClass, SocketLike } from "./web-socket-transport.js";
export type { Encoding } from "./protocol/codec.js";
export { Context } from "./context.js";
export { Utterance } from "./utterance.js";
export { ConnectionLost } from "./errors.js";
export { MouthTrack, VISEMES } from "./mouth-track.js";
export { CloseCode, ERRORS, ProtocolError, VoxwireError } from "./protocol/errors.js";
export type { ErrorClass, ErrorCode } from "./protocol/errors.js";
export type * from "./events.js";
export type * from "./protocol/messages.js";
export type { ConfigureOptions, SpeakOptions } from "./options.js";
