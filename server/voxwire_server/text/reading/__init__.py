"""Says how a clause's text is read aloud: numbers, money, dates, signs, code and the rest as words, before any engine.

    read_out(clause text, language) -> SourceMap: the words, and the characters that each came from

Pure; takes linear time. It runs on the workers, never on the event loop. One `Normaliser` a language finds what is
to be read otherwise than it is written; a text in a language without one stays as it is.
"""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Protocol

from voxwire_server.text.source_map import Rewrite, SourceMap, rewritten, unchanged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from voxwire_server.speech import Reading

__all__ = ["Normaliser", "read_out"]

logger = logging.getLogger(__name__)


class Normaliser(Protocol):
    """How one language is read. Safe for any number of threads."""

    def rewrites(self, text: str, before: str) -> Sequence[Rewrite]:
        """What of `text` is read otherwise than it is written: in the order of the text, disjoint.

        `before` is the end of what was said before in the same utterance ("Louis" before "XIV"), or "".
        """

    def say_as(self, text: str, interpret_as: str, detail: str) -> str | None:
        """`text` read as SSML's `say-as` asks ("digits", "date" with format "mdy", …); None where that says nothing."""


def read_out(
    text: str, language: str, before: str = "", readings: Sequence[Reading] = (), aliases: Sequence[Rewrite] = ()
) -> SourceMap:
    """What an engine is given for `text`, and where each character of it came from.

    `language` is a BCP 47 tag. `readings` say how ranges of the text are to be read, whatever they look like; then come
    `aliases`, of a lexicon; then what the language's normaliser finds. Each is in the order of the text.
    """
    normaliser = _normaliser(language)
    rewrites = [_reading(text, reading, normaliser) for reading in readings]
    rewrites = _merged(rewrites, aliases)
    if normaliser is not None:
        try:
            rewrites = _merged(rewrites, normaliser.rewrites(text, before))
        except Exception as error:  # a fault in the reading of signs is no reason to say nothing
            logger.error("normaliser of %s: %s", language, type(error).__name__)
    return rewritten(text, rewrites) if rewrites else unchanged(text)


def _reading(text: str, reading: Reading, normaliser: Normaliser | None) -> Rewrite:
    """How the range of a reading is said."""
    source = text[reading.start : reading.end]
    match reading.kind:
        case "ipa":
            said: str | None = f"[{source}](/{reading.value}/)"
        case "alias":
            said = reading.value
        case _:
            said = None if normaliser is None else normaliser.say_as(source, reading.value, reading.detail)
    return Rewrite(reading.start, reading.end, source if said is None else said)


def _merged(first: Sequence[Rewrite], second: Iterable[Rewrite]) -> list[Rewrite]:
    """All of `first`, and what of `second` overlaps none of them; in the order of the text."""
    if not first:
        return list(second)
    merged: list[Rewrite] = []
    at = 0
    for rewrite in second:
        while at < len(first) and first[at].end <= rewrite.start:
            merged.append(first[at])
            at += 1
        if at == len(first) or rewrite.end <= first[at].start:
            merged.append(rewrite)
    merged.extend(first[at:])
    return merged


def _english(british: bool) -> Normaliser:
    from voxwire_server.text.reading.english import EnglishNormaliser

    return EnglishNormaliser(british)


def _european(language: str) -> Normaliser:
    from voxwire_server.text.reading.european import normaliser

    return normaliser(language)


def _mandarin() -> Normaliser:
    from voxwire_server.text.reading.mandarin import MandarinNormaliser

    return MandarinNormaliser()


def _japanese() -> Normaliser:
    from voxwire_server.text.reading.japanese import JapaneseNormaliser

    return JapaneseNormaliser()


_MAKERS: dict[str, Callable[[], Normaliser]] = {
    "en": functools.partial(_english, False),
    "en-us": functools.partial(_english, False),
    "en-gb": functools.partial(_english, True),
    "ja": _japanese,
    "zh": _mandarin,
    **{language: functools.partial(_european, language) for language in ("es", "fr", "hi", "it", "pt")},
}
"""By language tag."""


@functools.cache
def _normaliser(language: str) -> Normaliser | None:
    tag = language.lower()
    maker = _MAKERS.get(tag) or _MAKERS.get(tag.partition("-")[0])
    if maker is None:
        return None
    try:
        return maker()
    except ImportError as missing:
        logger.warning("numbers and signs in %s are not read: %s is not installed", language, missing.name)
        return None
