"""Owns the speakable text of an utterance as it grows: its characters, the origin of each, what is left out.

In it a line end is `HARD_BREAK` (a sentence ends there: heading, list item, paragraph) or `SOFT_BREAK` (a line of
verse), and `GLUE` stands for a space at which nothing may be cut ("example dot com"). Of a long run of characters that
cannot be spoken only the first `SILENT_CHARS_MAX` are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_server.text.controls import Control, Mark, Pause

if TYPE_CHECKING:
    from voxwire_server.speech import Reading
    from voxwire_server.text.controls import StyleChange

HARD_BREAK = "\n"
SOFT_BREAK = "\v"
GLUE = "\u00a0"

CLOSED = frozenset('.!?…:;,؟۔।،؛。！？：；，、—–-("')
"""After these a line end needs no full stop of its own."""

SILENT_CHARS_MAX = 32  # so many characters without letter or digit are kept of a run
SILENT_SECONDS_MAX = 60.0
"""The pauses between two words are no longer than this together."""
MARKS_BETWEEN_MAX = 64
"""So many marks may stand between two words: all of them are told at once."""

# Whitespace that ends a token; the no-break spaces (00a0, 2007, 202f) do not.
SPACE = " \t\n\r\x0b\x0c\x1c-\x1f\x85\u1680\u2000-\u2006\u2008-\u200a\u2028\u2029\u205f\u3000"
# Scripts written without spaces, with their punctuation: each character is a token of its own.
CJK = "\u2e80-\u2fdf\u3001-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff65\U00020000-\U0003fffd"
INVISIBLE = (
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\uffff\ud800-\udfff"
)
# After Unicode's emoji-data.txt: the blocks of pictographs, without arrows and mathematical signs.
EMOJI = (
    "\u231a\u231b\u2328\u23cf\u23e9-\u23fa\u24c2\u25aa-\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u27bf"
    "\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
)

_SILENCE = re.compile(r"[\W_]+")  # what str.isalnum calls neither letter nor digit
_LONG_SILENCE = re.compile(rf"[^\W_][\W_]{{{SILENT_CHARS_MAX + 1}}}")
_NOTHING = (0.0, 0)
_BREAK_RANKS = {"": 0, " ": 1, SOFT_BREAK: 2, HARD_BREAK: 3}


@dataclass(frozen=True, slots=True)
class Skipped:
    """Text that is not spoken, or not as it asks: what it was, and its half-open range in the input.

    With a `code`, that of the warning, `what` is the whole message.
    """

    what: str
    chars: tuple[int, int]
    code: str = ""


class SpeakableText:
    """What is decided of an utterance and not yet dropped.

    `text` are the characters, `origins[i]` the input index behind `text[i]`, `base` the number of characters dropped
    before `text[0]`. `tails` maps an index of all output to the end of the input that belongs to it, where that is more
    than the character itself (a URL's path, a closing `**`). `text` is copied for each token: drop what is used up.
    `controls` (in order) and `readings` are placed by indexes of all output, too; who uses them up takes them out.
    """

    def __init__(self, start: int = 0) -> None:
        """`start` is the index of the utterance's first character in the input."""
        self.text = ""
        self.origins: list[int] = []
        self.base = 0
        self.tails: dict[int, int] = {}
        self.skipped: list[Skipped] = []
        self.controls: list[Control] = []
        self.readings: list[Reading] = []
        self._fixed = 0  # output before this index is not taken back: a control stands there
        self._silent = 0  # how many characters without letter or digit `text` ends in, as far as that matters
        self._has_flooded = False  # the client was told
        self._between = _NOTHING  # seconds of pauses and number of marks since the last word
        self._pause: str | None = None  # the break that what was left out behind them held; None: nothing was left out
        self._pause_at = start

    def drop(self, count: int) -> None:
        """Forget the first `count` characters of `text`."""
        self.text = self.text[count:]
        del self.origins[:count]
        self.base += count
        if self.tails:
            self.tails = {at: end for at, end in self.tails.items() if at >= self.base}

    def _emit(self, text: str, origins: range | list[int] | tuple[int, ...]) -> None:
        """Append `text` to the output, but for what makes a run of silent characters too long."""
        if self._pause is None and (len(text) + self._silent <= SILENT_CHARS_MAX or not self._is_silent(text)):
            self._append(text, origins)
            return
        at = 0
        for run in _SILENCE.finditer(text):
            if run.start() > at:
                self._append(text[at : run.start()], origins[at : run.start()])
            at = run.end()
            room = 0 if self._pause is not None else max(0, SILENT_CHARS_MAX - self._silent)
            kept = min(run.start() + room, at)
            if kept > run.start():
                self._append(text[run.start() : kept], origins[run.start() : kept])
            if kept < at:
                self._leave_out(text[kept:at], origins[kept:at])
        if at < len(text):
            self._append(text[at:], origins[at:])

    def _is_silent(self, text: str) -> bool:
        """Whether there is a run of silent characters in `text` that is too long, with those before it."""
        leading = _SILENCE.match(text)
        if leading and leading.end() + self._silent > SILENT_CHARS_MAX:
            return True
        return _LONG_SILENCE.search(text) is not None

    def _append(self, text: str, origins: range | list[int] | tuple[int, ...]) -> None:
        """Append what is all kept; before it comes the break of what was left out."""
        if self._pause:
            text, origins = self._pause + text, (self._pause_at, *origins)
        self._pause = None
        self.text += text
        self.origins.extend(origins)
        if text[-1:].isalnum():
            self._silent, self._between = 0, _NOTHING
            return
        silent = 0
        for char in reversed(text):
            if char.isalnum():
                self._silent, self._between = silent, _NOTHING
                return
            silent += 1
        self._silent += silent

    def _leave_out(self, text: str, origins: range | list[int] | tuple[int, ...]) -> None:
        """Note what is left out: up to a break at its end it belongs to the character before it."""
        pause = self._pause or ""
        for char in (HARD_BREAK, SOFT_BREAK, " "):
            if char in text:
                pause = max(pause, char, key=_BREAK_RANKS.__getitem__)
                break
        self._pause, self._pause_at = pause, origins[-1]
        signs = len(text.rstrip(f" {HARD_BREAK}{SOFT_BREAK}"))
        if signs:
            self.tails[self.base + len(self.text) - 1] = origins[signs - 1] + 1

    def _trim_spaces(self) -> None:
        """Take back the spaces that the output ends in."""
        if self._pause is not None:
            self._pause = "" if self._pause == " " else self._pause
            return
        kept, fixed = len(self.text), max(0, self._fixed - self.base)
        while kept > fixed and self.text[kept - 1] == " ":
            kept -= 1
        if kept < len(self.text):
            self._trim(kept)

    def _control(self, does: Pause | StyleChange | Mark, end: int) -> None:
        """Place a control behind the output; `end` is where its input ends. Of a flood of them the rest is left out."""
        seconds, marks = self._between
        match does:
            case Pause(asked):
                does = Pause(min(asked, SILENT_SECONDS_MAX - seconds))
                self._between = seconds + does.seconds, marks
                if does.seconds < asked:
                    self._flooded(f"pauses between two words last {SILENT_SECONDS_MAX:.0f} s at most", end)
                if not does.seconds:
                    return
            case Mark():
                self._between = seconds, marks + 1
                if marks == MARKS_BETWEEN_MAX:
                    self._flooded(f"between two words stand at most {MARKS_BETWEEN_MAX} marks", end)
                if marks >= MARKS_BETWEEN_MAX:
                    return
        self._fixed = self.base + len(self.text)
        self.controls.append(Control(self._fixed, end, does))

    def _flooded(self, limit: str, end: int) -> None:
        if not self._has_flooded:
            self._has_flooded = True
            self.skipped.append(Skipped(f"{limit}; the rest is left out", (end - 1, end), "ssml_unsupported"))

    def _trim(self, length: int) -> None:
        """Take back the output from `text[length]` on."""
        for at in range(length, len(self.text)):
            self.tails.pop(self.base + at, None)
        self._silent = max(0, self._silent - (len(self.text) - length))
        self.text = self.text[:length]
        del self.origins[length:]

    def _hard_break(self, at: int) -> None:
        """End what was said before like a sentence: a full stop where it has no mark, and a break, of origin `at`."""
        self._trim_spaces()
        last = self.text[-1:]
        if last and last not in CLOSED and last not in f" {HARD_BREAK}{SOFT_BREAK}":
            self._emit(".", (at,))
        self._emit(HARD_BREAK, (at,))

    def _skip(self, what: str, at: int, end: int) -> None:
        self.skipped.append(Skipped(what, (at, end)))
