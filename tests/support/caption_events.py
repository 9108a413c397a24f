"""Speech as a client is events_of of it, made up for captions: clauses, words' times and audio, without a server."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from support.scripted_server import FRAME_SAMPLES, done, started
from voxwire_client import Audio
from voxwire_client.captions import Captions, Cue
from voxwire_client.events import Event
from voxwire_protocol import messages as m
from voxwire_protocol.audio import Flag

RATE = 24000
CONTEXT = "a"
WORD = re.compile(r"\w+(?:['’.]\w+)*|[$£]\d[\d.,]*\d|[$£]\d")


def word(text: str, chars: tuple[int, int], pts: int, end_pts: int) -> m.WordTiming:
    return m.WordTiming(text=text, chars=chars, pts=pts, end_pts=end_pts)


def clause(start: int, end: int, pts: int) -> m.ClauseStarted:
    return m.ClauseStarted(context=CONTEXT, chars=(start, end), pts=pts)


def words_of(text: str, *, seconds: float = 0.3, pause: float = 0.3, pts: int = 0) -> list[m.WordTiming]:
    """The words of a text, each as long; a pause after punctuation, none between words."""
    words = []
    places = list(WORD.finditer(text))
    for place, found in enumerate(places):
        end_pts = pts + round(seconds * RATE)
        words.append(word(found.group(), found.span(), pts, end_pts))
        following = places[place + 1].start() if place + 1 < len(places) else len(text)
        marked = any(each in ".,;:!?\n" for each in text[found.end() : following])
        pts = end_pts + (round(pause * RATE) if marked else 0)
    return words


def audio(pts: int) -> Audio:
    return Audio(bytes(2 * FRAME_SAMPLES), pts, pts // FRAME_SAMPLES, Flag(0), "pcm_s16le", RATE, FRAME_SAMPLES)


def events_of(text: str, words: Iterable[m.WordTiming], *, clauses: int = 1, with_audio: bool = True) -> list[Event]:
    """The events of a speech: `clauses` clauses, each with its words and its audio."""
    words = list(words)
    share = max(1, -(-len(words) // clauses))
    parts = [words[place : place + share] for place in range(0, len(words), share)] or [[]]
    events: list[Event] = [started(CONTEXT)]
    pts = 0
    for place, part in enumerate(parts):
        start = 0 if place == 0 else parts[place - 1][-1].chars[1]
        end = part[-1].chars[1] if place + 1 < len(parts) else len(text)
        events.append(clause(start, end, part[0].pts if part else 0))
        if part:
            events.append(m.Timing(context=CONTEXT, words=tuple(part)))
        last = max((each.end_pts for each in part), default=0)
        while with_audio and pts < last:
            events.append(audio(pts))
            pts += FRAME_SAMPLES
    end_pts = max((each.end_pts for each in words), default=0)
    events.append(done(CONTEXT, frames=-(-end_pts // FRAME_SAMPLES), chars=len(text)))
    return events


def cues_of(text: str, events: Iterable[Event], captions: Captions | None = None) -> list[Cue]:
    captions = captions or Captions()
    return [cue for event in events for cue in captions.take(event, text)] + captions.finish(text)


@dataclass(frozen=True)
class Shown:
    """A cue as a subtitle file has it."""

    start_ms: int
    end_ms: int
    text: str


_TIMES = re.compile(r"(\d{2,}):(\d\d):(\d\d)[,.](\d{3}) --> (\d{2,}):(\d\d):(\d\d)[,.](\d{3})")


def read_subtitles(written: str) -> list[Shown]:
    """Read SubRip, or WebVTT without what is optional in it, the way players do: by blank lines and times."""
    shown = []
    for block in written.removeprefix("WEBVTT\n\n").split("\n\n"):
        lines = block.split("\n")
        if len(lines) > 1 and lines[0].isdigit() and "-->" not in lines[0]:
            lines = lines[1:]
        if not block:
            continue
        times = _TIMES.fullmatch(lines[0])
        assert times is not None, f"no times: {block!r}"
        h, min_, s, ms, h2, min2, s2, ms2 = map(int, times.groups())
        start, end = ((h * 60 + min_) * 60 + s) * 1000 + ms, ((h2 * 60 + min2) * 60 + s2) * 1000 + ms2
        shown.append(Shown(start, end, "\n".join(lines[1:])))
    return shown
