"""A context's text with the times of its clauses and words: which part was heard, and where to go on. Pure.

The server reports the same in `cancelled`. The client's own report is needed while there is no connection, and after
`done`, when the listener still hears what was sent ahead and the server has forgotten the context.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from voxwire_protocol import messages as m

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(slots=True)
class Transcript:
    """A context's text, and when each part of it sounds. `chars` are code points, `pts` samples."""

    _pieces: list[str] = field(default_factory=list)
    _clauses: list[m.ClauseStarted] = field(default_factory=list)
    _words: list[m.WordTiming] = field(default_factory=list)
    chars: int = 0

    @property
    def text(self) -> str:
        """The text so far."""
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0] if self._pieces else ""

    @property
    def spoken_chars(self) -> int:
        """The end of the last clause that was announced, in the text."""
        return self._clauses[-1].chars[1] if self._clauses else 0

    def append(self, text: str) -> None:
        """More text."""
        self._pieces.append(text)
        self.chars += len(text)

    def truncate(self, chars: int) -> None:
        """Forget the text from a character on."""
        self._pieces = [self.text[:chars]]
        self.chars = len(self._pieces[0])

    def clause(self, message: m.ClauseStarted) -> None:
        """Add the times of a clause."""
        self._clauses.append(message)

    def timing(self, message: m.Timing) -> None:
        """Add the times of words."""
        self._words += message.words

    def first_unheard(self, pts: int, utterance_end_pts: int) -> int:
        """The first character that a fresh session has to speak, where audio was received up to `pts`.

        That is the start of the first word that was not received whole; where words have no times, of the clause.
        `utterance_end_pts` is the end of the last utterance that was received whole.
        """
        begun = [clause for clause in self._clauses if clause.pts < pts]
        if not begun:
            return 0
        clause, whole = begun[-1], len(begun) < len(self._clauses) and self._clauses[len(begun)].pts <= pts
        if whole or pts <= utterance_end_pts:
            return clause.chars[1]
        words = [w for w in self._words if w.pts >= clause.pts and clause.chars[0] <= w.chars[0] < clause.chars[1]]
        if not words:
            return clause.chars[0]
        complete_chars = clause.chars[0]
        for word in words:
            if word.end_pts > pts:
                return self._with_opening(word.chars[0], complete_chars)
            complete_chars = word.chars[1]
        # The times of a clause's words come in several messages: some may be missing.
        return self._past_closing(complete_chars, clause.chars[1])

    def _past_closing(self, char: int, end: int) -> int:
        """The end of the punctuation after a word; `end` where only white space follows before `end`."""
        text = self.text[:end]
        while char < len(text) and not text[char].isspace() and not text[char].isalnum():
            char += 1
        return char if text[char:].strip() else end

    def _with_opening(self, char: int, least: int) -> int:
        """The start of the opening quotes or brackets before a word, not before `least`."""
        text = self.text
        while char > least and not text[char - 1].isspace():
            char -= 1
        return char

    def cut(self, pts: int, chars: int) -> None:
        """Drop times of characters from `chars` on, and of audio from `pts` on."""
        self._clauses = [
            replace(clause, chars=(clause.chars[0], max(clause.chars[0], min(clause.chars[1], chars))))
            for clause in self._clauses
            if clause.pts < pts and clause.chars[0] <= chars
        ]
        self._words = [word for word in self._words if word.chars[1] <= chars and word.end_pts <= pts]

    def heard(self, pts: int, end_pts: int | None) -> tuple[m.Heard, m.Unheard]:
        """What was heard up to `pts`, in whole words. `end_pts` is the end of the last clause, None if unknown."""
        text = self.text
        chars, word = self._heard(pts, end_pts, text)
        heard = m.Heard(pts=pts, chars=chars, text=text[:chars], word=word)
        return heard, m.Unheard(chars=len(text) - chars, text=text[chars:])

    def _heard(self, pts: int, end_pts: int | None, text: str) -> tuple[int, str | None]:
        chars = 0
        ends = [clause.pts for clause in self._clauses[1:]]
        for clause, clause_end in zip(self._clauses, [*ends, end_pts], strict=False):
            if clause_end is not None and pts >= clause_end:
                chars = clause.chars[1]
                continue
            chars = max(chars, clause.chars[0]) if pts >= clause.pts else chars
            if pts > clause.pts:
                words = [w for w in self._words if clause.pts <= w.pts and (clause_end is None or w.pts < clause_end)]
                if words:
                    return _by_words(words, pts, chars)
                return _evenly(clause, clause_end, pts, chars, text), None
            break
        return chars, None


def _by_words(words: Sequence[m.WordTiming], pts: int, chars: int) -> tuple[int, str | None]:
    for word in words:
        if word.end_pts <= pts:
            chars = max(chars, word.chars[1])
        else:
            return chars, word.text if word.pts < pts else None
    return chars, None


def _evenly(clause: m.ClauseStarted, end_pts: int | None, pts: int, chars: int, text: str) -> int:
    if end_pts is None:
        return chars
    start, end = clause.chars
    reached = start + (end - start) * (pts - clause.pts) // max(1, end_pts - clause.pts)
    while reached > start and not text[reached - 1].isspace():
        reached -= 1
    return max(chars, reached)
