r"""Reads LaTeX mathematics aloud in English, and finds where a formula ends in running text.

    spoken(r"\frac{1}{2} x^2") == "one half x squared"

Pure; takes linear time, and looks no deeper into braces than `DEPTH_MAX`. Numbers stay digits, for what reads numbers
after it; fractions are words. It is no parser of LaTeX: whatever it does not know it reads as it stands, or leaves out.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voxwire_server.text.mathematics_phrases import (
    Part,
    bounded,
    fenced,
    fraction_words,
    index_words,
    lines,
    matrix,
    power_words,
    takes_of,
)
from voxwire_server.text.mathematics_words import (
    ACCENTS,
    BIG,
    FONTS,
    FUNCTIONS,
    NOTHING,
    PLAIN_SIGNS,
    SETS,
    SIGNS,
    WORDS,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxwire_server.text.mathematics_phrases import Word

DEPTH_MAX = 8

_TOKEN = re.compile(
    r"(?P<command>\\(?:[A-Za-z]+\*?|.|\Z))|(?P<number>\d+(?:,\d{3}(?!\d))*(?:\.\d+)?)|(?P<word>[A-Za-z]{4,})|(?P<letter>[^\W\d_])"
    r"|(?P<primes>['’]+)|(?P<other>\S)",
    re.DOTALL,
)
_STOPS = frozenset(("}", ")", "]", "&", "\\\\", "\\right", "\\end", "\\}", "\\rfloor", "\\rceil", "\\rangle", "\\cr"))
_OPEN = frozenset(("(", "[", "\\{", "\\lfloor", "\\lceil", "\\langle", "\\lbrace"))
_FENCE_PREFIXES = frozenset(
    f"\\{size}{side}" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r", "m")
) | {"\\left", "\\middle"}
_FUNCTION_LETTERS = frozenset("fghpqFGHPQEOTVL")
_FUNCTION_NAMES = frozenset(("phi", "psi", "zeta", "Gamma", "Phi", "Psi", "pi"))
_MATRICES = frozenset(("matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix", "array"))
_RAW_TEXT = frozenset(
    ("text", "textbf", "textit", "textrm", "texttt", "mbox", "hbox", "operatorname", "operatorname*", "ce", "unit")
)
_DROPPED_ARGUMENTS = {"tag": 1, "label": 1, "color": 1, "hspace": 1, "vspace": 1, "phantom": 1, "tag*": 1, "notag": 0}
_ATTACHED = frozenset(",;:.!?%")
_DERIVATIVE = re.compile(r"(?:d|\\mathrm\{d\}|\\partial)\s*(?:\^\{?\w\}?)?\s*\\?\w{0,8}")


def spoken(latex: str) -> str:
    """What is said for a formula, which stands without its delimiters."""
    return "".join(text for text, _ in spoken_parts(latex))


def spoken_parts(latex: str) -> list[Word]:
    """The same in pieces, with the space before each, and the index in `latex` that each is read for: never decreasing."""
    pieces: list[Word] = []
    at = 0
    for word, position in _Reader(latex).read():
        at = max(at, position)
        if word in _ATTACHED:
            if pieces and pieces[-1][0].strip() not in _ATTACHED:
                pieces.append((word, at))
        elif word:
            pieces.append((f" {word}" if pieces else word, at))
    while pieces and pieces[-1][0] in (",", ":", ";"):
        pieces.pop()
    return pieces


def symbols(latex: str) -> list[Word]:
    """A formula with signs in place of its commands, for languages in which it is not read: pieces as `spoken_parts`."""
    pieces: list[Word] = []
    depth = 0
    fractions: list[int] = []  # depths at which an argument is to be followed by a stroke
    for found in _TOKEN.finditer(latex):
        sign, said = found[0], found[0]
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
            spaced = pieces and found.start() and latex[found.start() - 1].isspace()
            pieces.append((f" {said}" if spaced else said, found.start()))
    return pieces


class _Reader:
    """Reads one formula. Each method reads from the sign at hand on, and returns what is said for it."""

    def __init__(self, latex: str) -> None:
        self._latex = latex
        found = list(_TOKEN.finditer(latex))
        self._tokens = [each[0] for each in found]
        self._kinds = [each.lastgroup or "" for each in found]
        self._starts = [each.start() for each in found]
        self._count = len(found)
        self._at = 0
        self._depth = 0
        self._bars = 0  # how many absolute values are open
        self._in_set = False

    def read(self) -> list[Word]:
        """All of it; a closing sign that nothing opened is passed over."""
        words: list[Word] = []
        while self._at < self._count:
            words += self._sequence().words
            if self._at >= self._count:
                break
            sign, place = self._tokens[self._at], self._starts[self._at]
            self._at += 1
            if sign in ("\\\\", "\\cr"):
                self._optional()
                words.append((",", place))
            elif sign == "\\end":
                self._raw_group()
        return words

    # -- what follows one another ---------------------------------------------------------

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < self._count else ""

    def _place(self) -> int:
        return self._starts[self._at] if self._at < self._count else len(self._latex)

    def _sequence(self) -> Part:
        """Up to a sign that closes something."""
        words: list[Word] = []
        parts = 0
        before = Part([])
        while self._at < self._count and (sign := self._tokens[self._at]) not in _STOPS:
            if sign == "|" and self._bars and before.kind != "operator":
                break
            place = self._starts[self._at]
            part = self._atom(before)
            if part.kind == "":
                continue
            part = self._scripted(part)
            joins = before.kind in ("operand", "fence") and part.kind == "fence"
            if joins or (before.kind == "fence" and part.kind == "operand"):
                if before.kind == "fence" and words[-1][0] != ",":
                    words.append((",", place))
                words.append(("times", place))
            elif before.kind == "fence" and not before.simple and part.words and part.words[0][0] != ",":
                words.append((",", place))
            elif (
                before.kind == "function" and part.kind != "operator" and takes_of(before, part)
            ) or before.kind == "big":
                words.append(("of", place))
            elif before.kind == "applied" and not before.simple and part.words and part.words[0][0] != ",":
                words.append((",", place))
            words += part.words
            parts += 1
            before = part
        simple = parts == 1 and before.simple
        return Part(words, simple, before.kind if parts == 1 else "operand" if parts else "")

    def _atom(self, before: Part) -> Part:
        """One sign, with what belongs to it; what is nothing has no kind."""
        at = self._at
        sign, kind, place = self._tokens[at], self._kinds[at], self._starts[at]
        if kind in ("letter", "word"):
            name = SIGNS.get(sign, sign)
            if self._tokens[at + 1 : at + 2] == ["("]:
                self._at += 1
                return self._applied(Part([(name, place)], simple=True, kind="operand"), sign)
            self._at += 1
            return Part([(name, place)], simple=True, kind="operand")
        if kind == "number":
            self._at += 1
            return self._number(sign, place)
        if kind == "command":
            return self._command(sign, place, before)
        if kind == "primes":
            self._at += 1
            return Part([("prime", place)], simple=True, kind="operand")
        if sign == "{":
            return self._argument()
        if sign in _OPEN:
            return self._fence()
        if sign == "|":
            return self._bar(before)
        self._at += 1
        if sign in "^_":
            return Part([])  # one without a base
        word = SIGNS.get(sign)
        if word is not None:
            return Part([(word, place)], kind="operator") if word else Part([])
        if sign == "!" and before.kind in ("operand", "fence"):
            return Part([("factorial", place)], kind="mark")
        if sign in _ATTACHED:
            return Part([(sign, place)], kind="operator")
        return Part([(sign, place)], simple=True, kind="operand")

    def _number(self, sign: str, place: int) -> Part:
        """A number, or a fraction of two: 1/2."""
        at = self._at
        if self._tokens[at : at + 1] == ["/"] and self._kinds[at + 1 : at + 2] == ["number"]:
            following = self._tokens[at + 2] if at + 2 < self._count else ""
            said = fraction_words(sign, self._tokens[at + 1])
            if said and following not in ("^", "_", "/"):
                self._at += 2
                return Part([(said, place)], simple=True, kind="operand")
        return Part([(sign, place)], simple=True, kind="operand")

    def _applied(self, function: Part, name: str) -> Part:
        """A letter before a bracket: a function of it, or a factor."""
        body = self._fence()
        of = name in _FUNCTION_LETTERS or name in _FUNCTION_NAMES or body.simple or body.kind == "list"
        place = function.words[-1][1]
        words = [*function.words, ("of" if of else "times", place), *body.words]
        return Part(words, simple=of and body.simple, kind="applied")

    # -- powers and indices ---------------------------------------------------------------

    def _scripted(self, base: Part) -> Part:
        """A sign with its index and its power, in whatever order they stand."""
        if self._at >= self._count:
            return base
        below: Part | None = None
        above: list[tuple[str, Part]] = []
        begun = self._at
        while self._at < self._count:
            sign = self._tokens[self._at]
            if sign == "_":
                self._at += 1
                below = self._argument()
            elif sign == "^":
                self._at += 1
                raw = self._raw_argument()
                above.append((raw, self._argument()))
            elif self._kinds[self._at] == "primes":
                place = self._place()
                self._at += 1
                word = ("", "prime", "double prime", "triple prime")[min(len(sign), 3)]
                above.append(("'", Part([(word, place)])))
            elif sign in ("\\limits", "\\nolimits"):
                self._at += 1
            else:
                break
        if self._at == begun:
            return base
        if base.kind == "big":
            return bounded(base, below, above)
        words = list(base.words)
        if below is not None and below.words:
            words += index_words(base, below)
        for raw, power in above:
            words += power_words(base, raw, power)
        scripted = Part(words, simple=base.simple, kind="operand" if base.kind == "fence" else base.kind)
        if self._peek() == "(" and base.kind == "operand" and base.words:
            place = self._place()
            body = self._fence()
            name = base.words[0][0]
            derived = any(raw == "'" for raw, _ in above)
            of = derived or name in _FUNCTION_LETTERS or name in _FUNCTION_NAMES or (body.simple and not above)
            return Part([*words, ("of" if of else "times", place), *body.words], simple=body.simple, kind="applied")
        return scripted

    # -- groups ---------------------------------------------------------------------------

    def _argument(self) -> Part:
        """What stands in braces, or the next sign alone."""
        if self._at >= self._count or self._tokens[self._at] in _STOPS:
            return Part([])
        if self._tokens[self._at] != "{":
            return self._single()
        self._at += 1
        if self._depth >= DEPTH_MAX:
            return Part([])
        self._depth += 1
        words: list[Word] = []
        part = Part([])
        parts = 0
        while self._at < self._count and self._tokens[self._at] != "}":
            part = self._sequence()
            words += part.words
            parts += 1
            if self._at < self._count and self._tokens[self._at] != "}":
                if self._tokens[self._at] in ("&", "\\\\"):
                    words.append((",", self._place()))
                self._at += 1
        self._at += 1
        self._depth -= 1
        return part if parts == 1 else Part(words, kind="operand" if words else "")

    def _single(self) -> Part:
        """One sign: `x^2n` is x squared, n; `\frac12` one half."""
        sign, kind, place = self._tokens[self._at], self._kinds[self._at], self._place()
        if kind == "number" and len(sign) > 1:
            self._tokens[self._at], self._starts[self._at] = sign[1:], place + 1
            return Part([(sign[0], place)], simple=True, kind="operand")
        if kind in ("letter", "word"):
            self._at += 1
            return Part([(SIGNS.get(sign, sign), place)], simple=True, kind="operand")
        if sign in ("^", "_", "{"):
            return Part([])
        return self._deeper(Part([]))

    def _deeper(self, before: Part) -> Part:
        if self._depth >= DEPTH_MAX:
            self._at += 1
            return Part([])
        self._depth += 1
        part = self._atom(before)
        self._depth -= 1
        return part

    def _optional(self) -> Part | None:
        """What stands in square brackets after a command, if any does."""
        if self._peek() != "[" or self._depth >= DEPTH_MAX:
            return None
        self._at += 1
        self._depth += 1
        part = self._sequence()
        self._depth -= 1
        if self._peek() == "]":
            self._at += 1
        return part

    def _fence(self) -> Part:
        """What stands in brackets of any kind."""
        opener, place = self._tokens[self._at], self._place()
        self._at += 1
        if self._depth >= DEPTH_MAX:
            return Part([])
        self._depth += 1
        outer, bars, self._bars = self._in_set, self._bars, 0
        self._in_set = opener in ("\\{", "\\lbrace")
        body = self._sequence()
        self._in_set, self._bars = outer, bars
        self._depth -= 1
        closer = self._peek()
        if closer == "\\right":
            self._at += 1
            closer = self._peek()
            self._at += 1
        elif closer in _STOPS and closer not in ("}", "&", "\\\\", "\\end"):
            self._at += 1
        return fenced(opener, closer, body, place)

    def _bar(self, before: Part) -> Part:
        """An absolute value, or what stands between a thing and its condition."""
        place = self._place()
        self._at += 1
        if before.kind and before.kind != "operator":
            return Part([("such that" if self._in_set else "given", place)], kind="operator")
        return self._between_bars("the absolute value of", place, ("|",))

    def _between_bars(self, name: str, place: int, closers: Sequence[str]) -> Part:
        if self._depth >= DEPTH_MAX:
            return Part([])
        self._depth += 1
        self._bars += 1
        body = self._sequence()
        self._bars -= 1
        self._depth -= 1
        if self._peek() == "\\right":
            self._at += 1
        if self._peek() in closers:
            self._at += 1
        return Part([(name, place), *body.words], simple=body.simple, kind="applied") if body.words else Part([])

    # -- commands -------------------------------------------------------------------------

    def _command(self, sign: str, place: int, before: Part) -> Part:
        name = sign[1:]
        if sign in _OPEN:
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
        if sign in _OPEN:
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

    # -- the formula as it is written -----------------------------------------------------

    def _raw_argument(self) -> str:
        """The next argument as it is written, not passed: braces with what is in them, or one sign."""
        if self._peek() != "{":
            return self._peek()[:1] if self._at < self._count and self._kinds[self._at] == "number" else self._peek()
        end = self._latex.find("}", self._place(), self._place() + 40)
        return self._latex[self._place() : end + 1]

    def _raw_group(self) -> str:
        """The content of braces as it is written, passed."""
        if self._peek() != "{":
            return ""
        depth, begun = 0, self._at
        while self._at < self._count:
            sign = self._tokens[self._at]
            self._at += 1
            depth += (sign == "{") - (sign == "}")
            if not depth:
                break
        return self._latex[self._starts[begun] + 1 : self._starts[self._at - 1]]
