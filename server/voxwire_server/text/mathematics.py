r"""Reads LaTeX mathematics aloud in English.

    spoken(r"\frac{1}{2} x^2") == "one half x squared"

Pure; takes linear time, and looks no deeper into braces than `DEPTH_MAX`. Numbers stay digits, for what reads numbers
after it; fractions are words. It is no parser of LaTeX: whatever it does not know it reads as it stands, or leaves out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voxwire_server.text.mathematics_phrases import Part, Word, fraction_words, lines, matrix
from voxwire_server.text.mathematics_signs import ATTACHED, DEPTH_MAX, OPENERS, TOKEN, SignReader
from voxwire_server.text.mathematics_words import ACCENTS, BIG, FONTS, FUNCTIONS, NOTHING, PLAIN_SIGNS, SETS, WORDS

if TYPE_CHECKING:
    pass

_FENCE_PREFIXES = frozenset(
    f"\\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")
) | {"\\left", "\\middle"}
_MATRICES = frozenset(("matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix", "array"))
_RAW_TEXT = frozenset(
    ("text", "textbf", "textit", "textrm", "texttt", "mbox", "hbox", "operatorname", "operatorname*", "ce", "unit")
)
_DROPPED_ARGUMENTS = {"tag": 1, "label": 1, "color": 1, "hspace": 1, "vspace": 1, "phantom": 1, "tag*": 1, "notag": 0}
_DERIVATIVE = re.compile(r"(?:d|\\mathrm\{d\}|\\partial)\s*(?:\^\{?\w\}?)?\s*\\?\w{0,8}")


def spoken(latex: str) -> str:
    """What is said for a formula, which stands without its delimiters."""
    return "".join(text for text, _ in spoken_parts(latex))


def spoken_parts(latex: str) -> list[Word]:
    """The same in pieces, with the space before each, and the index in `latex` that each is read for, in its order."""
    pieces: list[Word] = []
    at = 0
    for word, position in _Reader(latex).read():
        at = max(at, position)
        if word in ATTACHED:
            if pieces and pieces[-1][0].strip() not in ATTACHED:
                pieces.append((word, at))
        elif word:
            pieces.append((f" {word}" if pieces else word, at))
    while pieces and pieces[-1][0] in (",", ":", ";"):
        pieces.pop()
    return pieces


def symbols(latex: str) -> list[Word]:
    """A formula with signs in place of its commands, where it is not read: pieces as those of `spoken_parts`."""
    pieces: list[Word] = []
    depth = 0
    spaced = False
    fractions: list[int] = []  # depths at which an argument is to be followed by a stroke
    for found in TOKEN.finditer(latex):
        sign, said = found[0], found[0]
        spaced = spaced or latex[found.start() - 1 : found.start()].isspace()
        if sign == "{":
            depth += 1
            continue
        if sign == "}":
            depth -= 1
            if not fractions or fractions[-1] != depth:
                continue
            fractions.pop()
            said = "/"
        elif sign[0] == "\\":
            name = sign[1:]
            if name in ("frac", "dfrac", "tfrac"):
                fractions.append(depth)
            said = PLAIN_SIGNS.get(name, name if name in FUNCTIONS or name in BIG else "")
        elif sign in ("^", "&", "_", "~"):
            said = "^" if sign == "^" else ""
        if said in ("2", "3") and pieces and pieces[-1][0] == "^":
            pieces[-1] = ("²" if said == "2" else "³", pieces[-1][1])
        elif said:
            pieces.append((f" {said}" if pieces and spaced else said, found.start()))
            spaced = False
    return pieces


class _Reader(SignReader):
    """Reads one formula with its commands."""

    # -- commands -------------------------------------------------------------------------

    def _command(self, sign: str, place: int, before: Part) -> Part:
        name = sign[1:]
        if sign in OPENERS:
            return self._fence()
        self._at += 1
        if sign in _FENCE_PREFIXES:
            return self._sized(before)
        if name in WORDS:
            return self._word(WORDS[name], name, place)
        if name in FUNCTIONS:
            return Part([(FUNCTIONS[name], place)], simple=True, kind="function")
        if name in BIG:
            return Part([(BIG[name], place)], kind="big")
        if name in ACCENTS or name in FONTS:
            return self._dressed(name, place)
        if name in _RAW_TEXT:
            return self._text(name, place)
        if name in NOTHING:
            return Part([(",", place)], kind="operator") if name in ("quad", "qquad") else Part([])
        match name:
            case "frac" | "dfrac" | "tfrac" | "cfrac" | "nicefrac":
                return self._fraction(place)
            case "sqrt":
                return self._root(place)
            case "binom" | "dbinom" | "tbinom" | "choose":
                top, bottom = self._argument(), self._argument()
                return Part([*top.words, ("choose", place), *bottom.words], kind="operand")
            case "begin":
                return self._environment(place)
            case "|" | "Vert" | "lVert" | "rVert":
                return self._norm(place, before)
            case "vert" | "lvert" | "rvert" | "mid":
                if name == "mid" or (before.kind and before.kind != "operator"):
                    return Part([("such that" if self._in_set else "given", place)], kind="operator")
                return self._between_bars("the absolute value of", place, ("\\rvert", "\\vert", "|"))
            case "pmod":
                return Part([("modulo", place), *self._argument().words], kind="operator")
            case "overset" | "stackrel" | "underset":
                self._argument()
                return self._argument()
            case "not":
                return Part([("not", place)], kind="operator")
            case "overbrace" | "underbrace":
                part = self._argument()
                if self._peek() in ("^", "_"):
                    self._at += 1
                    self._argument()
                return part
            case _:
                return self._unknown(name, place)

    def _unknown(self, name: str, place: int) -> Part:
        """A command that is read by its name, or left out with its arguments."""
        if name in _DROPPED_ARGUMENTS:
            for _ in range(_DROPPED_ARGUMENTS[name]):
                self._argument()
            return Part([])
        return Part([(name, place)], kind="operand") if name[:1].isalpha() else Part([])

    def _word(self, word: str, name: str, place: int) -> Part:
        """A command that stands for a word: a Greek letter, a relation, a sign."""
        if word[:1] != "=":
            part = Part([(word, place)], simple=True, kind="operand")
            return self._applied(part, name) if self._peek() == "(" else part
        return Part([(word[1:], place)], kind="operator")

    def _sized(self, before: Part) -> Part:
        """After `\\left` and the like: a bracket, which `.` leaves out."""
        sign = self._peek()
        if sign == ".":
            self._at += 1
            return Part([])
        if sign in OPENERS:
            return self._deeper(before)
        if sign in ("|", "\\|", "\\Vert", "\\lvert", "\\vert"):
            return self._deeper(Part([]) if self._bars == 0 else before)
        return Part([])

    def _dressed(self, name: str, place: int) -> Part:
        """A letter in another face, or with something above it."""
        if name == "mathbb" or name == "Bbb":
            letter = self._raw_argument().strip("{} ")
            self._argument()
            known = SETS.get(letter)
            if known and self._peek() not in ("^", "_", "(", "["):
                return Part([(known, place)], simple=True, kind="operand")
            part = Part([(letter, place)], simple=True, kind="operand")
            return self._applied(part, letter) if letter and self._peek() == "(" else part
        if name in FONTS:
            raw = self._raw_argument()
            if len(raw) > 3 and raw[1:-1].isalpha():  # {softmax}
                self._argument()
                return Part([(raw[1:-1], place)], simple=True, kind="function")
            return self._argument()
        body, accent = self._argument(), ACCENTS[name]
        if accent.endswith(" "):
            return Part([(accent.strip(), place), *body.words], simple=body.simple, kind="operand")
        return Part([*body.words, (accent, place)], simple=body.simple, kind="operand") if body.words else body

    def _text(self, name: str, place: int) -> Part:
        words = re.sub(r"[\\{}$]", "", self._raw_group()).split()
        kind = "function" if name.startswith("operatorname") else "text"
        return Part([(word, place) for word in words], simple=True, kind=kind if words else "")

    def _fraction(self, place: int) -> Part:
        begun = self._place()
        above = self._argument()
        middle = self._place()
        below = self._argument()
        if not above.words or not below.words:
            return above if above.words else below
        if len(above.words) == len(below.words) == 1:
            said = fraction_words(above.words[0][0], below.words[0][0])
            if said:
                return Part([(said, place)], simple=True, kind="operand")
        top, bottom = self._latex[begun:middle].strip(" {}"), self._latex[middle : self._place()].strip(" {}")
        if bottom and _DERIVATIVE.fullmatch(bottom) and _DERIVATIVE.fullmatch(top):
            return Part([*above.words, ("by", place), *below.words], kind="operand")
        words = [*above.words, ("over", middle), *below.words]
        if above.simple and below.simple:
            return Part(words, kind="operand")
        return Part([("the fraction", place), *words], kind="applied")

    def _root(self, place: int) -> Part:
        degree = self._optional()
        body = self._argument()
        if not body.words:
            return Part([])
        if degree is None or [word for word, _ in degree.words] == ["2"]:
            name: list[Word] = [("the square root of", place)]
        elif [word for word, _ in degree.words] == ["3"]:
            name = [("the cube root of", place)]
        else:
            word, at = degree.words[-1] if degree.words else ("n", place)
            name = [("the", place), *degree.words[:-1], (f"{word}th root of", at)]
        return Part([*name, *body.words], simple=body.simple, kind="applied")

    def _norm(self, place: int, before: Part) -> Part:
        if before.kind and before.kind != "operator":
            return Part([])
        # The next of them closes it: they do not nest.
        close = next(
            (at for at in range(self._at, self._count) if self._tokens[at] in ("\\|", "\\rVert", "\\Vert")), -1
        )
        if close < 0 or self._depth >= DEPTH_MAX:
            return Part([])
        self._tokens[close] = "\\right"
        self._depth += 1
        body = self._sequence()
        self._depth -= 1
        if self._peek() == "\\right":
            self._at += 1
        return Part([("the norm of", place), *body.words], simple=body.simple, kind="applied")

    def _environment(self, place: int) -> Part:
        """A matrix, cases, or lines of equations."""
        name = self._raw_group().rstrip("*")
        if name in ("array", "alignat", "tabular"):
            self._raw_group()
        if self._depth >= DEPTH_MAX:
            return Part([])
        self._depth += 1
        rows: list[list[Part]] = [[]]
        while self._at < self._count and self._peek() != "\\end":
            rows[-1].append(self._sequence())
            sign = self._peek()
            if sign == "\\end":
                break
            self._at += 1
            if sign in ("\\\\", "\\cr"):
                self._optional()
                rows.append([])
        self._at += 1
        self._raw_group()
        self._depth -= 1
        rows = [row for row in rows if any(cell.words for cell in row)]
        if name in _MATRICES:
            return matrix(rows, place)
        return lines(rows, is_cases=name in ("cases", "dcases", "rcases"))
