"""Owns the golden vectors of the wire protocol: what they hold, and how `tests/protocol/vectors/*.json` are written.

`python tests/support/vectors.py` writes the files again. The maps and frames are written down here by hand; their JSON
and MessagePack come from the plain libraries, not from the codecs that are tested with them.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import Any

import msgpack

DIRECTORY = Path(__file__).parents[1] / "protocol" / "vectors"

LIMITS = {
    "message_bytes_max": 1048576,
    "contexts_max": 32,
    "text_chars_max": 20000,
    "unspoken_chars_max": 50000,
    "context_chars_max": 1000000,
}
INT_MAX = (1 << 53) - 1

CLIENT: dict[str, dict[str, Any]] = {
    "start with defaults": {"type": "start", "context": "0"},
    "start with everything": {
        "type": "start",
        "context": "answer-1",
        "voice": "heart",
        "language": "en-US",
        "speed": 1.25,
        "audio": {"codec": "opus", "sample_rate": 48000, "frame_ms": 20, "bitrate": 24000},
        "timings": ["word", "phoneme", "viseme"],
        "pacing": {"mode": "realtime", "lead_ms": 300},
        "priority": "bulk",
        "seed": 42,
    },
    "start with some audio": {"type": "start", "context": "0", "audio": {"codec": "mulaw"}, "timings": []},
    "start in burst": {"type": "start", "context": "0", "pacing": {"mode": "burst"}, "seed": INT_MAX},
    "text": {"type": "text", "context": "0", "text": "Hello, "},
    "text with a number": {"type": "text", "context": "answer-1", "text": "world.", "seq": 0},
    "text and flush": {"type": "text", "context": "0", "text": " Bye.", "seq": 17, "flush": True},
    "text beyond the first plane": {"type": "text", "context": "émoji 🎉", "text": 'naïve 東京 👩‍👩‍👧 \u0000\n"\\'},
    "text empty": {"type": "text", "context": "0", "text": "", "seq": 3},
    "flush": {"type": "flush", "context": "0"},
    "flush with an id": {"type": "flush", "context": "0", "id": "greeting"},
    "end": {"type": "end", "context": "0"},
    "cancel": {"type": "cancel", "context": "0"},
    "cancel with playout": {"type": "cancel", "context": "0", "played_pts": 30720},
    "hold": {"type": "hold", "context": "0"},
    "release": {"type": "release", "context": "0"},
    "retract": {"type": "retract", "context": "0", "from_char": 120},
    "configure": {
        "type": "configure",
        "context": "0",
        "audio": {"bitrate": 12000},
        "pacing": {"mode": "realtime", "lead_ms": 1500},
    },
    "configure one thing": {"type": "configure", "context": "0", "pacing": {"lead_ms": 0}},
    "ack": {"type": "ack", "context": "0", "seq": 41, "played_pts": 14400},
    "ack of playout alone": {"type": "ack", "context": "0", "played_pts": INT_MAX},
    "ping": {"type": "ping", "t": 1723.5},
    "ping with a whole number": {"type": "ping", "t": -3},
    "resume": {
        "type": "resume",
        "session": "ses_b2Fz",
        "token": "tok_Zm9v",
        "received": 97,
        "contexts": {"0": 41, "answer-1": 0},
        "text_seq": {"0": 17},
    },
}

SERVER: dict[str, dict[str, Any]] = {
    "ready": {
        "type": "ready",
        "session": "ses_b2Fz",
        "token": "tok_Zm9v",
        "heartbeat_ms": 5000,
        "resume_window_ms": 30000,
        "limits": LIMITS,
    },
    "started": {
        "type": "started",
        "context": "0",
        "number": 0,
        "voice": "heart",
        "engine": "hibari",
        "audio": {
            "codec": "pcm_s16le",
            "sample_rate": 24000,
            "frame_ms": 20,
            "frame_samples": 480,
            "lookahead_samples": 0,
        },
    },
    "started with opus": {
        "type": "started",
        "context": "answer-1",
        "number": 65535,
        "voice": "heart",
        "engine": "hibari",
        "audio": {
            "codec": "opus",
            "sample_rate": 48000,
            "frame_ms": 20,
            "frame_samples": 960,
            "bitrate": 24000,
            "lookahead_samples": 312,
        },
    },
    "accepted": {"type": "accepted", "context": "0", "chars": 13, "text_seq": 1},
    "accepted after a retract": {"type": "accepted", "context": "0", "chars": 120},
    "clause": {"type": "clause", "context": "0", "chars": [0, 13], "pts": 0},
    "timing of words": {
        "type": "timing",
        "context": "0",
        "words": [
            {"text": "Hello", "chars": [0, 5], "pts": 1200, "end_pts": 9600},
            {"text": "world", "chars": [7, 12], "pts": 9600, "end_pts": 21600},
        ],
    },
    "timing of sounds": {
        "type": "timing",
        "context": "0",
        "phonemes": [{"ipa": "h", "pts": 1200, "end_pts": 2400}, {"ipa": "oʊ", "pts": 2400, "end_pts": 9600}],
        "visemes": [{"id": 12, "weight": 0.75, "pts": 1200}],
    },
    "flushed": {"type": "flushed", "context": "0", "id": "greeting", "seq": 57},
    "flushed without audio": {"type": "flushed", "context": "0"},
    "done": {
        "type": "done",
        "context": "0",
        "reason": "completed",
        "frames": 58,
        "samples": 27600,
        "chars": 13,
        "timings": {"queue_ms": 0.125, "ttfa_ms": 23.5, "synth_ms": 88.25},
    },
    "done without speech": {
        "type": "done",
        "context": "0",
        "reason": "no_speakable_text",
        "frames": 0,
        "samples": 0,
        "chars": 3,
        "timings": {},
    },
    "done after a cancel": {
        "type": "done",
        "context": "0",
        "reason": "cancelled",
        "frames": 20,
        "samples": 9600,
        "chars": 13,
    },
    "done after an error": {
        "type": "done",
        "context": "0",
        "reason": "error",
        "frames": 1,
        "samples": 480,
        "chars": 13,
    },
    "cancelled": {
        "type": "cancelled",
        "context": "0",
        "heard": {"pts": 14400, "chars": 5, "text": "Hello", "word": "world"},
        "unheard": {"chars": 8, "text": ", world."},
        "sent_seq": 57,
    },
    "cancelled before any audio": {
        "type": "cancelled",
        "context": "0",
        "heard": {"pts": 0, "chars": 0, "text": ""},
        "unheard": {"chars": 1, "text": "🎉"},
    },
    "state": {
        "type": "state",
        "contexts": {"0": "speaking", "a": "waiting_for_text", "b": "queued", "c": "held"},
        "received": 23,
    },
    "state without a count": {"type": "state", "contexts": {}},
    "warning": {"type": "warning", "code": "underrun", "message": "the listener ran dry for 80 ms", "context": "0"},
    "warning of the session": {"type": "warning", "code": "some_later_code", "message": "something"},
    "error of a context": {
        "type": "error",
        "code": "client.text_gap",
        "message": "text 5 came where 3 was expected",
        "retryable": True,
        "context": "0",
        "details": {"expected": 3, "seq": 5},
        "hint": "Send the texts again from `details.expected` on.",
    },
    "error of the session": {
        "type": "error",
        "code": "system.engine_overloaded",
        "message": "every voice is busy",
        "retryable": True,
        "retry_after_ms": 800,
    },
    "error with nested details": {
        "type": "error",
        "code": "client.unknown_voice",
        "message": "there is no voice 'x'",
        "retryable": False,
        "details": {"voices": ["heart"], "more": {"count": 1, "share": 0.5, "known": False, "none": None}},
    },
    "draining": {"type": "draining", "deadline_ms": 30000},
    "resumed": {
        "type": "resumed",
        "token": "tok_YmFy",
        "received": 23,
        "contexts": {"0": {"next_seq": 42, "text_seq": 17}, "answer-1": {"next_seq": 0}},
    },
    "resume_failed": {"type": "resume_failed", "reason": "unknown"},
    "pong": {"type": "pong", "t": 1723.5, "server_ms": 86400000},
}

LENIENT: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("client", "context left out", {"type": "end"}, {"type": "end", "context": "0"}),
    (
        "client",
        "unknown fields",
        {"type": "text", "text": "a", "mood": {"x": [1]}},
        {"type": "text", "context": "0", "text": "a"},
    ),
    (
        "client",
        "null is as good as absent",
        {"type": "start", "context": None, "voice": None, "audio": {"codec": None}, "seed": None},
        {"type": "start", "context": "0", "audio": {}},
    ),
    (
        "client",
        "whole numbers written as floats",
        {"type": "start", "audio": {"sample_rate": 24000.0, "frame_ms": 20.0}, "seed": 7.0, "speed": 1},
        {"type": "start", "context": "0", "speed": 1, "audio": {"sample_rate": 24000, "frame_ms": 20}, "seed": 7},
    ),
    (
        "client",
        "flush false",
        {"type": "text", "text": "", "flush": False},
        {"type": "text", "context": "0", "text": ""},
    ),
    (
        "client",
        "unknown fields inside a value",
        {"type": "configure", "audio": {"bitrate": 6000, "codec": "mulaw"}},
        {"type": "configure", "context": "0", "audio": {"bitrate": 6000}},
    ),
    (
        "client",
        "resume of nothing",
        {"type": "resume", "session": "s", "token": "t"},
        {"type": "resume", "session": "s", "token": "t", "contexts": {}, "text_seq": {}},
    ),
    (
        "server",
        "empty timings",
        {"type": "timing", "context": "0", "words": [], "phonemes": None},
        {"type": "timing", "context": "0"},
    ),
    (
        "server",
        "fields of a later version",
        {
            "type": "ready",
            "session": "s",
            "token": "t",
            "heartbeat_ms": 1,
            "resume_window_ms": 2,
            "limits": {**LIMITS, "pets_max": 3},
            "motd": "",
        },
        {"type": "ready", "session": "s", "token": "t", "heartbeat_ms": 1, "resume_window_ms": 2, "limits": LIMITS},
    ),
]

INVALID_MAPS: list[tuple[str, str, Any, str, str | None]] = [
    ("client", "a list", [1, 2], "malformed_message", None),
    ("client", "a number", 7, "malformed_message", None),
    ("client", "null", None, "malformed_message", None),
    ("client", "an empty map", {}, "missing_field", "type"),
    ("client", "type null", {"type": None}, "missing_field", "type"),
    ("client", "type a number", {"type": 3}, "invalid_field", "type"),
    ("client", "type unknown", {"type": "sing"}, "unknown_type", "type"),
    ("client", "a server's message", {"type": "ready"}, "unknown_type", "type"),
    ("client", "text without text", {"type": "text"}, "missing_field", "text"),
    ("client", "text null", {"type": "text", "text": None}, "missing_field", "text"),
    ("client", "text a number", {"type": "text", "text": 5}, "invalid_field", "text"),
    ("client", "text a list", {"type": "text", "text": ["a"]}, "invalid_field", "text"),
    ("client", "context empty", {"type": "end", "context": ""}, "invalid_field", "context"),
    ("client", "context too long", {"type": "end", "context": "é" * 65}, "invalid_field", "context"),
    ("client", "context a number", {"type": "end", "context": 0}, "invalid_field", "context"),
    ("client", "seq negative", {"type": "text", "text": "", "seq": -1}, "invalid_field", "seq"),
    ("client", "seq a fraction", {"type": "text", "text": "", "seq": 1.5}, "invalid_field", "seq"),
    ("client", "seq true", {"type": "text", "text": "", "seq": True}, "invalid_field", "seq"),
    ("client", "seq text", {"type": "text", "text": "", "seq": "1"}, "invalid_field", "seq"),
    ("client", "seq too large", {"type": "text", "text": "", "seq": INT_MAX + 1}, "invalid_field", "seq"),
    ("client", "flush a number", {"type": "text", "text": "", "flush": 1}, "invalid_field", "flush"),
    ("client", "flush id empty", {"type": "flush", "id": ""}, "invalid_field", "id"),
    ("client", "voice empty", {"type": "start", "voice": ""}, "invalid_field", "voice"),
    ("client", "speed too low", {"type": "start", "speed": 0.49}, "invalid_field", "speed"),
    ("client", "speed too high", {"type": "start", "speed": 2.01}, "invalid_field", "speed"),
    ("client", "speed true", {"type": "start", "speed": True}, "invalid_field", "speed"),
    ("client", "audio text", {"type": "start", "audio": "opus"}, "invalid_field", "audio"),
    ("client", "codec unknown", {"type": "start", "audio": {"codec": "mp3"}}, "invalid_field", "audio.codec"),
    ("client", "rate text", {"type": "start", "audio": {"sample_rate": "8k"}}, "invalid_field", "audio.sample_rate"),
    ("client", "rate zero", {"type": "start", "audio": {"sample_rate": 0}}, "invalid_field", "audio.sample_rate"),
    ("client", "frame unknown", {"type": "start", "audio": {"frame_ms": 15}}, "invalid_field", "audio.frame_ms"),
    ("client", "bitrate too low", {"type": "start", "audio": {"bitrate": 5999}}, "invalid_field", "audio.bitrate"),
    (
        "client",
        "bitrate too high",
        {"type": "configure", "audio": {"bitrate": 510001}},
        "invalid_field",
        "audio.bitrate",
    ),
    ("client", "timings text", {"type": "start", "timings": "word"}, "invalid_field", "timings"),
    ("client", "timing unknown", {"type": "start", "timings": ["word", "mood"]}, "invalid_field", "timings[1]"),
    ("client", "timings without end", {"type": "start", "timings": ["word"] * 9}, "invalid_field", "timings"),
    ("client", "pacing unknown", {"type": "start", "pacing": {"mode": "slow"}}, "invalid_field", "pacing.mode"),
    ("client", "lead negative", {"type": "start", "pacing": {"lead_ms": -1}}, "invalid_field", "pacing.lead_ms"),
    ("client", "lead too long", {"type": "configure", "pacing": {"lead_ms": 30001}}, "invalid_field", "pacing.lead_ms"),
    ("client", "priority unknown", {"type": "start", "priority": "first"}, "invalid_field", "priority"),
    ("client", "seed negative", {"type": "start", "seed": -1}, "invalid_field", "seed"),
    ("client", "retract from nowhere", {"type": "retract"}, "missing_field", "from_char"),
    ("client", "retract from text", {"type": "retract", "from_char": "12"}, "invalid_field", "from_char"),
    ("client", "played_pts negative", {"type": "cancel", "played_pts": -1}, "invalid_field", "played_pts"),
    ("client", "ack of a list", {"type": "ack", "seq": [1]}, "invalid_field", "seq"),
    ("client", "ping without t", {"type": "ping"}, "missing_field", "t"),
    ("client", "ping with text", {"type": "ping", "t": "now"}, "invalid_field", "t"),
    ("client", "resume without token", {"type": "resume", "session": "s"}, "missing_field", "token"),
    (
        "client",
        "resume with a list",
        {"type": "resume", "session": "s", "token": "t", "contexts": []},
        "invalid_field",
        "contexts",
    ),
    (
        "client",
        "resume with a name too long",
        {"type": "resume", "session": "s", "token": "t", "contexts": {"x" * 65: 1}},
        "invalid_field",
        "contexts",
    ),
    (
        "client",
        "resume with text for a seq",
        {"type": "resume", "session": "s", "token": "t", "text_seq": {"0": "1"}},
        "invalid_field",
        "text_seq.0",
    ),
    ("server", "a client's message", {"type": "text", "text": "a"}, "unknown_type", "type"),
    ("server", "context missing", {"type": "flushed"}, "missing_field", "context"),
    (
        "server",
        "clause that ends before it begins",
        {"type": "clause", "context": "0", "chars": [5, 4], "pts": 0},
        "invalid_field",
        "chars",
    ),
    (
        "server",
        "clause with three ends",
        {"type": "clause", "context": "0", "chars": [5, 6, 7], "pts": 0},
        "invalid_field",
        "chars",
    ),
    (
        "server",
        "word without pts",
        {"type": "timing", "context": "0", "words": [{"text": "a", "chars": [0, 1], "end_pts": 3}]},
        "missing_field",
        "words[0].pts",
    ),
    (
        "server",
        "viseme too heavy",
        {"type": "timing", "context": "0", "visemes": [{"id": 1, "weight": 1.5, "pts": 3}]},
        "invalid_field",
        "visemes[0].weight",
    ),
    ("server", "state unknown", {"type": "state", "contexts": {"0": "asleep"}}, "invalid_field", "contexts.0"),
    (
        "server",
        "reason unknown",
        {"type": "done", "context": "0", "reason": "bored", "frames": 0, "samples": 0, "chars": 0},
        "invalid_field",
        "reason",
    ),
    (
        "server",
        "limits missing",
        {"type": "ready", "session": "s", "token": "t", "heartbeat_ms": 1, "resume_window_ms": 0},
        "missing_field",
        "limits",
    ),
]

INVALID_JSON: list[tuple[str, str, str, str | None]] = [
    ("nothing", "", "malformed_message", None),
    ("half a map", '{"type":"end"', "malformed_message", None),
    ("two maps", '{"type":"end"}{"type":"end"}', "malformed_message", None),
    ("NaN", '{"type":"ping","t":NaN}', "malformed_message", None),
    ("a number beyond doubles", '{"type":"ping","t":1e400}', "malformed_message", None),
    ("a lone surrogate, escaped", '{"type":"text","text":"\\ud83d"}', "malformed_message", None),
    ("a number beyond 64 bits", '{"type":"text","text":"","seq":18446744073709551616}', "invalid_field", "seq"),
    ("nesting without end", "[" * 2000 + "]" * 2000, "malformed_message", None),
]

INVALID_MSGPACK: list[tuple[str, bytes, str, str | None]] = [
    ("nothing", b"", "malformed_message", None),
    ("half a map", bytes.fromhex("82a474797065a3656e64"), "malformed_message", None),
    ("two maps", bytes.fromhex("81a474797065a3656e6481a474797065a3656e64"), "malformed_message", None),
    ("an audio frame", struct.pack("<BBHIQ", 1, 0, 0, 0, 0), "malformed_message", None),
    ("text that is no UTF-8", bytes.fromhex("82a474797065a474657874a474657874a2c328"), "malformed_message", None),
    ("a lone surrogate", bytes.fromhex("82a474797065a474657874a474657874a3eda0bd"), "malformed_message", None),
    ("bytes where text is due", bytes.fromhex("82a474797065a474657874a474657874c40161"), "invalid_field", "text"),
    ("a type of bytes", bytes.fromhex("81a474797065c403656e64"), "invalid_field", "type"),
    ("a name that is a number", bytes.fromhex("82a474797065a3656e640102"), "malformed_message", None),
    ("an extension", bytes.fromhex("82a474797065a3656e64a178d40500"), "malformed_message", None),
    ("NaN", bytes.fromhex("82a474797065a470696e67a174cb7ff8000000000000"), "invalid_field", "t"),
    ("infinity", bytes.fromhex("82a474797065a470696e67a174cb7ff0000000000000"), "invalid_field", "t"),
    ("an array of four thousand million", bytes.fromhex("ddffffffff"), "malformed_message", None),
    ("nesting without end", b"\x91" * 2000 + b"\xc0", "malformed_message", None),
]

FIRST, LAST, REPLAYED = 1, 2, 4

FRAMES: list[tuple[str, dict[str, Any], str]] = [
    (
        "first frame, two samples",
        {"flags": FIRST, "context_number": 0, "seq": 0, "pts": 0, "payload": "0100ffff"},
        "010100000000000000000000000000000100ffff",
    ),
    (
        "a frame in the middle",
        {"flags": 0, "context_number": 258, "seq": 57, "pts": 27360, "payload": "aabb"},
        "0100020139000000e06a000000000000aabb",
    ),
    (
        "last frame",
        {"flags": LAST, "context_number": 1, "seq": 58, "pts": 27840, "payload": "ff" * 160},
        "010201003a000000c06c000000000000" + "ff" * 160,
    ),
    (
        "first, last and replayed, the largest numbers",
        {"flags": FIRST | LAST | REPLAYED, "context_number": 65535, "seq": 4294967295, "pts": INT_MAX, "payload": "00"},
        "0107ffffffffffffffffffffffff1f0000",
    ),
    (
        "no payload",
        {"flags": 0, "context_number": 3, "seq": 2, "pts": 1, "payload": ""},
        "01000300020000000100000000000000",
    ),
    (
        "flags of a later version are ignored",
        {"flags": FIRST, "context_number": 0, "seq": 0, "pts": 0, "payload": "00", "canonical": False},
        "01f9000000000000000000000000000000",
    ),
]

INVALID_FRAMES: list[tuple[str, str]] = [
    ("nothing", ""),
    ("fifteen bytes", "01" + "00" * 14),
    ("another kind", "02" + "00" * 15),
    ("a MessagePack map", "81a474797065a3656e64" + "00" * 8),
]


def compact(value: Any) -> str:
    """JSON without spaces, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def messages() -> list[dict[str, Any]]:
    """Every message: its map, the JSON and the MessagePack of it."""
    return [
        {"name": name, "from": side, "map": each, "json": compact(each), "msgpack": msgpack.packb(each).hex()}
        for side, table in (("client", CLIENT), ("server", SERVER))
        for name, each in table.items()
    ]


def lenient() -> list[dict[str, Any]]:
    """What must be understood though nobody writes it so, and how it is written."""
    return [
        {"name": name, "from": side, "json": compact(given), "msgpack": msgpack.packb(given).hex(), "map": meant}
        for side, name, given, meant in LENIENT
    ]


def invalid() -> list[dict[str, Any]]:
    """What must be refused, with the error's code and the field it names (null: none). MessagePack is hex."""
    rows: list[tuple[str, str, str, str, str, str | None]] = []
    for side, name, value, code, field in INVALID_MAPS:
        rows.append((name, side, "json", compact(value), code, field))
        rows.append((name, side, "msgpack", msgpack.packb(value).hex(), code, field))
    rows += [(name, "client", "json", raw, code, field) for name, raw, code, field in INVALID_JSON]
    rows += [(name, "client", "msgpack", raw.hex(), code, field) for name, raw, code, field in INVALID_MSGPACK]
    keys = ("name", "from", "encoding", "raw", "code", "field")
    return [{**dict(zip(keys, row, strict=True)), "code": f"client.{row[4]}"} for row in rows]


def audio_frames() -> dict[str, list[dict[str, Any]]]:
    """Audio frames as hex, with what is in them; and binary messages that are none."""
    valid = [{"name": name, "canonical": True, **fields, "frame": frame} for name, fields, frame in FRAMES]
    return {
        "valid": valid,
        "invalid": [
            {"name": name, "frame": frame, "code": "client.malformed_message"} for name, frame in INVALID_FRAMES
        ],
    }


def errors() -> dict[str, list[dict[str, Any]]]:
    """The error table and the close codes."""
    from voxwire_protocol.errors import ERRORS, CloseCode

    return {
        "errors": [
            {"code": code.value, "retryable": facts.retryable, "close_code": facts.close_code, "hint": facts.hint}
            for code, facts in ERRORS.items()
        ],
        "close_codes": [{"name": code.name.lower(), "code": code.value} for code in CloseCode],
    }


def rendered() -> dict[str, str]:
    """The files, by name."""
    from support import keyframes

    content = {
        "messages.json": messages(),
        "lenient.json": lenient(),
        "invalid.json": invalid(),
        "audio_frames.json": audio_frames(),
        "errors.json": errors(),
        "visemes.json": keyframes.visemes(),
    }
    return {name: json.dumps(value, ensure_ascii=False, indent=1) + "\n" for name, value in content.items()}


def write() -> None:
    """Write every file."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "protocol")]
    write()
