"""Finds the places where speakable text may be cut (`MarkFinder`), and says how long a clause may be (`ClauseLimits`).

`text.cuts` chooses among the places. Pure: the same text gives the same places.

A mark is decided only when the first letter or digit after it is known, so later text never changes it. Abbreviations
are judged by sentencex (Wikimedia's segmenter), on the few words before a full stop.

Every function takes time in proportion to the text it is given (`tests/unit/text/test_complexity.py`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import deque
from dataclasses import dataclass
from enum import Enum
from itertools import islice

from sentencex import segment

from voxwire_server.text.speakable import CJK, HARD_BREAK, SOFT_BREAK

_BREAKS = f" {HARD_BREAK}{SOFT_BREAK}"
_CLOSERS = "\"'”’»)\\]}"
_CANDIDATE = re.compile(
    rf"(?P<end>[.!?…؟۔।]{{1,64}}+[{_CLOSERS}]{{0,8}}+)(?=[{_BREAKS}])"
    rf"|(?P<cjk_end>[。！？｡]+[」』）】〉》”’\"!?！？。]{{0,8}})"
    rf"|(?P<phrase>[,;:،؛][{_CLOSERS}]{{0,8}})(?=[{_BREAKS}])"
    r"|(?P<cjk_phrase>[、，；：][」』）】〉》”’]{0,8})"
    rf"|(?P<dash>(?<=[\w{_CLOSERS},]) (?:--?|[–—])(?= )|(?<=\w)—(?=\w))"
    rf"|(?P<line>[{HARD_BREAK}{SOFT_BREAK}])"
)
_CANDIDATE_CHARS_MAX = 16  # how far back a candidate may begin and still grow; a longer run of dots is found by its end
_SPEAKABLE = re.compile(r"[^\W_]")
_LAST_TOKEN = re.compile(
    r"[\"'“‘(\[]*+(?P<word>[\w'’-]*[^\W_](?:(?<=[^\W\d_]{2})|(?=[!?！？])))(?P<ender>[.!?…。！？]+)"
    rf"[{_CLOSERS}」』）]{{0,4}}"
)
_WORD = re.compile(r"[^\W_][\w'’-]{0,79}")
_CJK_CHAR = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_ANY_SPACE = re.compile(r"\s")  # sentencex 1.0.32 panics on spaces beyond ASCII
_SPACE = re.compile(rf"[{_BREAKS}]")
_DOTTED = re.compile(r"(?<![^\W\d_])[^\W\d_]\.[^\W\d_]\.\Z")  # e.g., p.m., U.S.
_LIST_NUMBER = re.compile(r"(?:\A|[:;.!?]\s|[\n\v])\s{0,8}+\(?\d{1,2}\.\Z")
_CJK_BREAK = re.compile(rf"(?<=[{CJK}])(?<!\d)(?=\w)|(?<=[{CJK}])(?=[^\W\d])|(?<=\w)(?=[\u3400-\u9fff])")
_WEAK_END = re.compile(
    r"an?|the|of|to|in|on|at|by|for|from|with|and|or|but|nor|so|as|if|than|that|which|who|whose|into|onto|my|your|his"
    r"|her|its|our|their|is|are|was|were|be|been|very|more|most|no|not",
    re.IGNORECASE,
)
_TITLE = re.compile(
    r"mr|mrs|ms|dr|prof|st|sr|jr|gen|sen|rep|gov|capt|lt|col|sgt|rev|hon|vs|approx|dept|est", re.IGNORECASE
)
_MONTH = r"jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
_BEFORE_NUMBER = re.compile(
    rf"{_MONTH}|nos?|nr|vol|figs?|pp?|ch|sec|art|eq|ex|ext|par|ca?|op|apt|ste|rm|pt|ver?|núm|art", re.IGNORECASE
)
"""Abbreviations after which a full stop is no sentence end if a number follows."""
# What can't be told without the next word: "Jan" may be a month, "XXI" is "twenty-first" before "century".
_OPEN_WORD = re.compile(rf"{_MONTH.title()}|[IVXLCDM]{{2,8}}|sq|cu|fl")
_FRACTIONS = frozenset("¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞")
SIGNS = frozenset("!=<>+*/\\^%&@~#−×÷≠≤≥±≈→←")
JUDGED_CHARS_MAX = 80
_WORDS_JUDGED = 4
_WEAK_CHARS_MAX = 5
_WORD_CHARS_MAX = 8  # of the words that are judged before a cut


class Boundary(Enum):
    """What a clause ends at."""

    SENTENCE = "sentence"
    PHRASE = "phrase"
    WORD = "word"
    UTTERANCE = "utterance"


@dataclass(frozen=True, slots=True)
class ClauseLimits:
    """How long clauses may be, in characters of speakable text.

    The first clause of an utterance ends at the first sentence end, or at the first phrase mark from `first_chars_min`
    on, or at a word before `first_chars_max`. A later one may be `growth` times as long as what the utterance
    has said so far, but at least `clause_chars_min` and at most `clause_chars_max`. All are meant for speech of 15
    characters a second; where `chars_per_second` is lower they shrink with it.
    """

    first_chars_min: int = 10
    first_chars_max: int = 100
    growth: float = 1.5
    clause_chars_min: int = 80
    clause_chars_max: int = 220
    chars_per_second: float = 15.0

    def for_language(self, language: str) -> ClauseLimits:
        """The limits scaled to as much speech as in English: CJK characters take about three times as long to say."""
        slow = language.partition("-")[0].lower() in ("zh", "ja", "yue")
        scale = min(1.0, min(self.chars_per_second, 5.0 if slow else self.chars_per_second) / 15.0)
        if scale == 1.0:
            return self
        lengths = (self.first_chars_min, self.first_chars_max, self.clause_chars_min, self.clause_chars_max)
        first_min, first_max, clause_min, clause_max = (max(1, round(length * scale)) for length in lengths)
        return ClauseLimits(first_min, first_max, self.growth, clause_min, clause_max, self.chars_per_second)

    def __post_init__(self) -> None:
        assert 0 < self.first_chars_min <= self.first_chars_max, "the first clause's bounds are in order"
        assert 0 < self.clause_chars_min <= self.clause_chars_max, "a clause's bounds are in order"

    def clause_chars(self, spoken: int) -> int:
        """The longest next clause after `spoken` characters of the utterance."""
        return min(max(int(spoken * self.growth), self.clause_chars_min), self.clause_chars_max)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place to cut: before the character at `end` (counted over all output), and how good a place it is."""

    end: int
    boundary: Boundary


class MarkFinder:
    """The marks of one utterance's text, found as it grows.

    `marks` are those not yet passed, in order. All marks with `end <= known` are in it. `open` is the candidate at
    which the search had to stop, as (start, end), until more text decides it. `steps` counts candidates and judgements:
    a measure of work.
    """

    def __init__(self, language: str) -> None:
        self._language = language.partition("-")[0].lower() or "en"
        self.marks: deque[Mark] = deque()
        self.known = 0
        self.open: tuple[int, int] | None = None
        self.steps = 0
        self._scanned = 0
        self._looked = 0  # nothing speakable between the open candidate and here
        self._next = -1  # where the first speakable character behind the last candidate is

    def drop(self, end: int) -> None:
        """Forget the marks up to `end`."""
        while self.marks and self.marks[0].end <= end:
            self.marks.popleft()
        self._scanned = max(self._scanned, end)

    def scan(self, text: str, base: int, final: bool) -> None:
        """Look at `text`, whose first character is number `base`; `final` when nothing follows it."""
        at = max(self._scanned - base, 0)
        self.open = None
        while found := _CANDIDATE.search(text, at):
            boundary = self._boundary(found, text, base, final)
            if boundary is None:
                self._scanned = base + found.start()
                self.known = self._scanned
                self.open = (base + found.start(), base + found.end())
                return
            if boundary is not Boundary.WORD:
                end = base + (found.start() if found["line"] else found.end())
                if not self.marks or self.marks[-1].end < end:
                    self.marks.append(Mark(end, boundary))
                elif boundary is Boundary.SENTENCE:
                    self.marks[-1] = Mark(end, boundary)
            at = found.end()
        self._scanned = base + max(at, len(text) - _CANDIDATE_CHARS_MAX)
        self.known = base + len(text) if final else base + len(text.rstrip(" ")) - 1

    def guess(self, text: str, base: int) -> Boundary:
        """What the open candidate would be if a new sentence came next; WORD when it is no mark."""
        assert self.open is not None, "there is an open candidate"
        found = _CANDIDATE.match(text, self.open[0] - base)
        assert found is not None, "the open candidate is still there"
        boundary = self._boundary(found, text[: found.end()] + " The ", base, final=False, guessed=True)
        return boundary or Boundary.WORD

    def ends_sentence(self, token: str) -> bool:
        """Whether `token`, with nothing known of what follows, ends a sentence: "that." but not "3." or "Dr."."""
        found = _LAST_TOKEN.fullmatch(token)
        if found is None:
            return False
        word = found["word"][-JUDGED_CHARS_MAX:]
        if found["ender"][0] != ".":
            return True
        return word != "www" and not _BEFORE_NUMBER.fullmatch(word) and self._judge(f"so {word}.", "The")

    def _boundary(
        self, found: re.Match[str], text: str, base: int, final: bool, guessed: bool = False
    ) -> Boundary | None:
        """What a candidate is: a boundary, WORD for none at all, None while that is open."""
        self.steps += 1
        next_at = found.end() + 1 if guessed else self._following(text, base, found.end())
        if next_at < 0:
            self._looked = base + len(text.rstrip(" "))  # a line end replaces the spaces before it
            return Boundary.WORD if final else None
        next_char = text[next_at]
        match found.lastgroup:
            case "cjk_end":
                return Boundary.SENTENCE
            case "cjk_phrase":
                return Boundary.PHRASE
            case "phrase":
                inside = text[found.start() - 1 : found.start()].isdigit() and next_char.isdigit()
                return Boundary.WORD if inside else Boundary.PHRASE
            case "dash":
                minus = text[found.start() - 1 : found.start()].isdigit() and next_char.isdigit()
                return Boundary.WORD if minus else Boundary.PHRASE
            case "line":
                return Boundary.SENTENCE if found[0] == HARD_BREAK else Boundary.PHRASE
            case _:
                return self._sentence_end(found, text, next_at, final, guessed=guessed)

    def _following(self, text: str, base: int, end: int) -> int:
        """Where the first speakable character from `end` on is, or -1; candidates are asked about in order."""
        if self._next < base + end:
            following = _SPEAKABLE.search(text, max(end, self._looked - base))
            self._next = -1 if following is None else base + following.start()
        return self._next - base if self._next >= 0 else -1

    def _sentence_end(
        self, found: re.Match[str], text: str, next_at: int, final: bool, *, guessed: bool
    ) -> Boundary | None:
        ender = found["end"].rstrip(_CLOSERS)
        next_char = text[next_at]
        best = Boundary.PHRASE if next_char.islower() else Boundary.SENTENCE
        if ender != ".":
            return best
        end = found.start() + 1
        start = max(0, end - JUDGED_CHARS_MAX)
        if text[end - 2 : end - 1].isdigit() and _LIST_NUMBER.search(text, start, end):
            return Boundary.WORD
        words = _last_words(text[start:end])
        numbers = _BEFORE_NUMBER.fullmatch(_bare_word(words))
        if numbers and next_char.isdigit():
            return Boundary.WORD
        if numbers and _is_answer(words):
            return best
        if numbers and guessed:
            return Boundary.WORD
        if next_char.islower():
            return best if not _DOTTED.search(words) and self._judge(words, "The") else Boundary.WORD
        if self._judge(words, next_char):
            return best
        word = _WORD.match(text, next_at)  # "U.S. He" ends a sentence, "U.S. Army" does not
        if word is None or (word.end() == len(text) and not final):
            return None
        return best if self._judge(words, word[0]) else Boundary.WORD

    def _judge(self, words: str, following: str) -> bool:
        """Whether a sentence ends between `words`, which end in a full stop, and `following`."""
        self.steps += 2
        if _TITLE.fullmatch(_bare_word(words)):
            return False
        try:
            parts = list(segment(self._language, f"{_ANY_SPACE.sub(' ', words)} {following}"))
        except BaseException as panic:  # a panic of the Rust library is no Exception, and is no reason to die
            if type(panic).__name__ != "PanicException":
                raise
            return True
        return len(parts) > 1 and len(parts[-1].strip()) == len(following)


def speakable(text: str, at: int = 0) -> bool:
    """Whether there is a letter or digit in `text[at:]`."""
    return _SPEAKABLE.search(text, at) is not None


def first_speakable(text: str, at: int = 0) -> int:
    """Where the first letter or digit of `text[at:]` is, or -1."""
    found = _SPEAKABLE.search(text, at)
    return found.start() if found else -1


def count_words(text: str) -> int:
    """Words in `text`: what stands between spaces and has a letter or digit; or two CJK characters each."""
    words = sum(1 for word in re.split(rf"[{_BREAKS}]+", text) if _SPEAKABLE.search(word))
    return max(words, len(_CJK_CHAR.findall(text)) // 2)


def words_end(text: str, at: int, count: int) -> int:
    """The least `end` for which `text[at:end]` has `count` words (as `count_words` counts them), or -1."""
    cjk = next(islice(_CJK_CHAR.finditer(text, at), 2 * count - 1, None), None)
    ends = [] if cjk is None else [cjk.end()]
    for left in range(count, 0, -1):
        word = _SPEAKABLE.search(text, at)
        if word is None:
            break
        if left == 1:
            ends.append(word.end())
            break
        space = _SPACE.search(text, word.end())
        if space is None:
            break
        at = space.end()
    return min(ends, default=-1)


def _last_words(text: str) -> str:
    """The last few words of `text`, with single spaces between them; it does not end in a space."""
    line = text[max(text.rfind(HARD_BREAK), text.rfind(SOFT_BREAK)) + 1 :]
    words = line.rsplit(" ", _WORDS_JUDGED)[-_WORDS_JUDGED:]
    for i in range(len(words) - 1, -1, -1):
        if not words[i]:
            words = words[i + 1 :]
            break
    return " ".join(words)


def _bare_word(words: str) -> str:
    """The last of `words`, without its full stop and what opens before it."""
    return words[words.rfind(" ") + 1 : -1].lstrip("(\"'“‘[")


def _is_answer(words: str) -> bool:
    """Whether `words` are a "No." that begins its sentence."""
    return words[-3:].lower() == "no." and (len(words) == 3 or words[-4:-3] != " " or words[-5:-4] in ".!?…")


def _joins(before: str, after: str) -> bool:
    """Whether `after` belongs to the same visible character as `before`."""
    return (
        unicodedata.category(after).startswith("M")
        or after in "\u200d\u200c"
        or before in "\u200d\u200c"
        or "\U0001f3fb" <= after <= "\U0001f3ff"
    )


def word_cut(text: str, at_least: int, at_most: int, *, forced: bool = True) -> int:
    """Where a clause of `at_least` to `at_most` characters may end between words, the last such place; 0 if nowhere.

    Not between a title and its name, a number and what it counts, a sign and what it joins, unless `forced`
    and there is no other place; never inside `GLUE`.
    """
    fallback = 0
    first = first_speakable(text)
    next_at, looked_from = -1, len(text)  # the first speakable character from `looked_from` on
    for found in reversed(list(_SPACE.finditer(text, at_least, min(at_most + 1, len(text))))):
        at = found.start()
        if at < 1 or text[at - 1] in _BREAKS or not text[at - 1 : at].strip() or _mark_follows(text, at):
            continue
        # Everything behind an earlier place is known already, but for what lies between it and this one.
        following = _SPEAKABLE.search(text, at, looked_from)
        if not fallback and forced:
            fallback = at
        next_at, looked_from = following.start() if following else next_at, at
        if not 0 <= first < at or _belongs_together(text, at, text[next_at] if next_at >= 0 else ""):
            continue
        return at
    cjk = 0
    for found in _CJK_BREAK.finditer(text, 1, at_most + 1):
        if at_least <= found.start() <= at_most:
            cjk = found.start()
    if cjk and cjk < len(text) and not _joins(text[cjk - 1], text[cjk]):
        return max(cjk, fallback)
    return fallback


def _belongs_together(text: str, at: int, next_char: str) -> bool:
    """Whether the words on both sides of the space at `at` are read together, or may be.

    `next_char` is the first letter or digit after it, "" where that is not known.
    """
    if text[at - 1].isdigit() or next_char.isdigit() or text[at - 1] in _FRACTIONS or next_char in _FRACTIONS:
        return True
    if text[at - 1] in SIGNS or text[at + 1 : at + 2] in SIGNS:
        return True
    start = max(0, at - _WORD_CHARS_MAX - 1)
    word = text[start + _word_start(text[start:at]) : at]
    if word[-1:] != ".":
        return _OPEN_WORD.fullmatch(word) is not None
    bare = word[:-1].lstrip("(\"'“‘[")
    return _TITLE.fullmatch(bare) is not None or (not next_char and _BEFORE_NUMBER.fullmatch(bare) is not None)


def _word_start(text: str) -> int:
    """Where the last word of `text` begins."""
    return max(text.rfind(space) for space in _BREAKS) + 1


def _mark_follows(text: str, at: int) -> bool:
    """Whether the space at `at` stands before a combining character, so that it is part of it."""
    return at + 1 < len(text) and unicodedata.category(text[at + 1]).startswith("M")


def hard_cut(text: str, at_most: int) -> int:
    """Where to cut text that has no place to cut: the last whole visible character."""
    at = min(at_most, len(text))
    while 1 < at < len(text) and _joins(text[at - 1], text[at]):
        at -= 1
    return at if at > 1 else min(at_most, len(text))


def without_weak_end(text: str, end: int, words_min: int) -> int:
    """`end` moved back over words that want another after them ("the", "of"), if `words_min` words are left."""
    enough: int | None = None
    while True:
        tail = max(0, end - _WEAK_CHARS_MAX - 1)
        start = tail + _word_start(text[tail:end])
        if not _WEAK_END.fullmatch(text, start, end) or start < 2:
            return end
        shorter = start
        while shorter and text[shorter - 1] in _BREAKS:
            shorter -= 1
        if enough is None:
            enough = words_end(text, 0, words_min) if words_min > 0 else 0
        if not 0 <= enough <= shorter:
            return end
        end = shorter
