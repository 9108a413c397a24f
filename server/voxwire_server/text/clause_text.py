"""A clause as it leaves the intake, with the pauses, marks, styles and readings that stand in its text."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voxwire_server.text.clauses import speakable
from voxwire_server.text.controls import PLAIN, Mark, Pause, Style, StyleChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxwire_server.speech import Reading
    from voxwire_server.text.clauses import Boundary
    from voxwire_server.text.controls import Control
    from voxwire_server.text.speakable import SpeakableText


@dataclass(frozen=True, slots=True)
class ClauseText:
    """A clause, ready to speak.

    `text` has no markup; it is empty when nothing in `chars` can be spoken. `origins[i]` is the index in the context's
    original text behind `text[i]`: same length, never decreasing. `chars` is the half-open range of original text that
    the clause uses up; the ranges of consecutive clauses touch. `readings` are ranges of `text`, `marks` names with the
    index in `text` that they stand before. It is said in `style`, then there are `pause_after` seconds of silence.
    """

    text: str
    origins: Sequence[int]
    chars: tuple[int, int]
    ends_utterance: bool
    boundary: Boundary
    readings: tuple[Reading, ...] = ()
    marks: tuple[tuple[str, int], ...] = ()
    style: Style = PLAIN
    pause_after: float = 0.0


@dataclass(frozen=True, slots=True)
class IntakeWarning:
    """Something in the text is not spoken, or not as it asks; `chars` is its half-open range in the original text."""

    code: str
    message: str
    chars: tuple[int, int]


@dataclass(slots=True)
class ControlSearch:
    """How far an utterance's controls were looked at for the next clause: `passed` of them, and output before `looked`.

    `begins`: nothing of the clause is said before there. `style` is the clause's. Controls are only added meanwhile.
    """

    looked: int
    style: Style
    begins: bool = True
    passed: int = 0

    def next(self, output: SpeakableText) -> int:
        """Which of the output's controls ends the clause at the latest, or -1: a pause, or a change of style.

        Changes of style before its first word do not end it.
        """
        while self.passed < len(output.controls):
            at, _, does = output.controls[self.passed]
            if not isinstance(does, Mark):
                behind = max(self.looked, at)
                said = speakable(output.text[self.looked - output.base : behind - output.base])
                self.begins, self.looked = self.begins and not said, behind
                if isinstance(does, Pause):
                    return self.passed
                if self.begins:
                    self.style = does.style
                elif does.style != self.style:
                    return self.passed
            self.passed += 1
        return -1


def with_controls(
    clause: ClauseText,
    output: SpeakableText,
    search: ControlSearch,
    span: tuple[int, int],
    kept: Sequence[int],
    ends: int,
) -> tuple[ClauseText, Style]:
    """The clause of a span of the output, with the controls and readings in it, which are used up; the style after it.

    `kept` are the indexes, from the span's start on, of the characters of its text. `ends`: so many controls end it; 0
    where it does not end because of one.
    """
    start, end = span
    search.next(output)
    controls, output.controls = _parted(output.controls, ends, clause.chars[1])
    readings = tuple(
        replace(each, start=bisect_left(kept, each.start - start), end=bisect_left(kept, each.end - start))
        for each in output.readings
        if clause.text and start <= each.start and each.end <= end
    )
    output.readings = [each for each in output.readings if each.end > end]
    marks = tuple(
        (each.does.name, min(bisect_left(kept, each.at - start), len(clause.text)))
        for each in controls
        if isinstance(each.does, Mark)
    )
    pause = controls[-1].does if ends else None
    seconds = pause.seconds if isinstance(pause, Pause) else 0.0
    changes = [each.does.style for each in controls if isinstance(each.does, StyleChange)]
    said = replace(clause, readings=readings, marks=marks, style=search.style, pause_after=seconds)
    return said, changes[-1] if changes else search.style


def _parted(controls: list[Control], ends: int, chars_end: int) -> tuple[list[Control], list[Control]]:
    """The controls of a clause, which are `ends` or those of the input before `chars_end`, and the others."""
    behind = (i for i, each in enumerate(controls) if each.end > chars_end or isinstance(each.does, Pause))
    count = ends or next(behind, len(controls))
    return controls[:count], controls[count:]
