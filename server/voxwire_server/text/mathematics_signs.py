"""Reads the signs of a formula one after another: letters, numbers, powers, indices, brackets. Commands come on top."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from voxwire_server.text.mathematics_phrases import (
    Part,
    Word,
    bounded,
    fenced,
    fraction_words,
    index_words,
    power_words,
    takes_of,
)
from voxwire_server.text.mathematics_words import SIGNS

if TYPE_CHECKING:
    from collections.abc import Sequence

DEPTH_MAX = 8

TOKEN = re.compile(
    r"(?P<command>\\(?:[A-Za-z]+\*?|.|\Z))|(?P<number>\d+(?:,\d{3}(?!\d))*(?:\.\d+)?)|(?P<word>[A-Za-z]{4,})|(?P<letter>[^\W\d_])"
    r"|(?P<primes>['’]+)|(?P<other>\S)",
    re.DOTALL,
)
_STOPS = frozenset(("}", ")", "]", "&", "\\\\", "\\right", "\\end", "\\}", "\\rfloor", "\\rceil", "\\rangle", "\\cr"))
OPENERS = frozenset(("(", "[", "\\{", "\\lfloor", "\\lceil", "\\langle", "\\lbrace"))
_FUNCTION_LETTERS = frozenset("fghpqFGHPQEOTVL")
_FUNCTION_NAMES = frozenset(("phi", "psi", "zeta", "Gamma", "Phi", "Psi", "pi"))
ATTACHED = frozenset(",;:.!?%")


class SignReader(ABC):
    """Reads one formula. Each method reads from the sign at hand on, and returns what is said for it."""

    def __init__(self, latex: str) -> None:
        self._latex = latex
        found = list(TOKEN.finditer(latex))
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
        if sign in OPENERS:
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
        if sign in ATTACHED:
            return Part([(sign, place)], kind="operator")
        if not sign.isascii():
            return Part([])
        return Part([(sign, place)], simple=True, kind="operand")

    @abstractmethod
    def _command(self, sign: str, place: int, before: Part) -> Part:
        """What a command is read as, with its arguments."""

    def _number(self, sign: str, place: int) -> Part:
        """A number, or a fraction of two: 1/2."""
        at = self._at
        if self._tokens[at : at + 1] == ["/"] and self._kinds[at + 1 : at + 2] == ["number"]:
            is_joined = self._starts[at + 1] == place + len(sign) + 1
            following = self._tokens[at + 2] if at + 2 < self._count else ""
            said = fraction_words(sign, self._tokens[at + 1])
            if said and is_joined and following not in ("^", "_", "/"):
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
