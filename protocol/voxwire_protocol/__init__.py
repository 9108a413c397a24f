"""The voxwire wire protocol, version 1: messages, their encodings, audio frames, errors. No I/O, nothing heavy."""

from voxwire_protocol import messages
from voxwire_protocol.audio import AudioFrame, Flag, is_audio_frame, pack_frame, unpack_frame
from voxwire_protocol.codec import JSON, MSGPACK, Codec, codec_for
from voxwire_protocol.errors import CloseCode, ErrorCode, ProtocolError, VoxwireError

__all__ = [
    "JSON",
    "MSGPACK",
    "AudioFrame",
    "CloseCode",
    "Codec",
    "ErrorCode",
    "Flag",
    "ProtocolError",
    "VoxwireError",
    "codec_for",
    "is_audio_frame",
    "messages",
    "pack_frame",
    "unpack_frame",
]
