"""Divides a text into stretches of one language, by the scripts that it is written in. Pure, in linear time.

A script stands for the language that is most often written in it, or for the context's own language where that is
written in it too. What belongs to no script (digits, punctuation, emoji, full-width letters) goes with the letters
around it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

UNKNOWN = "und"
"""The language of letters of a script that is not in the table (BCP 47: undetermined)."""

ENGLISH_WORDS_MAX = 3
ENGLISH_CHARS_MAX = 30
"""Readers of Chinese and Japanese read so many English words within a sentence themselves."""

GREEK_WORD_MIN = 3
"""Shorter Greek "words" are signs (α, Δx, αβ), unless they stand beside a word of this length."""

# Blocks of the Unicode character database (Blocks.txt, Scripts.txt), each with the language of its letters. Latin ones
# that are made from none of the 26 (clicks, tone letters, historic ones) are missing: no reader knows them.
_SCRIPTS = {
    "latin": (
        "en",
        "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0137\u0139-\u0183\u0186-\u01a6\u01a9-\u01ba"
        "\u01c4-\u01f5\u01f8-\u021b\u021e-\u0240\u0243-\u0263\u0265\u0266\u0268-\u026d\u026f-\u0276\u0278-\u0293"
        "\u0299-\u02a0\u02a3\u02a5\u02a6\u02a8\u02aa\u02ab\u02ae\u02af\u1d00-\u1d1d\u1d1f-\u1d23\u1d2c-\u1d5b"
        "\u1d62-\u1d65\u1d6b-\u1d77\u1d79-\u1dbe\u1e00-\u1eff\u2071\u207f\u2090-\u209c\u2160-\u2182\u2184-\u2188"
        "\u2c60-\u2c7f\ua728\ua729\ua730-\ua745\ua748-\ua75b\ua75e-\ua761\ua764-\ua767\ua76a-\ua76d\ua778-\ua787"
        "\ua78d\ua78e\ua790-\ua7b5\ua7b8\ua7b9\ua7c4-\ua7d4\ua7da-\ua7ff\uab30-\uab34\uab36-\uab47\uab49\uab4b-\uab5b"
        "\uab5d-\uab5f\uab62-\uab64\ufb00-\ufb06",
    ),
    "han": (
        "zh",
        "\u3005-\u3007\u3021-\u3029\u3038-\u303b\u3105-\u312f\u31a0-\u31bf\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
        "\U00016fe0-\U00016fff\U00020000-\U0003fffd",
    ),
    "kana": (
        "ja",
        "\u3031-\u3035\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
        "\U0001aff0-\U0001b16f",
    ),
    "hangul": ("ko", "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb\uffa0-\uffdc"),
    "cyrillic": ("ru", "\u0400-\u052f\u1c80-\u1c8f\u1d2b\u1d78\u2de0-\u2dff\ua640-\ua69f\U0001e030-\U0001e08f"),
    "greek": (
        "el",
        "\u00b5\u0370-\u0373\u0376-\u037d\u037f-\u03e1\u03f0-\u03ff\u1d26-\u1d2a\u1d5d-\u1d61\u1d66-\u1d6a\u1dbf\u1f00-\u1fff"
        "\u2126\u213c-\u2140\U0001d6a8-\U0001d7cb",
    ),
    "arabic": (
        "ar",
        "\u0610-\u061a\u0620-\u065f\u066e-\u06d3\u06d5-\u06ed\u06fa-\u06ff\u0750-\u077f\u0870-\u08ff\ufb50-\ufdff"
        "\ufe70-\ufefc",
    ),
    "hebrew": ("he", "\u0591-\u05f4\ufb1d-\ufb4f"),
    "devanagari": ("hi", "\u0900-\u0963\u0971-\u097f\ua8e0-\ua8ff"),
    "bengali": ("bn", "\u0980-\u09e3\u09f0-\u09ff"),
    "gurmukhi": ("pa", "\u0a01-\u0a5e\u0a70-\u0a76"),
    "gujarati": ("gu", "\u0a81-\u0ae3\u0af9-\u0aff"),
    "oriya": ("or", "\u0b01-\u0b63\u0b71"),
    "tamil": ("ta", "\u0b82-\u0bd7"),
    "telugu": ("te", "\u0c00-\u0c63"),
    "kannada": ("kn", "\u0c80-\u0ce3\u0cf1-\u0cf3"),
    "malayalam": ("ml", "\u0d00-\u0d63\u0d7a-\u0d7f"),
    "sinhala": ("si", "\u0d81-\u0ddf\u0df2\u0df3"),
    "thai": ("th", "\u0e01-\u0e3a\u0e40-\u0e4e"),
    "lao": ("lo", "\u0e81-\u0ecd\u0edc-\u0edf"),
    "tibetan": ("bo", "\u0f00\u0f40-\u0fbc"),
    "myanmar": ("my", "\u1000-\u103f\u1050-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f"),
    "georgian": ("ka", "\u10a0-\u10ff\u1c90-\u1cbf\u2d00-\u2d2d"),
    "armenian": ("hy", "\u0531-\u0556\u0559\u0560-\u0588\ufb13-\ufb17"),
    "ethiopic": ("am", "\u1200-\u135f\u1380-\u138f\u2d80-\u2dde\uab01-\uab2e\U0001e7e0-\U0001e7fe"),
    "khmer": ("km", "\u1780-\u17d3\u17d7\u17dc\u17dd"),
    "mongolian": ("mn", "\u1820-\u18aa"),
    "syriac": ("syr", "\u0710-\u074f\u0860-\u086a"),
    "thaana": ("dv", "\u0780-\u07b1"),
    "cherokee": ("chr", "\u13a0-\u13fd\uab70-\uabbf"),
    "syllabics": ("iu", "\u1400-\u167f\u18b0-\u18f5"),
    "tifinagh": ("zgh", "\u2d30-\u2d6f"),
}

# Languages that are not written in Latin letters, beside those of the table.
_WRITTEN = {
    "zh": ("han",), "yue": ("han",), "wuu": ("han",), "cmn": ("han",), "ja": ("han", "kana"), "ko": ("hangul", "han"),
    "uk": ("cyrillic",), "be": ("cyrillic",), "bg": ("cyrillic",), "mk": ("cyrillic",), "kk": ("cyrillic",),
    "ky": ("cyrillic",), "tg": ("cyrillic",), "tt": ("cyrillic",), "mn": ("cyrillic", "mongolian"),
    "sr": ("cyrillic", "latin"), "bs": ("latin", "cyrillic"), "uz": ("latin", "cyrillic"),
    "mr": ("devanagari",), "ne": ("devanagari",), "sa": ("devanagari",), "bho": ("devanagari",), "as": ("bengali",),
    "fa": ("arabic",), "ur": ("arabic",), "ps": ("arabic",), "sd": ("arabic",), "ug": ("arabic",), "ckb": ("arabic",),
    "yi": ("hebrew",), "ti": ("ethiopic",),
}  # fmt: skip
_WRITTEN = {language: (script,) for script, (language, _) in _SCRIPTS.items()} | _WRITTEN

# Letters of no script: of full-width forms, mathematics and compatibility, modifiers. They go with what is around them.
_COMMON = (
    "\u02b0-\u02ff\u2102-\u2125\u2127-\u2131\u2133\u2134\u2139\u2145-\u214d\uff21-\uff3a\uff41-\uff5a"
    "\U0001d400-\U0001d6a7"
)
_MARKS = "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\u200c\u200d"
_RUN = re.compile(
    "|".join(f"(?P<{script}>[{block}][{block}{_MARKS}]*)" for script, (_, block) in _SCRIPTS.items())
    + rf"|(?P<{UNKNOWN}>(?![{_COMMON}])[^\W\d_])"
)
_BEYOND_LATIN = re.compile(rf"(?![{_SCRIPTS['latin'][1]}{_COMMON}])[^\W\d_]")
_CLOSING = "\"'”’»)]}>,.!?;:…。、，．！？：；）】」』》〉〕］｝｡､·"
_OPENING = "\"'“‘„«([{<¿¡（【「『《〈〔［｛#$€£¥"
_JOINED = ("zh", "yue", "wuu", "cmn", "ja")
"""Languages whose readers read English words themselves, as none can be told apart by its spaces."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The characters [start, end) of a text, which are in one language: the context's tag, or one of its own."""

    start: int
    end: int
    language: str


@dataclass(slots=True)
class _Run:
    start: int
    end: int
    script: str
    language: str = ""


def stretches(text: str, language: str) -> list[Stretch]:
    """The stretches of `text` in a context whose language is `language` (a BCP 47 tag).

    They touch, and cover the text; neighbours differ in their language. A text without a letter is one stretch.
    """
    own = scripts_of(language)
    if "latin" in own and _BEYOND_LATIN.search(text) is None:
        return [Stretch(0, len(text), language)]
    runs = list(_runs(text))
    for run in runs:
        run.language = language if run.script in own else _language_of(run.script)
    _tell_japanese(runs, own)
    _keep_signs(runs, language, own)
    _keep_english(runs, language, own)
    return _joined(text, runs, language)


def foreign_letters(text: str, language: str) -> list[tuple[int, int]]:
    """The ranges of `text` in scripts that a reader of `language` can't know; Latin letters every reader knows."""
    if _BEYOND_LATIN.search(text) is None:
        return []
    own = scripts_of(language)
    return [(run.start, run.end) for run in _runs(text) if run.script not in own and run.script != "latin"]


@cache
def scripts_of(language: str) -> tuple[str, ...]:
    """The scripts that a language is written in, of those of the table; the usual one first."""
    return _WRITTEN.get(language.lower().partition("-")[0], ("latin",))


def _runs(text: str) -> Iterator[_Run]:
    """The letters of `text` that have a script, or none that is known; those of one script that stand together."""
    for found in _RUN.finditer(text):
        script = found.lastgroup or UNKNOWN
        # To a pattern numerals (½) are letters.
        if script != UNKNOWN or found[0].isalpha():
            yield _Run(*found.span(), script)


def _language_of(script: str) -> str:
    found = _SCRIPTS.get(script)
    return UNKNOWN if found is None else found[0]


def _groups(runs: Sequence[_Run], scripts: Sequence[str]) -> Iterator[Sequence[_Run]]:
    """The runs of these scripts that no other script's stand between."""
    first = 0
    for at in range(len(runs) + 1):
        if at == len(runs) or runs[at].script not in scripts:
            if first < at:
                yield runs[first:at]
            first = at + 1


def _tell_japanese(runs: Sequence[_Run], own: Sequence[str]) -> None:
    """Han beside kana is Japanese; in a Chinese context, only Han that touches kana."""
    if "kana" in own or not any(run.script == "kana" for run in runs):
        return
    for group in _groups(runs, ("han", "kana")):
        for part in _touching(group) if "han" in own else [group]:
            if any(run.script == "kana" for run in part):
                for run in part:
                    run.language = "ja"


def _touching(runs: Sequence[_Run]) -> Iterator[Sequence[_Run]]:
    first = 0
    for at in range(1, len(runs) + 1):
        if at == len(runs) or runs[at].start > runs[at - 1].end:
            yield runs[first:at]
            first = at


def _keep_signs(runs: Sequence[_Run], language: str, own: Sequence[str]) -> None:
    """Greek letters that stand for themselves are the context's: its normaliser reads them."""
    if "greek" in own:
        return
    for group in _groups(runs, ("greek",)):
        if all(run.end - run.start < GREEK_WORD_MIN for run in group):
            for run in group:
                run.language = language


def _keep_english(runs: Sequence[_Run], language: str, own: Sequence[str]) -> None:
    """Some English words in a Chinese or Japanese sentence are left to its reader."""
    if "latin" in own or language.lower().partition("-")[0] not in _JOINED:
        return
    for group in _groups(runs, ("latin",)):
        if len(group) <= ENGLISH_WORDS_MAX and group[-1].end - group[0].start <= ENGLISH_CHARS_MAX:
            for run in group:
                run.language = language


def _joined(text: str, runs: Sequence[_Run], language: str) -> list[Stretch]:
    """The runs with what stands between them; neighbours of one language are one stretch."""
    found: list[Stretch] = []
    start, last = 0, None
    for run in runs:
        if last is not None and run.language != last.language:
            end = _boundary(text, last.end, run.start, follows=run.language == language)
            found.append(Stretch(start, end, last.language))
            start = end
        last = run
    found.append(Stretch(start, len(text), language if last is None else last.language))
    return found


def _boundary(text: str, start: int, end: int, *, follows: bool) -> int:
    """Where in [start, end), between two languages, the second begins; `follows`: it is the context's.

    Closing marks stay with what they close, opening ones with what they open, the rest with the context's language.
    """
    while start < end and text[start] in _CLOSING:
        start += 1
    if follows:
        return start
    while end > start and text[end - 1] in _OPENING:
        end -= 1
    return end
