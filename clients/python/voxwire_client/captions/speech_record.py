"""All text and times of one context as one JSON document; the docstring of `SpeechRecord` is its schema. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from voxwire_client.events import Audio, Event, Reconnected
from voxwire_protocol import messages as m
from voxwire_protocol.visemes import COUNT, SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxwire_client.captions.cue import Cue

SCHEMA = "voxwire-speech-1"
Entry = dict[str, Any]


class SpeechRecord:
    """Collects every event and every cue of one context; `document` or `json` returns them.

    The document is a map. Times are given twice: `pts` and `end_pts` in samples at `sample_rate`, `start`, `end` and
    `at` in seconds (six decimals). `chars` are ranges of `text` in code points, half-open.

    - `schema`: "voxwire-speech-1"
    - `complete`: whether all of the text was spoken; `reason`: that of `done`, null without one
    - `text`, `voice`, `engine`, `sample_rate`, `duration` in seconds and `samples`
    - `clauses`: `{text, chars, start, end, pts, end_pts}`; a clause ends where the next one begins
    - `words`: `{text, chars, start, end, pts, end_pts}`, `text` as the server sent it
    - `phonemes`: `{ipa, start, end, pts, end_pts}`
    - `marks`: those of SSML, `{name, at, pts}`
    - `visemes`: keyframes, `{id, name, weight, at, pts}`; `name` is null for a shape that is not known here
    - `cues`: `{lines, chars, start, end, pts, end_pts}`, as in subtitles
    """

    def __init__(self) -> None:
        self._started: m.Started | None = None
        self._done: m.Done | None = None
        self._clauses: list[m.ClauseStarted] = []
        self.words: list[m.WordTiming] = []
        self.phonemes: list[m.PhonemeTiming] = []
        self.visemes: list[m.VisemeTiming] = []
        self.marks: list[m.Mark] = []
        self._cues: list[Cue] = []
        self._received_pts = 0

    def take(self, event: Event) -> None:
        """Take an event."""
        match event:
            case Audio():
                self._received_pts = max(self._received_pts, event.end_pts)
            case m.Started():
                self._started = event
            case m.ClauseStarted():
                self._clauses.append(event)
            case m.Timing():
                self.words += event.words
                self.phonemes += event.phonemes
                self.visemes += event.visemes
            case m.Mark():
                self.marks.append(event)
            case Reconnected(resumed=False, pts=int(pts), chars=int(chars)):
                self._cut(pts, chars)
            case m.Done():
                self._done = event
            case _:
                pass

    def show(self, cues: Iterable[Cue]) -> None:
        """Take cues."""
        self._cues += cues

    def _cut(self, pts: int, chars: int) -> None:
        """Drop what begins at `pts` or later, or at character `chars` or later: it is spoken again."""
        self._clauses = [
            m.ClauseStarted(context=each.context, chars=(each.chars[0], min(each.chars[1], chars)), pts=each.pts)
            for each in self._clauses
            if each.pts < pts and each.chars[0] < chars
        ]
        self.words = [each for each in self.words if each.pts < pts and each.end_pts <= pts and each.chars[1] <= chars]
        self.phonemes = [each for each in self.phonemes if each.pts < pts]
        self.visemes = [each for each in self.visemes if each.pts < pts]
        self.marks = [each for each in self.marks if each.pts < pts]

    def document(self, text: str) -> Entry:
        """The document; `text` is the context's text."""
        started, done = self._started, self._done
        rate = started.audio.sample_rate if started is not None else 1
        samples = done.samples if done is not None else self._received_pts
        return {
            "schema": SCHEMA,
            "complete": done is not None and done.reason is m.DoneReason.COMPLETED,
            "reason": done.reason.value if done is not None else None,
            "text": text,
            "voice": started.voice if started is not None else None,
            "engine": started.engine if started is not None else None,
            "sample_rate": started.audio.sample_rate if started is not None else None,
            "duration": _seconds(samples, rate),
            "samples": samples,
            "clauses": self._clause_entries(text, samples, rate),
            "words": [
                {"text": each.text, "chars": each.chars, **_during(each.pts, each.end_pts, rate)} for each in self.words
            ],
            "phonemes": [{"ipa": each.ipa, **_during(each.pts, each.end_pts, rate)} for each in self.phonemes],
            "marks": [{"name": each.name, "at": _seconds(each.pts, rate), "pts": each.pts} for each in self.marks],
            "visemes": [_keyframe(each, rate) for each in self.visemes],
            "cues": [_cue(each, rate) for each in self._cues],
        }

    def json(self, text: str) -> str:
        """The document as JSON with one list entry per line, so that two of them can be compared line by line."""
        fields = [f' "{name}": {_written(value)}' for name, value in self.document(text).items()]
        return "{\n" + ",\n".join(fields) + "\n}\n"

    def _clause_entries(self, text: str, samples: int, rate: int) -> list[Entry]:
        ends = [each.pts for each in self._clauses[1:]] + [samples]
        return [
            {"text": text[slice(*each.chars)], "chars": each.chars, **_during(each.pts, max(each.pts, end), rate)}
            for each, end in zip(self._clauses, ends, strict=False)
        ]


def _keyframe(viseme: m.VisemeTiming, rate: int) -> Entry:
    name = SHAPES[viseme.id].name if viseme.id < COUNT else None
    return {
        "id": viseme.id,
        "name": name,
        "weight": viseme.weight,
        "at": _seconds(viseme.pts, rate),
        "pts": viseme.pts,
    }


def _cue(cue: Cue, rate: int) -> Entry:
    return {"lines": cue.text.split("\n"), "chars": cue.chars, **_during(cue.start_pts, cue.end_pts, rate)}


def _during(pts: int, end_pts: int, rate: int) -> Entry:
    return {"start": _seconds(pts, rate), "end": _seconds(end_pts, rate), "pts": pts, "end_pts": end_pts}


def _seconds(samples: int, rate: int) -> float:
    return round(samples / rate, 6)


def _written(value: object) -> str:
    if isinstance(value, list) and value:
        return "[\n  " + ",\n  ".join(json.dumps(each, ensure_ascii=False) for each in value) + "\n ]"
    return json.dumps(value, ensure_ascii=False)
