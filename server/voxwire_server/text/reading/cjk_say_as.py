"""Chinese and Japanese text read as SSML's `say-as` asks, whatever it looks like. Pure.

Values and formats after the W3C note "SSML 1.0 say-as attribute values" and what vendors add to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_server.text.reading.cjk import plain

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT_MAX = 400
"""Longer texts are read as they are."""

_TIME = re.compile(r"(\d{1,2})(?:[:.h时時](\d{2}))?(?:[:.m分](\d{2}))?[秒分]?\s*([aApP])?")
_FRACTION = re.compile(r"(?:(\d{1,9})[\s+]+)?(\d{1,9})\s*/\s*(\d{1,9})")
_NUMBER = re.compile(r"([-+]?)(\d[\d,]{0,15})(\.\d{1,16})?")
_CARDINAL, _DIGITS, _SPELLED = (
    ("cardinal", "number"),
    ("digits", "number:digits"),
    ("characters", "spell-out", "verbatim"),
)


@dataclass(frozen=True, slots=True)
class Words:
    """How a language says what `say-as` names.

    `number(sign, digits)` has decimals and no commas; of `date` what is not given is 0; `time(hour, minute, second,
    half)` has "a", "p" or "" as `half`; `read` is the language's usual reading.
    """

    number: Callable[[str, str], str]
    ordinal: Callable[[int], str]
    digits: Callable[[str], str]
    telephone: Callable[[list[str]], str]
    date: Callable[[int, int, int], str]
    time: Callable[[int, int, int, str], str]
    fraction: Callable[[int, int, int], str]
    signs: dict[str, str]
    read: Callable[[str], str]
    bleep: str


def say_as(text: str, interpret_as: str, detail: str, words: Words) -> str | None:
    """The words, or None where `interpret_as` says nothing about `text`."""
    kind = interpret_as.strip().lower()
    if kind in ("expletive", "bleep"):
        return words.bleep
    text = plain(text).strip()
    if not text or len(text) > TEXT_MAX:
        return None
    if kind in ("currency", "unit", "measure", "address"):
        return words.read(f"{text} {detail}" if kind == "currency" and text.isdecimal() and detail else text)
    if kind in ("number", "vxml:number") and detail in ("ordinal", "digits", "telephone"):
        kind = detail
    reader = _READERS.get(kind)
    return None if reader is None else reader(text, detail, words)


def _cardinal(text: str, detail: str, words: Words) -> str | None:
    found = _NUMBER.fullmatch(text)
    if found is None:
        return _fraction(text, detail, words)
    return words.number(found[1], found[2].replace(",", "") + (found[3] or ""))


def _ordinal(text: str, detail: str, words: Words) -> str | None:  # noqa: ARG001 -- one signature for all
    found = re.fullmatch(r"第?(\d{1,15})\D{0,4}", text)
    return words.ordinal(int(found[1])) if found else None


def _digits(text: str, detail: str, words: Words) -> str | None:  # noqa: ARG001 -- one signature for all
    return "，".join(words.digits(group) for group in re.findall(r"\d+", text)) or None


def _spelled(text: str, detail: str, words: Words) -> str | None:  # noqa: ARG001 -- one signature for all
    said = [words.digits(c) if c.isdecimal() else c if c.isalpha() else words.signs.get(c, "") for c in text]
    return " ".join(filter(None, said)) or None


def _telephone(text: str, detail: str, words: Words) -> str | None:  # noqa: ARG001 -- one signature for all
    groups = re.findall(r"\d+", text)
    return words.telephone(groups) if groups else None


def _date(text: str, detail: str, words: Words) -> str | None:
    order = re.sub(r"[^mdy]", "", detail.lower().replace("yyyy", "y").replace("mm", "m").replace("dd", "d"))
    parts = re.findall(r"\d+", text)
    if not order and parts:
        order = "y" if len(parts) == 1 else "ymd"[: len(parts)] if len(parts[0]) == 4 else "md"
    if len(parts) == 1 and len(order) > 1:
        parts = _split(parts[0], order)
    if len(parts) != len(order) or not parts or max(map(len, parts)) > 4:
        return None
    given = {what: int(part) for what, part in zip(order, parts, strict=True)}
    year, month, day = given.get("y", 0), given.get("m", 0), given.get("d", 0)
    if not (0 <= month <= 12 and 0 <= day <= 31) or ("m" in given and not month) or ("d" in given and not day):
        return None
    if "y" in given and len(parts[order.index("y")]) == 2:
        year += 1900 if year >= 70 else 2000
    return words.date(year, month, day)


def _split(text: str, order: str) -> list[str]:
    """ "20240305" as its parts."""
    years = len(text) - 2 * (len(order) - 1) if "y" in order else 2
    parts, at = [], 0
    for what in order:
        size = years if what == "y" else 2
        parts.append(text[at : at + size])
        at += size
    return parts if at == len(text) and all(parts) else []


def _time(text: str, detail: str, words: Words) -> str | None:
    found = _TIME.match(text)
    if found is None or int(found[1]) > 24 or int(found[2] or 0) > 59 or int(found[3] or 0) > 59:
        return None
    hour, half = int(found[1]), (found[4] or "").lower()
    if detail == "hms12" and not half and hour > 12:
        hour -= 12
    return words.time(hour, int(found[2] or 0), int(found[3] or 0), half)


def _fraction(text: str, detail: str, words: Words) -> str | None:  # noqa: ARG001 -- one signature for all
    found = _FRACTION.fullmatch(text)
    if found is None or int(found[3]) == 0:
        return None
    return words.fraction(int(found[1] or 0), int(found[2]), int(found[3]))


_READERS: dict[str, Callable[[str, str, Words], str | None]] = {
    **dict.fromkeys(_CARDINAL, _cardinal),
    **dict.fromkeys(_DIGITS, _digits),
    **dict.fromkeys(_SPELLED, _spelled),
    "ordinal": _ordinal,
    "date": _date,
    "time": _time,
    "telephone": _telephone,
    "fraction": _fraction,
}
