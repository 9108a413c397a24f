"""Divides a context's clauses by language, and finds a voice that reads each part; says what is left out. Pure.

clause -> stretches of one language -> parts, each with its voice -> the engines
                                   \\-> left out: one warning a context and language
"""

from __future__ import annotations

import re
import sys
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from voxwire_server.session.ports import ResolvedVoice
from voxwire_server.text.clauses import ClauseLimits, hard_cut, speakable, word_cut
from voxwire_server.text.identify import shared
from voxwire_server.text.intake import Boundary, ClauseText
from voxwire_server.text.scripts import Stretch, scripts_of, stretches

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from voxwire_server.session.ports import Directory, Identify
    from voxwire_server.speech import Reading
    from voxwire_server.text.lexicon import Lexicon

SAMPLE_CHARS_MAX = 40
"""So much of a text that is left out is quoted in its warning."""

LANGUAGES_MAX = 20
"""So many of the languages that a voice reads are named in a warning."""

IDENTIFIED_LETTERS_MIN = 20
"""A sentence with fewer letters is identified with the one beside it; by itself it is in the voice's own language."""

_SENTENCE_END = re.compile(r"[.!?…]{1,64}+[\"'”’»)\]]{0,8}+\s|[。！？]{1,64}+[」』”’）]{0,8}+")
_MARKS = "。！？；，、"
_STOPS = ",.!?;:"
_LETTER = re.compile(r"[^\W\d_]")
_UNREAD = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class ClausePart:
    """A clause, or what of it is in one language, and the voice that reads it."""

    text: ClauseText
    speaker: ResolvedVoice


@dataclass(frozen=True, slots=True)
class _Span:
    """The characters [start, end) of a clause's text, and who speaks them. `cut`: not in one part with those before."""

    start: int
    end: int
    speaker: ResolvedVoice
    cut: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The first text of a context in `language` that is not spoken; `details` are those of its warning."""

    message: str
    details: dict[str, Any]


@dataclass(slots=True, eq=False)
class ClauseSplitter:
    """The languages of one context's text. `speaker` is the context's own voice with its language.

    `identify` tells apart the languages of one script, where the client asked for that. `lexicon` is the context's: its
    words are spoken whatever they are written in. `left_out` are the warnings
    that are to be sent; there is one for each language.
    """

    speaker: ResolvedVoice
    directory: Directory
    identify: Identify | None = None
    lexicon: Lexicon | None = None
    left_out: list[LeftOut] = field(default_factory=list)
    _speakers: dict[str, ResolvedVoice | None] = field(default_factory=dict)
    """By language: who speaks it in this context; None: it is left out."""
    _candidates: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By script: the languages that can be spoken here, the context's own first."""
    _warned: set[str] = field(default_factory=set)
    _unfinished: str = ""
    """The language of the sentence that the last clause left unfinished; empty where it did not."""
    _from: int | None = None
    """Where the original text begins that the next part stands for too; None: where its clause does."""

    def split(self, clause: ClauseText, speaker: ResolvedVoice | None = None) -> list[ClausePart]:
        """What is spoken of a clause, in order: the parts' ranges touch, and only the last ends the utterance.

        `speaker` is who speaks the clause; left out, the context's voice. Empty where nothing is left of a clause that
        ends no utterance; the next clause's range then begins with it.
        """
        speaker = speaker or self.speaker
        found = [Stretch(0, 0, speaker.language)] if not clause.text else self._stretches(clause, speaker)
        if len(found) == 1 and found[0].language == speaker.language:
            return self._ranged(clause, [ClausePart(clause, speaker)])
        spans = [span for stretch in found for span in self._spoken(clause, stretch, speaker)]
        parts = [ClausePart(text, who) for text, who in _texts(clause, spans)]
        if not parts:
            if not (clause.ends_utterance or clause.pause_after or clause.marks):
                self._from = clause.chars[0] if self._from is None else self._from
                return []
            marks = tuple((name, 0) for name, _ in clause.marks)
            parts = [ClausePart(replace(clause, text="", origins=(), readings=(), marks=marks), speaker)]
        return self._ranged(clause, parts)

    def unspoken(self, clause: ClauseText, speaker: ResolvedVoice, ranges: Sequence[tuple[int, int]]) -> None:
        """An engine could pronounce nothing of these ranges of a part's text."""
        for start, end in ranges[:1]:
            self._leave_out(clause, Stretch(start, end, speaker.language), speaker, failed=True)

    # -- languages ------------------------------------------------------------------------------------------------

    def _stretches(self, clause: ClauseText, speaker: ResolvedVoice) -> list[Stretch]:
        found = stretches(_as_read(clause), speaker.language)
        if self.identify is None:
            return found
        found = [each for stretch in found for each in self._identified(clause.text, stretch, speaker.language)]
        cut_within = clause.boundary in (Boundary.PHRASE, Boundary.WORD)
        self._unfinished = found[-1].language if cut_within else ""
        return found

    def _identified(self, text: str, stretch: Stretch, own: str) -> Iterator[Stretch]:
        """The sentences of a stretch, each in the language that it is identified as."""
        candidates = self._candidates_for(scripts_of(stretch.language)[0])
        if len(candidates) < 2 or not speakable(text[stretch.start : stretch.end]):
            yield stretch
            return
        unfinished, self._unfinished = self._unfinished, ""
        for start, end in _sentences(text, stretch):
            language = self._identify(text[start:end], candidates)
            if language is None and start == 0 and unfinished in candidates:
                language = unfinished
            yield Stretch(start, end, self._tag(language or stretch.language, own))

    def _identify(self, sentence: str, candidates: Sequence[str]) -> str | None:
        if self.identify is None or _count_letters(sentence) < IDENTIFIED_LETTERS_MIN:
            return None
        return self.identify(sentence, candidates)

    def _candidates_for(self, script: str) -> tuple[str, ...]:
        known = self._candidates.get(script)
        if known is None:
            speakers = self.directory.speakers(self.speaker)
            tags = dict.fromkeys((self.speaker.language, *(tag for each in speakers for tag in each.voice.languages)))
            known = tuple(tag for tag in tags if scripts_of(tag)[0] == script and shared(tag))
            self._candidates[script] = known
        return known

    @staticmethod
    def _tag(language: str, own: str) -> str:
        """`language`, or the tag of the clause's own where that is the same language."""
        return own if _primary(language) == _primary(own) else language

    # -- voices ---------------------------------------------------------------------------------------------------

    def _spoken(self, clause: ClauseText, stretch: Stretch, speaker: ResolvedVoice) -> Iterator[_Span]:
        """What of a stretch is spoken, and by whom."""
        who = speaker if stretch.language == speaker.language else self.speaker_of(stretch.language, speaker)
        if who is not None:
            yield from _cut(clause.text, _Span(stretch.start, stretch.end, who), _chars_max(who, speaker))
            return
        # What is left out is letters and digits; the marks around them stay with what is spoken.
        at = stretch.start
        for known in (*self._known_words(clause.text, stretch, speaker.language), (stretch.end, stretch.end)):
            start, end = _letters(clause.text, Stretch(at, known[0], stretch.language))
            if start < end:
                self._leave_out(clause, Stretch(start, end, stretch.language), speaker)
            yield _Span(at, start, speaker)
            yield _Span(end, known[1], speaker)
            at = known[1]

    def _known_words(self, text: str, stretch: Stretch, language: str) -> list[tuple[int, int]]:
        """The ranges in a stretch of what the context's lexicon says in its own language."""
        if self.lexicon is None:
            return []
        found = [(each.start, each.end) for each in self.lexicon.aliases(text, language)]
        return [(start, end) for start, end in found if stretch.start <= start and end <= stretch.end]

    def speaker_of(self, language: str, beside: ResolvedVoice) -> ResolvedVoice | None:
        """Who speaks a language beside a voice: that voice itself, else the best of those that may."""
        key = f"{beside.engine.name}/{beside.voice.name}/{language}"
        if key not in self._speakers:
            self._speakers[key] = best_speaker(self.directory.speakers(beside), language, beside)
        return self._speakers[key]

    # -- what is left out -----------------------------------------------------------------------------------------

    def _leave_out(self, clause: ClauseText, stretch: Stretch, speaker: ResolvedVoice, *, failed: bool = False) -> None:
        """Note a warning, the first time that text in a language is left out."""
        kind = f"{stretch.language} unspoken" if failed else stretch.language
        if kind in self._warned:
            return
        self._warned.add(kind)
        sample = clause.text[stretch.start : min(stretch.end, stretch.start + SAMPLE_CHARS_MAX)]
        languages = list(speaker.voice.languages[:LANGUAGES_MAX])
        chars = [clause.origins[stretch.start], clause.origins[stretch.end - 1] + 1]
        details: dict[str, Any] = {"chars": chars, "sample": sample, "language": stretch.language}
        details |= {"voice": speaker.voice.name, "languages": languages}
        if failed:
            message = f"voice {speaker.voice.name!r} found nothing to pronounce in {sample!r}"
        else:
            message = f"{sample!r} ({stretch.language}) is left out: voice {speaker.voice.name!r} does not read it"
            other = self.directory.reader_of(stretch.language)
            if other is not None:
                details["reader"] = f"{other.engine}/{other.name}"
                message += f"; {details['reader']} does"
        self.left_out.append(LeftOut(message, details))

    def _ranged(self, clause: ClauseText, parts: list[ClausePart]) -> list[ClausePart]:
        """The parts with the ranges of original text that they stand for, of which the last has the clause's end."""
        start = clause.chars[0] if self._from is None else self._from
        self._from = None
        if len(parts) == 1:
            text = parts[0].text
            if text.chars == (start, clause.chars[1]):
                return parts
            return [ClausePart(replace(text, chars=(start, clause.chars[1])), parts[0].speaker)]
        begins = [start, *(part.text.origins[0] for part in parts[1:]), clause.chars[1]]
        last = len(parts) - 1
        return [
            ClausePart(
                replace(
                    part.text,
                    chars=(begins[at], max(begins[at], begins[at + 1])),
                    ends_utterance=clause.ends_utterance and at == last,
                    boundary=clause.boundary if at == last else Boundary.WORD,
                    pause_after=clause.pause_after if at == last else 0.0,
                ),
                part.speaker,
            )
            for at, part in enumerate(parts)
        ]


def best_speaker(speakers: Sequence[ResolvedVoice], language: str, beside: ResolvedVoice) -> ResolvedVoice | None:
    """The best of `speakers` for a language, with the tag that it has for it; None where none reads it.

    The voice `beside` comes first, then those of its engine, then those whose own language it is, then those of its
    gender.
    """
    found = []
    for order, (engine, voice, _) in enumerate(speakers):
        tag = tag_for(voice.languages, language)
        if tag is not None:
            known = voice.name == beside.voice.name and engine.name == beside.engine.name
            other, foreign = engine.name != beside.engine.name, tag != voice.languages[0]
            rank = (not known, other, foreign, voice.gender != beside.voice.gender, order)
            found.append((rank, ResolvedVoice(engine, voice, tag)))
    return min(found, key=lambda each: each[0])[1] if found else None


def tag_for(languages: Sequence[str], language: str) -> str | None:
    """The one of a voice's languages that `language` is; where there is no such tag, the first of the same language."""
    wanted = language.lower()
    same = [tag for tag in languages if _primary(tag) == _primary(wanted)]
    return next((tag for tag in same if tag.lower() == wanted), same[0] if same else None)


def _sentences(text: str, stretch: Stretch) -> list[tuple[int, int]]:
    """The sentences of a stretch; short ones are joined to the next, the last to the one before."""
    found: list[tuple[int, int]] = []
    start = stretch.start
    ends = [match.end() for match in _SENTENCE_END.finditer(text, stretch.start, stretch.end)]
    for end in [*(end for end in ends if end < stretch.end), stretch.end]:
        if _count_letters(text[start:end]) >= IDENTIFIED_LETTERS_MIN:
            found.append((start, end))
            start = end
    if start < stretch.end:
        start = found.pop()[0] if found else start
        found.append((start, stretch.end))
    return found


def _count_letters(text: str) -> int:
    return len(_LETTER.findall(text))


def _primary(language: str) -> str:
    return language.lower().partition("-")[0]


def _letters(text: str, stretch: Stretch) -> tuple[int, int]:
    """A stretch from its first letter or digit to its last, marks on it included."""
    start, end = stretch.start, stretch.end
    leading = _UNREAD.match(text, start, end)
    start = leading.end() if leading else start
    while end > start and not (text[end - 1].isalnum() or _is_mark(text[end - 1])):
        end -= 1
    return start, end


def _is_mark(char: str) -> bool:
    return unicodedata.category(char).startswith("M")


def _chars_max(who: ResolvedVoice, speaker: ResolvedVoice) -> int:
    """The longest part for `who`: the clause was cut to lengths for `speaker`, its engine and its language."""
    if (who.engine.name, who.language) == (speaker.engine.name, speaker.language):
        return sys.maxsize
    engine = who.engine
    limits = ClauseLimits(
        clause_chars_min=1, clause_chars_max=engine.clause_chars_max, chars_per_second=engine.chars_per_second
    )
    return limits.for_language(who.language).clause_chars_max


def _cut(text: str, span: _Span, most: int) -> Iterator[_Span]:
    """The span in pieces of `most` characters, cut at the end of a sentence or phrase, else between words."""
    start = span.start
    while span.end - start > most:
        rest = text[start : span.end]
        mark = max(rest.rfind(mark, 0, most) for mark in _MARKS) + 1
        end = start + (mark if mark > most // 3 else word_cut(rest, 1, most) or hard_cut(rest, most))
        yield _Span(start, end, span.speaker, cut=start > span.start)
        start = end
    yield _Span(start, span.end, span.speaker, cut=start > span.start)


def _texts(clause: ClauseText, spans: Sequence[_Span]) -> Iterator[tuple[ClauseText, ResolvedVoice]]:
    """The clauses of consecutive spans, those that one voice reads in one language joined.

    A span without a letter or digit joins the next one, in whatever voice.
    """
    indexes: list[int] = []
    speaker: ResolvedVoice | None = None
    given = 0  # the characters before it are in a part, with the marks among them
    for span in spans:
        if span.start == span.end:
            continue
        if speaker is not None and (span.cut or span.speaker != speaker) and _has_letters(clause.text, indexes):
            yield _picked(clause, indexes, given, span.start), speaker
            indexes, given = [], span.start
        speaker = span.speaker
        indexes += range(span.start, span.end)
    if speaker is not None and _has_letters(clause.text, indexes):
        yield _picked(clause, indexes, given, len(clause.text) + 1), speaker


def _as_read(clause: ClauseText) -> str:
    """The clause's text; what is said as other words, or as IPA, is in the language of what stands around it."""
    text = clause.text
    for reading in clause.readings:
        if reading.kind != "say-as":
            text = text[: reading.start] + "0" * (reading.end - reading.start) + text[reading.end :]
    return text


def _has_letters(text: str, indexes: Sequence[int]) -> bool:
    return any(text[at].isalnum() for at in indexes)


def _picked(clause: ClauseText, indexes: Sequence[int], since: int, until: int) -> ClauseText:
    """The clause of some of its characters. A space stands for what is left out, or its mark if none stood before.

    Of the clause's marks it has those from index `since` to before `until`.
    """
    kept: list[str] = []
    origins: list[int] = []
    sources: list[int] = []  # the index in the clause's text of each character kept
    last, after_gap = indexes[0] - 1, indexes[0] > 0
    for at in indexes:
        char, gap = clause.text[at], at > last + 1
        last, after_gap = at, gap or (after_gap and (char == " " or char in _STOPS))
        if gap and kept and kept[-1] != " ":
            kept.append(" ")
            origins.append(origins[-1])
            sources.append(sources[-1])
        if after_gap and char in _STOPS:
            while kept and kept[-1] == " ":
                kept.pop()
                origins.pop()
                sources.pop()
            if not kept or kept[-1] in _STOPS:
                continue
        if char != " " or (kept and kept[-1] != " "):
            kept.append(char)
            origins.append(clause.origins[at])
            sources.append(at)
    length = len("".join(kept).rstrip(" "))
    marks = [(name, at) for name, at in clause.marks if since <= at < until]
    return replace(
        clause,
        text="".join(kept[:length]),
        origins=tuple(origins[:length]),
        readings=tuple(_moved(clause.readings, sources[:length])),
        marks=tuple((name, min(bisect_left(sources, at), length)) for name, at in marks),
    )


def _moved(readings: Iterable[Reading], sources: Sequence[int]) -> Iterator[Reading]:
    """The readings whose characters are all there, at their new places; `sources` are the old ones, ascending."""
    for reading in readings:
        start, end = bisect_left(sources, reading.start), bisect_left(sources, reading.end)
        if end - start == reading.end - reading.start:
            yield replace(reading, start=start, end=end)
