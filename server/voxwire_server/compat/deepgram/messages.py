"""Reads what Deepgram's clients send on a WebSocket, and the marks that may stand within a text."""

from __future__ import annotations

import re
from typing import Any

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.json_objects import json_object

_STRING = r'"((?:[^"\\]|\\.){0,256})"'
_WORD = re.compile(rf'\\\{{\s*"word"\s*:\s*{_STRING}\s*,\s*"pronounce"\s*:\s*{_STRING}\s*\\\}}')
_PAUSE = re.compile(r"\\\{pause:\d{1,5}ms\\\}")


def parse(raw: str | bytes) -> tuple[str, dict[str, Any]]:
    """A message's type and its fields.

    Raises:
        VoxwireError: client.malformed_message, client.missing_field.
    """
    if isinstance(raw, bytes):
        raise VoxwireError(ErrorCode.UNEXPECTED_BINARY, "messages are text with a JSON object, this one is binary")
    fields = json_object(raw)
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise VoxwireError(ErrorCode.MISSING_FIELD, "the message has no `type`", details={"field": "type"})
    return kind, fields


def unknown(kind: str, known: str) -> VoxwireError:
    """The error for a message of another type than those there are."""
    return VoxwireError(ErrorCode.UNKNOWN_TYPE, f"there is no message {kind[:40]!r}; there are {known}")


def text_of(fields: dict[str, Any], chars_max: int) -> str:
    """The text of a Speak.

    Raises:
        VoxwireError: client.missing_field, client.invalid_field, client.text_too_long.
    """
    text = fields.get("text")
    if text is None:
        raise VoxwireError(ErrorCode.MISSING_FIELD, "Speak has no `text`", details={"field": "text"})
    if not isinstance(text, str):
        raise VoxwireError(ErrorCode.INVALID_FIELD, "`text` is no string", details={"field": "text"})
    if len(text) > chars_max:
        raise VoxwireError(
            ErrorCode.TEXT_TOO_LONG, f"the text has {len(text)} characters, {chars_max} are allowed at once"
        )
    return spoken(text)


def spoken(text: str) -> str:
    """A text without inline controls: a word with a pronunciation stays as the word, a pause goes."""
    if "\\{" not in text:
        return text
    return _PAUSE.sub(" ", _WORD.sub(lambda found: found[1].replace('\\"', '"'), text))
