"""Writes the golden vectors of the wire protocol, `tests/protocol/vectors/*.json`: what they hold stands beside this.

`python tests/support/vectors.py` writes the files again. The JSON and MessagePack of messages come from the plain
libraries, not from the codecs that are tested with them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgpack

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "protocol")]

from support import heard_vectors, keyframes, resume_vectors
from support import vector_messages as v

DIRECTORY = Path(__file__).parents[1] / "protocol" / "vectors"


def compact(value: Any) -> str:
    """JSON without spaces, characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def messages() -> list[dict[str, Any]]:
    """Every message: its map, the JSON and the MessagePack of it."""
    return [
        {"name": name, "from": side, "map": each, "json": compact(each), "msgpack": msgpack.packb(each).hex()}
        for side, table in (("client", v.CLIENT), ("server", v.SERVER))
        for name, each in table.items()
    ]


def lenient() -> list[dict[str, Any]]:
    """What must be understood though nobody writes it so, and how it is written."""
    return [
        {"name": name, "from": side, "json": compact(given), "msgpack": msgpack.packb(given).hex(), "map": meant}
        for side, name, given, meant in v.LENIENT
    ]


def invalid() -> list[dict[str, Any]]:
    """What must be refused, with the error's code and the field it names (null: none). MessagePack is hex."""
    rows: list[tuple[str, str, str, str, str, str | None]] = []
    for side, name, value, code, field in v.INVALID_MAPS:
        rows.append((name, side, "json", compact(value), code, field))
        rows.append((name, side, "msgpack", msgpack.packb(value).hex(), code, field))
    rows += [(name, "client", "json", raw, code, field) for name, raw, code, field in v.INVALID_JSON]
    rows += [(name, "client", "msgpack", raw.hex(), code, field) for name, raw, code, field in v.INVALID_MSGPACK]
    keys = ("name", "from", "encoding", "raw", "code", "field")
    return [{**dict(zip(keys, row, strict=True)), "code": f"client.{row[4]}"} for row in rows]


def audio_frames() -> dict[str, list[dict[str, Any]]]:
    """Audio frames as hex, with what is in them; and binary messages that are none."""
    valid = [{"name": name, "canonical": True, **fields, "frame": frame} for name, fields, frame in v.FRAMES]
    return {
        "valid": valid,
        "invalid": [
            {"name": name, "frame": frame, "code": "client.malformed_message"} for name, frame in v.INVALID_FRAMES
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
    content = {
        "messages.json": messages(),
        "lenient.json": lenient(),
        "invalid.json": invalid(),
        "audio_frames.json": audio_frames(),
        "errors.json": errors(),
        "visemes.json": keyframes.visemes(),
        "heard.json": heard_vectors.heard(),
        "resuming.json": resume_vectors.resuming(),
    }
    return {name: json.dumps(value, ensure_ascii=False, indent=1) + "\n" for name, value in content.items()}


def write() -> None:
    """Write every file."""
    DIRECTORY.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (DIRECTORY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
