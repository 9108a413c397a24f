"""Counts work without a clock: lines of Python that ran in `voxwire_server.text`, and characters that patterns passed.

`counting_turns` counts the lines of the whole server, callback by callback of an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType

from voxwire_server.text import (
    clause_text,
    clauses,
    coarticulation,
    cuts,
    extents,
    formulas,
    inline,
    intake,
    lexicon,
    markup,
    mathematics,
    mathematics_phrases,
    mathematics_signs,
    pauses,
    phoneme_visemes,
    scripts,
    skipping,
    speakable,
    ssml,
)
from voxwire_server.text.ssml import elements as ssml_elements
from voxwire_server.text.ssml import output as ssml_output

MODULES = (
    clauses, cuts, pauses, intake, markup, extents, inline, formulas, mathematics, mathematics_phrases,
    mathematics_signs, skipping, speakable, phoneme_visemes, coarticulation, lexicon, scripts, ssml, ssml_elements,
    ssml_output, clause_text,
)  # fmt: skip
_FILES = frozenset(module.__file__ for module in MODULES)
CHARS_PER_LINE = 16
"""A line of Python takes about as long as a pattern takes to pass so many characters."""


class CountedPattern:
    """A compiled pattern that notes how far each call may have looked."""

    def __init__(self, pattern: re.Pattern[str], note: Callable[[int], None]) -> None:
        self.pattern = pattern.pattern
        self._real, self._note = pattern, note

    def _looked(self, found: re.Match[str] | None, text: str, at: int, end: int) -> re.Match[str] | None:
        self._note((found.end() if found else min(end, len(text))) - at)
        return found

    def search(self, text: str, at: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        return self._looked(self._real.search(text, at, end), text, at, end)

    def match(self, text: str, at: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        found = self._real.match(text, at, end)
        return self._looked(found, text, at, end if found else at)

    def fullmatch(self, text: str, at: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        return self._looked(self._real.fullmatch(text, at, end), text, at, end)

    def finditer(self, text: str, at: int = 0, end: int = sys.maxsize) -> Iterator[re.Match[str]]:
        passed = at
        for found in self._real.finditer(text, at, end):
            self._note(found.end() - passed)
            passed = found.end()
            yield found
        self._note(min(end, len(text)) - passed)

    def findall(self, text: str) -> list[str]:
        self._note(len(text))
        return self._real.findall(text)

    def sub(self, new: str, text: str) -> str:
        self._note(len(text))
        return self._real.sub(new, text)


class Work:
    """What has been counted."""

    def __init__(self, counts: Callable[[str], bool] = _FILES.__contains__) -> None:
        """`counts`: whether the lines of a file count."""
        self.lines = 0
        self.chars = 0
        self._counts = counts

    @property
    def total(self) -> float:
        """In lines."""
        return self.lines + self.chars / CHARS_PER_LINE

    def note(self, chars: int) -> None:
        self.chars += max(chars, 1)

    def trace(self, frame: FrameType, event: str, arg: object) -> Callable | None:
        """For `sys.settrace`."""
        return self._line if self._counts(frame.f_code.co_filename) else None

    def _line(self, frame: FrameType, event: str, arg: object) -> Callable:
        self.lines += 1
        return self._line


def patterns_of(module: ModuleType) -> dict[str, re.Pattern[str]]:
    """The compiled patterns of a module, by name."""
    return {name: value for name, value in vars(module).items() if isinstance(value, re.Pattern)}


@contextlib.contextmanager
def _counted_patterns(work: Work) -> Iterator[None]:
    real = [(module, name, pattern) for module in MODULES for name, pattern in patterns_of(module).items()]
    for module, name, pattern in real:
        setattr(module, name, CountedPattern(pattern, work.note))
    try:
        yield
    finally:
        for module, name, pattern in real:
            setattr(module, name, pattern)


@contextlib.contextmanager
def counted() -> Iterator[Work]:
    """Count what happens inside."""
    work = Work()
    before = sys.gettrace()
    with _counted_patterns(work):
        sys.settrace(work.trace)
        try:
            yield work
        finally:
            sys.settrace(before)


@contextlib.contextmanager
def counting_turns(tell: Callable[[float, asyncio.Handle], None]) -> Iterator[Work]:
    """Count the callbacks of any event loop of this thread; `tell` is told after each how many lines it was."""
    work = Work(lambda file: "/voxwire_" in file)
    original = asyncio.Handle._run

    def run(handle: asyncio.Handle) -> None:
        before = work.total
        sys.settrace(work.trace)
        try:
            original(handle)
        finally:
            sys.settrace(None)
        tell(work.total - before, handle)

    with _counted_patterns(work):
        asyncio.Handle._run = run  # type: ignore[method-assign]
        try:
            yield work
        finally:
            asyncio.Handle._run = original  # type: ignore[method-assign]


@contextlib.contextmanager
def uncounted() -> Iterator[None]:
    """Do not count what happens inside."""
    before = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(before)
