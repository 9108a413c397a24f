"""What stands between the words of a text and is not said: pauses, marks, changes of style; and their values in SSML.

Values follow W3C SSML 1.1 (https://www.w3.org/TR/speech-synthesis11/, chapters 3.1.2 and 3.2). What a label such as
"slow" or "strong" means is left to the processor there: it stands in the tables here.
"""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass
from typing import NamedTuple

PAUSE_SECONDS_MAX = 10.0
VALUE_CHARS_MAX = 256
"""The longest value of an attribute that is kept."""

BREAK_SECONDS = {
    "none": 0.0,
    "x-weak": 0.1,
    "weak": 0.25,
    "medium": 0.5,
    "strong": 1.0,
    "x-strong": 1.5,
}
RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.5}
VOLUMES_DB = {
    "silent": -math.inf,
    "x-soft": -12.0,
    "soft": -6.0,
    "medium": 0.0,
    "default": 0.0,
    "loud": 6.0,
    "x-loud": 12.0,
}
PITCHES = {"x-low": -6.0, "low": -3.0, "medium": 0.0, "default": 0.0, "high": 3.0, "x-high": 6.0}
"""Semitones."""
EMPHASES = {"strong": (0.9, 3.0), "moderate": (0.95, 1.5), "none": (1.0, 0.0), "reduced": (1.05, -3.0)}
"""What the rate is multiplied by, and decibels."""

RATE_MIN, RATE_MAX = 0.25, 4.0
GAIN_DB_MAX = 12.0

NAME = r"[A-Za-z_][\w.:-]*+"
VALUE = r"(?:\"[^\"<]*+\"|'[^'<]*+'|[^\s\"'<>=/]++)"
_ATTRIBUTE = re.compile(rf"({NAME})\s*=\s*({VALUE})")
_TIME = re.compile(r"\s*\+?(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*(ms|s)\s*", re.IGNORECASE)
_NUMBER = re.compile(r"\s*([+-]?)(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*(%|st|dB|Hz|)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class VoiceWish:
    """Which voice is wanted: the first of `names` that there is, else one of the gender."""

    names: tuple[str, ...] = ()
    gender: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """How text is said. `rate` multiplies the context's speed, `gain` the samples; `pitch` is in semitones.

    `voice` None: the context's own; `language` "": the voice's.
    """

    rate: float = 1.0
    gain: float = 1.0
    pitch: float = 0.0
    voice: VoiceWish | None = None
    language: str = ""


PLAIN = Style()


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence."""

    seconds: float


@dataclass(frozen=True, slots=True)
class StyleChange:
    """What follows is said in this style."""

    style: Style


@dataclass(frozen=True, slots=True)
class Mark:
    """A place of which the client wants to know when it is reached."""

    name: str


class Control(NamedTuple):
    """Something that stands before character `at`, counted over all output; `end` is where its input ends."""

    at: int
    end: int
    does: Pause | StyleChange | Mark


def attributes_of(tag: str) -> dict[str, str]:
    """The attributes that are written in a tag, by their names in lower case."""
    return {
        found[1].lower(): html.unescape(found[2][1:-1] if found[2][0] in "\"'" else found[2])[:VALUE_CHARS_MAX]
        for found in _ATTRIBUTE.finditer(tag)
    }


def seconds_of(text: str) -> float | None:
    """A duration ("500ms", "2s", "+0.5s") in seconds, at most PAUSE_SECONDS_MAX; None where it is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    return min(float(found[1]) / (1000.0 if found[2].lower() == "ms" else 1.0), PAUSE_SECONDS_MAX)


def break_seconds(time: str | None, strength: str | None) -> float | None:
    """How long a `break` is; None where its attributes are wrong. One without attributes is a medium one."""
    if time is not None:
        return seconds_of(time)
    return BREAK_SECONDS.get("medium" if strength is None else strength.strip().lower())


def rate_of(text: str, current: float) -> float | None:
    """What the speed is multiplied by: a label, a number, "80%"; "+10%" and "-10%" are of `current`."""
    label = RATES.get(text.strip().lower())
    if label is not None:
        return label
    found = _NUMBER.fullmatch(text)
    if found is None or found[3] not in ("", "%"):
        return None
    value = float(found[2]) / (100.0 if found[3] else 1.0)
    if found[1]:
        value = current * (1.0 + value if found[1] == "+" else 1.0 - value)
    return min(max(value, RATE_MIN), RATE_MAX)


def gain_of(text: str, current: float) -> float | None:
    """What samples are multiplied by: a label, "+6dB" of `current`, or a number from 0 to 100, of the full volume."""
    label = VOLUMES_DB.get(text.strip().lower())
    if label is not None:
        return linear(label)
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    sign, value = -1.0 if found[1] == "-" else 1.0, float(found[2])
    match found[3].lower():
        case "db":
            return min(current * linear(sign * value), linear(GAIN_DB_MAX))
        case "" | "%":
            if found[1]:
                return min(max(current + sign * value / 100.0, 0.0), linear(GAIN_DB_MAX))
            return min(value / 100.0, 1.0)
        case _:
            return None


def pitch_of(text: str, current: float) -> float | None:
    """Semitones from the voice's own pitch: a label, or "+2st" and "+10%" from `current`; None for others, as Hz."""
    label = PITCHES.get(text.strip().lower())
    if label is not None:
        return label
    found = _NUMBER.fullmatch(text)
    if found is None or not found[1]:
        return None
    value = -float(found[2]) if found[1] == "-" else float(found[2])
    match found[3].lower():
        case "st":
            return min(max(current + value, -24.0), 24.0)
        case "%" if value > -100.0:
            return min(max(current + 12.0 * math.log2(1.0 + value / 100.0), -24.0), 24.0)
        case _:
            return None


def linear(decibels: float) -> float:
    """Decibels as what samples are multiplied by."""
    return 0.0 if decibels == -math.inf else 10.0 ** (decibels / 20.0)
