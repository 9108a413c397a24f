"""Appends the text of SSML to the output: whole tokens, with their style, their readings and the pauses between."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voxwire_server.text.controls import PLAIN, Pause, Style, StyleChange
from voxwire_server.text.speakable import CJK, EMOJI, GLUE, HARD_BREAK, INVISIBLE, SPACE, Skipped, SpeakableText

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voxwire_server.speech import Reading

TOKEN_CHARS_MAX = 2048
READING_CHARS_MAX = 100
"""The longest text of one `sub`, `phoneme` or `say-as`: it is never cut."""
PARAGRAPH_SECONDS = 0.4
"""The pause between two paragraphs, beside the one after a sentence."""
WARNINGS_MAX = 8
"""So many places where SSML is broken are told of each context, and so many names of unknown elements."""

_SPACE = re.compile(rf"[{SPACE}]")
_EMOJI = re.compile(rf"[{EMOJI}]")
_SILENT = re.compile(rf"[{EMOJI}{INVISIBLE}\U000e0020-\U000e007f\ufe0e\ufe0f\u20e3]")
_TOKEN_ENDS = re.compile(rf"(?s:.*)[{SPACE} {CJK}]")
_SPEAKABLE = re.compile(r"[^\W_]")
_CLOSING = frozenset(".,;:!?…)]}»”’\"'。、，！？；：」』）")  # said with the word before
_CLOSED = frozenset(".!?…:;,؟۔।،؛。！？：；，、—–-")


@dataclass(frozen=True, slots=True)
class Element:
    """An element that is open: the style before it, and the reading of its text."""

    name: str
    style: Style
    reading: Reading | None = None


class SsmlOutput(SpeakableText):
    """The speakable text of one utterance of SSML. Input indexes are those of the whole context's text."""

    def __init__(self, start: int) -> None:
        super().__init__(start)
        self._start = start  # input before this index is decided
        self._token = ""  # the end of the text so far, which has no space or end yet
        self._origins: list[int] = []  # of _token
        self._ends: dict[int, int] = {}  # index in _token -> end of the input, of references
        self._open: tuple[Element, ...] = ()
        self._muted = 0  # open elements whose text is not read
        self._style = PLAIN
        self._style_due: int | None = None  # the style changes behind closing punctuation; the tag's end
        self._styled_at = -1  # output index of the last change of style or pause
        self._gap = False  # a paragraph has ended
        self._said = False  # there has been something to say in this utterance
        self._reading: list[tuple[str, int]] | None = None  # characters of the reading that is open
        self._reading_at = 0  # which of the open elements it is of
        self._told: frozenset[str] = frozenset()
        self._faults = 0

    def _tell(self, key: str, message: str, at: int, code: str = "ssml_unsupported") -> None:
        """Warn of something, once in a context."""
        if key not in self._told:
            self._told |= {key}
            self.skipped.append(Skipped(message, (at, max(self._start, at + 1)), code))

    def _broken(self, what: str, at: int) -> None:
        """Tell where SSML is broken."""
        if self._faults < WARNINGS_MAX:
            self._faults += 1
            message = f"broken SSML is read as well as can be: at character {at} {what}"
            self._tell(f"broken {at}", message, at, "ssml_malformed")

    def _text(self, piece: str) -> None:
        """Take characters that were written as they are; they end where the input is read to."""
        if piece:
            self._append_token(piece, list(range(self._start - len(piece), self._start)))

    def _append_token(self, piece: str, origins: list[int], end: int | None = None) -> None:
        """Take characters of the text. With `end`, all of them were written as a reference that ends there."""
        if self._muted:
            return
        if not piece.isprintable():
            piece = _SPACE.sub(" ", piece)
        if _SILENT.search(piece):
            self._skip_emoji(piece, origins)
            kept = [i for i, char in enumerate(piece) if not _SILENT.match(char)]
            piece, origins = "".join([piece[i] for i in kept]), [origins[i] for i in kept]
        if self._reading is not None:
            self._take_reading(piece, origins)
            return
        if self._style_due is not None and piece:
            count = next((i for i, char in enumerate(piece) if char not in _CLOSING), None)
            if count is None or count:
                self._emit(piece[:count], origins[:count])
                piece, origins = piece[count or len(piece) :], origins[count or len(piece) :]
            if count is not None:
                self._change_style()
            if not piece:
                return
        before = len(self._token)
        self._token += piece
        self._origins += origins
        if end is not None:
            self._ends[len(self._token) - 1] = end
        if len(self._token) > TOKEN_CHARS_MAX:
            self._end_token()
        elif (whole := _TOKEN_ENDS.match(self._token, before)) is not None:
            self._give_token(whole.end())

    def _skip_emoji(self, piece: str, origins: Sequence[int]) -> None:
        found = _EMOJI.search(piece)
        if found is not None and "emoji" not in self._told:
            self._told |= {"emoji"}
            at = origins[found.start()]
            self.skipped.append(Skipped("an emoji", (at, at + 1)))

    def _end_token(self) -> None:
        """The token at hand is whole: a tag follows, or nothing."""
        self._give_token(len(self._token))

    def _give_token(self, count: int) -> None:
        """Append the first `count` characters of the token to the output."""
        if not count:
            return
        text, origins, ends = self._token[:count], self._origins[:count], self._ends
        self._token, self._origins = self._token[count:], self._origins[count:]
        self._ends = {i - count: end for i, end in ends.items() if i >= count} if ends else {}
        self._said = self._said or _SPEAKABLE.search(text) is not None
        if not self._gap:
            self._emit_token(text, origins, ends)
            return
        lead = len(text) - len(text.lstrip(" "))
        self._emit(text[:lead], origins[:lead])
        if lead < count:
            self._give_gap(origins[lead])
            self._emit_token(text[lead:], origins[lead:], {i - lead: end for i, end in ends.items()})

    def _emit_token(self, text: str, origins: list[int], ends: Mapping[int, int]) -> None:
        count, at = len(text), 0
        for i in [i for i in ends if 0 <= i < count]:
            self._emit(text[at : i + 1], origins[at : i + 1])
            self.tails[self.base + len(self.text) - 1] = ends[i]
            at = i + 1
        self._emit(text[at:], origins[at:])

    def _end_sentence(self, at: int) -> None:
        """A sentence or paragraph begins or ends here."""
        self._end_token()
        self._trim_spaces()
        last = self.text[-1:]
        if not last or last in (HARD_BREAK, " "):
            return
        if last not in _CLOSED and self._styled_at != self.base + len(self.text) and self._style_due is None:
            self._emit(".", (at,))
        self._change_style()
        self._emit(HARD_BREAK, (at,))

    def _take_reading(self, piece: str, origins: list[int]) -> None:
        """Take text of the element that says how it is to be read. One that is too long is read as it stands."""
        assert self._reading is not None
        room = 4 * READING_CHARS_MAX - len(self._reading)
        self._reading += zip(piece[:room], origins[:room], strict=True)
        if len(piece) > room:
            self._end_reading(origins[room])
            self._append_token(piece[room:], origins[room:])

    def _end_reading(self, end: int) -> None:
        """Append the text of the reading that is open, in one piece; `end` is where its element ends."""
        taken, self._reading = self._reading or [], None
        due, self._style_due = self._style_due, None  # of an element inside, or behind it
        text, origins = _collapsed(taken)
        reading = self._open[self._reading_at].reading
        assert reading is not None
        if not _SPEAKABLE.search(text) and reading.kind != "say-as":
            text, origins = reading.value, [taken[0][1] if taken else end - 1] * len(reading.value)
        if len(text) > READING_CHARS_MAX:
            self._tell("reading", f"text with a reading of its own may have {READING_CHARS_MAX} characters", end)
            self._append_token("".join([char for char, _ in taken]), [origin for _, origin in taken])
        elif not _SPEAKABLE.search(text) or (reading.kind == "alias" and text == reading.value):
            self._append_token(text, origins)
        else:
            self._emit_reading(reading, text, origins, end)
            if taken and taken[-1][0] == " ":
                self._emit(" ", (taken[-1][1],))
        self._end_token()
        self._style_due = due

    def _emit_reading(self, reading: Reading, text: str, origins: Sequence[int], end: int) -> None:
        self._give_gap(origins[0])
        self._said = True
        at = self.base + len(self.text) + len(self._pause or "")
        self._emit(text.replace(" ", GLUE), list(origins))
        self.readings.append(replace(reading, start=at, end=self.base + len(self.text)))
        self.tails[self.base + len(self.text) - 1] = end

    def _give_gap(self, at: int) -> None:
        if self._gap:
            self._gap = False
            self._control(Pause(PARAGRAPH_SECONDS), at)

    def _set_all(self, rate: float, gain: float) -> None:
        """Change speed and volume from here on, also behind the elements that are open."""
        self._open = tuple(replace(each, style=replace(each.style, rate=rate, gain=gain)) for each in self._open)
        self._set_style(replace(self._style, rate=rate, gain=gain), now=True)

    def _set_style(self, style: Style, *, now: bool) -> None:
        """Say what follows in a style: at once, or behind punctuation that closes the word before."""
        if style == self._style:
            return
        self._style = style
        self._style_due = self._start
        if now and self._reading is None:
            self._change_style()

    def _change_style(self) -> None:
        if self._style_due is not None:
            end, self._style_due = self._style_due, None
            self._control(StyleChange(self._style), end)
            self._styled_at = self._fixed


def _collapsed(characters: Sequence[tuple[str, int]]) -> tuple[str, list[int]]:
    """Text with single spaces and none at its ends, and the origins of its characters."""
    kept = [each for i, each in enumerate(characters) if each[0] != " " or (i and characters[i - 1][0] != " ")]
    while kept and kept[-1][0] == " ":
        kept.pop()
    if kept and kept[0][0] == " ":
        del kept[0]
    return "".join([char for char, _ in kept]), [origin for _, origin in kept]
