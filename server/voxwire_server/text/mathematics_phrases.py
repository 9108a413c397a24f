"""Puts the parts of a formula together in English: fractions, powers, indices, bounds, brackets, matrices."""

from __future__ import annotations

from typing import NamedTuple

from voxwire_server.text.mathematics_words import DENOMINATORS, FENCES, NUMBERS

_POWERS = {"2": "squared", "3": "cubed"}
_MARKS = {  # what stands as a power and is none
    "T": "transpose", "\\top": "transpose", "*": "star", "\\ast": "star", "+": "plus", "-": "minus",
    "\\dagger": "dagger", "\\prime": "prime", "\\circ": "degrees", "\\perp": "perpendicular", "\\star": "star",
}  # fmt: skip
_PLAIN_FUNCTIONS = frozenset(("log", "natural log", "exp"))

Word = tuple[str, int]
"""A word and the index in the formula of what it is read for."""


class Part(NamedTuple):
    """Some of a formula, read: `simple` where it is one sign, which needs no bracket in words."""

    words: list[Word]
    simple: bool = False
    kind: str = ""


def fraction_words(above: str, below: str) -> str:
    """A fraction of two small numbers as words: "one half", "three hundredths"; "" for what is none."""
    name = DENOMINATORS.get(below)
    if not name or not above.isdigit() or len(above) > 3 or above == "0":
        return ""
    if above == "1":
        return f"one {name}"
    if int(above) >= len(NUMBERS):
        return ""
    many = "halves" if name == "half" else f"{name}s"
    return f"{NUMBERS[int(above)]} {many}"


def takes_of(function: Part, argument: Part) -> bool:
    """ "sine of x", "log base 2 of x", but "log n"."""
    return len(function.words) > 1 or argument.kind == "fence" or function.words[0][0] not in _PLAIN_FUNCTIONS


def index_words(base: Part, below: Part) -> list[Word]:
    """An index: "sub i"."""
    place = below.words[0][1]
    if base.kind == "function":
        return [("base" if base.words[0][0] in ("log", "logarithm") else "sub", place), *below.words]
    return [("sub", place), *below.words]


def power_words(base: Part, raw: str, power: Part) -> list[Word]:
    """A power, which is written `raw`: "squared", "to the power of n", "transpose"."""
    if raw == "'":
        return power.words
    mark = _MARKS.get(raw.strip("{} "))
    place = power.words[0][1] if power.words else base.words[-1][1] if base.words else 0
    lead: list[Word] = [(",", place), ("all", place)] if base.kind == "fence" and not base.simple else []
    if mark is not None:
        return [*lead, (mark, place)]
    if not power.words:
        return []
    if len(power.words) == 1 and power.words[0][0] in _POWERS:
        return [*lead, (_POWERS[power.words[0][0]], place)]
    return [*lead, ("to the power of", place), *power.words]


def bounded(base: Part, below: Part | None, above: list[tuple[str, Part]]) -> Part:
    """A sum, an integral, a limit with its bounds."""
    words = list(base.words)
    name = words[0][0]
    upper = above[-1][1].words if above else []
    if below is not None and below.words:
        place = below.words[0][1]
        if name.startswith("the limit"):
            words += [("as", place), *((("approaches" if word == "to" else word), at) for word, at in below.words)]
        elif any(word == "equals" for word, _ in below.words) or upper:
            words += [("from", place), *below.words]
        else:
            words += [("over", place), *below.words]
    if upper:
        words += [("to", upper[0][1]), *upper]
    return Part(words, kind="big")


def fenced(opener: str, closer: str, body: Part, place: int) -> Part:
    """What stands in brackets: a set, an interval, a factor."""
    if not body.words:
        return Part([("the empty set", place)], simple=True, kind="operand") if opener == "\\{" else Part([])
    if opener in FENCES:
        return Part([(FENCES[opener], place), *body.words], simple=body.simple, kind="applied")
    commas = sum(word == "," for word, _ in body.words)
    if opener == "[" and commas == 1 and closer in ("]", ")"):
        split = next(i for i, (word, _) in enumerate(body.words) if word == ",")
        words = [*body.words[:split], ("to", body.words[split][1]), *body.words[split + 1 :]]
        return Part([("the interval from", place), *words], kind="applied")
    return Part(body.words, simple=body.simple, kind="list" if commas else "fence")


def matrix(rows: list[list[Part]], place: int) -> Part:
    """A matrix: its size, then its rows."""
    if not rows:
        return Part([])
    columns = max(len(row) for row in rows)
    words: list[Word] = [(f"a {_small(len(rows))} by {_small(columns)} matrix", place), (":", place)]
    for row in rows:
        for cell in row:
            words += cell.words
            words.append((",", words[-1][1]))
        words[-1] = (";", words[-1][1])
    words[-1] = (",", words[-1][1])
    return Part(words, kind="list")


def lines(rows: list[list[Part]], *, is_cases: bool) -> Part:
    """Lines of equations, or cases with their conditions."""
    words: list[Word] = []
    for row in rows:
        if words:
            words.append((";" if is_cases else ",", words[-1][1]))
        for number, cell in enumerate(row):
            if is_cases and number and words and cell.words:
                if words[-1][0] != ",":
                    words.append((",", words[-1][1]))
                if cell.words[0][0] not in ("if", "otherwise", "when", "for", "else"):
                    words.append(("if", cell.words[0][1]))
            words += cell.words
    return Part(words, kind="list" if words else "")


def _small(number: int) -> str:
    return NUMBERS[number] if number < len(NUMBERS) else str(number)
