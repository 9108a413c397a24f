"""Says a text as SSML's `say-as` asks, whatever it looks like. Pure; one language at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voxwire_server.text.reading.european import numbers
from voxwire_server.text.reading.european.numbers import NUMBER, Number, parse
from voxwire_server.text.reading.european.phrases import Phrases

if TYPE_CHECKING:
    from voxwire_server.text.reading.european.language import Language


def say_as(language: Language, text: str, interpret_as: str, detail: str) -> str | None:
    """`text`, whose digits are 0 to 9, as one of the kinds below; None where it is not of that kind."""
    phrases = Phrases(language)
    match interpret_as:
        case "characters" | "spell-out" | "verbatim":
            return phrases.characters(text) or None
        case "digits":
            return phrases.characters(re.sub(r"[^\w]", "", text)) or None
        case "telephone":
            return phrases.phone(text) if any(character.isdecimal() for character in text) else None
        case "date":
            return _date(phrases, text, detail)
        case "cardinal" | "number" | "ordinal":
            return _number(language, text, interpret_as)
        case _:
            return None


def is_dated(text: str, order: str) -> bool:
    """Whether the numbers of `text` are as many as `order` has letters: "d", "m", "y" for day, month and year."""
    parts = re.findall(r"\d+", text)
    known = bool(order) and not set(order.lower()) - set("dmy") and len(set(order.lower())) == len(order)
    return known and len(parts) == len(order) and all(len(part) <= 4 for part in parts)


def _date(phrases: Phrases, text: str, order: str) -> str | None:
    value = {key: int(part) for key, part in zip(order, re.findall(r"\d+", text), strict=True)}
    day, month = value.get("d", 0), value.get("m", 0)
    if day > 31 or month > 12 or ("d" in order and not day) or ("m" in order and not month):
        return None
    return phrases.some_date(day, month, value.get("y", -1))


def _number(language: Language, text: str, interpret_as: str) -> str | None:
    negative = text[:1] in ("-", "−")
    text = text.removeprefix("-").removeprefix("−")
    written = NUMBER.match(text)
    number = parse(written[0], language) if written else Number(str(numbers.roman(text.upper())))
    if not written and not number.n:
        return None
    if interpret_as == "ordinal" and number.n and number.n < 10**15 and not number.mark:
        mark = language.ordinals.fullmatch(text, written.end()) if written else None
        return language.ordinal_of(number.n, mark[0]) if mark else language.ordinal(number.n, "m")
    whole = Number(number.whole.lstrip("0") or "0", number.mark, number.decimals, number.parts, grouped=True)
    return f"{language.minus} " * negative + numbers.say(whole, language)
