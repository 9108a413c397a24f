"""Whatever text comes, work grows in proportion to it, and no call does more than a bounded part of it."""

import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.core_harness import CoreHarness
from support.regex_steps import StepCounter
from support.work_counter import counted, patterns_of
from voxwire_protocol import messages as m
from voxwire_server.session import core as session_core
from voxwire_server.text import (
    clauses,
    cuts,
    extents,
    formulas,
    inline,
    intake,
    markup,
    mathematics,
    mathematics_phrases,
    mathematics_signs,
    pauses,
    skipping,
    speakable,
)
from voxwire_server.text.clauses import MarkFinder
from voxwire_server.text.coarticulation import Articulator
from voxwire_server.text.intake import Allowance, TextIntake, Urgency
from voxwire_server.text.phoneme_visemes import visemes_of

pytestmark = pytest.mark.slow  # Counting lines and regex steps takes many times what running them does.

GROWTH_MAX = 2.3
"""What doubling the text may multiply the work by."""

LINES_PER_CHAR = 8
"""So much work a character is little, however little a shorter text took: words without any sign cost less."""

UNITS = (
    ".", "!", "…", ">", ", , , , , ", ". . . . . ", "[ [ [ [ [ ", "~~ ~~ ~~ ", "<!-- <!-- ", "a-", "``", "(", "[](",
    "&amp", "http://", "a@", "<a <a", "# ", "- ", "|", "\n", "0 : 0 ", "1.", "我", "。", "😀", "\u200d", "a\u0301",
    "\u0301", "【†", "<", "< ", "> ", "*", "\\", "a. A. ", "U.S. ", "a, ", "1 ", "the ", "[a](", "<a b=", "| |\n",
    "```\n", "``` ", "a_", "www.a.", "<|a", "-", "a", "the", "' ",
    "$", "$x", "$x ", "$x$", "$$x", "\\(x", "\\[x ", "\\[x^2\\]", "\\frac", "\\frac{", "\\frac{1}{2}", "\\alpha ",
    "\\begin{align}x", "$x^{2_", "{", "<think>", "<think ", "</think>", "[THINK]", "◁", "a | ", "a|b\n", "--|", "a.com",
    "a)\n", "<li>", "1\u20e3",
)  # fmt: skip
WORST = (
    ".",
    ">",
    ", , , , , ",
    ". . . . . ",
    "[ [ [ [ [ ",
    "~~ ~~ ~~ ",
    "<!-- <!-- ",
    "a-",
    "1 ",
    "``` ",
    "the ",
    "我",
)
ALPHABET = ".,!?>[]()*_~\\`|#-&< "
HOSTILE = st.text(alphabet=ALPHABET, min_size=2, max_size=12)
CALL_WORK_MAX = 2.5 * session_core.READING_WORK
LINES_PER_UNIT = 12
"""Lines of Python in a microsecond, some of them dear."""


def text_of(unit: str, chars: int) -> str:
    return (unit * (chars // len(unit) + 1))[:chars]


def pieces_of(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def read(text: str, size: int) -> None:
    """Feed all of it, take what comes, as a session does."""
    taker = TextIntake()
    for piece in [*pieces_of(text, size), None]:
        if piece is None:
            taker.flush()
        else:
            taker.feed(piece)
        while taker.take(Urgency.RELAXED):
            pass
        assert taker.has_speakable in (True, False)


def work_of_reading(text: str, size: int) -> float:
    with counted() as work:
        read(text, size)
    return work.total


def assert_linear(unit: str, sizes: tuple[int, ...], piece: int | None) -> None:
    works = [work_of_reading(text_of(unit, chars), piece or chars) for chars in sizes]
    for (chars, before), after in zip(zip(sizes, works, strict=True), works[1:], strict=False):
        assert after <= max(GROWTH_MAX * before + 200, LINES_PER_CHAR * 2 * chars), (unit, chars, works)


@pytest.mark.parametrize("unit", UNITS)
def test_reading_takes_work_in_proportion_to_the_text(unit: str) -> None:
    assert_linear(unit, (1000, 2000, 4000), None)
    assert_linear(unit, (600, 1200), 3)


@pytest.mark.parametrize("unit", WORST)
def test_long_texts_take_no_more_work_per_character(unit: str) -> None:
    assert_linear(unit, (5000, 10000), None)


def test_the_longest_text_takes_no_more_work_per_character() -> None:
    for unit in (". . . . . ", ">"):
        assert_linear(unit, (32000, 64000), None)


@settings(max_examples=15, deadline=None)
@given(HOSTILE)
def test_no_text_of_punctuation_takes_more_work_than_allowed(unit: str) -> None:
    assert_linear(unit, (1000, 2000, 4000), None)


@pytest.mark.parametrize("chars", [1000, 8000])
@pytest.mark.parametrize("unit", UNITS)
def test_each_function_for_clauses_is_linear(unit: str, chars: int) -> None:
    def calls(text: str):
        yield lambda: clauses.word_cut(text, 1, len(text))
        yield lambda: clauses.hard_cut(text, len(text) - 1)
        yield lambda: clauses.without_weak_end(text, len(text), 3)
        yield lambda: clauses.count_words(text)
        yield lambda: clauses.words_end(text, 0, 3)
        yield lambda: MarkFinder("en").ends_sentence(text)
        yield lambda: MarkFinder("en").scan(text, 0, final=True)
        yield lambda: MarkFinder("en").scan(text + " a", 0, final=False)

    for short, long in zip(calls(text_of(unit, chars)), calls(text_of(unit, 2 * chars)), strict=True):
        works = []
        for call in (short, long):
            with counted() as work:
                call()
            works.append(work.total)
        assert works[1] <= max(GROWTH_MAX * works[0] + 200, LINES_PER_CHAR * 2 * chars), (unit, works)


def test_visemes_and_coarticulation_are_linear() -> None:
    def speak(count: int) -> None:
        visemes_of.cache_clear()
        visemes_of("ə" * count)
        phonemes = [("ə", 100 * k, 100 * k + 100) for k in range(count)]
        Articulator(24000).push(phonemes, 0, 100 * count, finished=True, ends_utterance=True)

    works = []
    for count in (1000, 2000, 4000):
        with counted() as work:
            speak(count)
        works.append(work.total)
    assert all(after <= GROWTH_MAX * before for before, after in pairwise(works)), works


# -- within one call of a pattern ------------------------------------------------------------------------------


TEXT_MODULES = (
    markup,
    extents,
    inline,
    formulas,
    mathematics,
    mathematics_phrases,
    mathematics_signs,
    skipping,
    speakable,
    clauses,
    cuts,
    pauses,
    intake,
)


def uses() -> list[tuple[str, re.Pattern[str], str]]:
    """Each pattern of the package and how it is called."""
    found = []
    for module in TEXT_MODULES:
        source = Path(module.__file__).read_text(encoding="utf-8")
        for name, pattern in patterns_of(module).items():
            methods = set(re.findall(rf"\b{name}\.(search|match|fullmatch|finditer|findall|sub)\(", source))
            # What is tried at one place after another costs what a search costs.
            methods = {"search" if name == "_INLINE" else method for method in methods}
            found += [(name, pattern, method) for method in sorted(methods)]
    return found


@pytest.mark.parametrize(
    ("name", "pattern", "method"), uses(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_pattern_backtracks_more_than_its_text_is_long(name: str, pattern: re.Pattern[str], method: str) -> None:
    limit, counter = sys.getrecursionlimit(), StepCounter(pattern)
    sys.setrecursionlimit(50_000)
    try:
        for unit in (*UNITS, "+.", "'", "<a b='c' ", '[a](x "', "a.b", "【a", "[^a", " ", "a@b.c-"):
            steps = [counter.count(text_of(unit, chars), method) for chars in (160, 320)]
            assert steps[1] <= GROWTH_MAX * steps[0] + 200, (unit, steps)
    finally:
        sys.setrecursionlimit(limit)


# -- within one call of the intake and of a session --------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS)
def test_no_call_of_the_intake_does_more_than_its_allowance(unit: str) -> None:
    size = session_core.READING_WORK
    allowance = Allowance(size, size, size)
    taker = TextIntake(allowance=allowance)
    taker.feed(text_of(unit, 20_000))
    taker.flush()
    ended = False
    while not ended:
        with counted() as work:
            clause = taker.take(Urgency.RELAXED)
        assert work.total <= LINES_PER_UNIT * CALL_WORK_MAX, unit
        assert allowance.left >= size - CALL_WORK_MAX, unit
        allowance.renew(allowance.at + 2.0)
        ended = clause is not None and clause.ends_utterance
    assert taker.pending_chars == 0


@pytest.mark.parametrize("unit", [". . . . . ", "[ [ [ [ [ ", "```\n", "<!-- <!-- ", "> "])
def test_a_session_reads_long_text_in_many_turns(unit: str) -> None:
    harness = CoreHarness()
    harness.text(text_of(unit, 19_900) + "\n```\n Hello there. How are you?", context="c")
    harness.send(m.End(context="c"))
    left = []
    for _ in range(2000):
        if harness.of(m.Done):
            break
        left.append(harness.core._reading.left)
        harness.now = max(harness.now + 0.001, harness.core.next_due(harness.now))
        harness.apply(harness.core.tick(harness.now))
    assert harness.of(m.Done)
    assert min(left) > session_core.READING_WORK - CALL_WORK_MAX


def test_contexts_of_a_session_take_turns_at_reading() -> None:
    harness = CoreHarness()
    for name in ("a", "b"):
        harness.text("```\n" + "x\n" * 9000, context=name)
        harness.send(m.End(context=name))
    for _ in range(8):
        harness.now += 0.01
        harness.apply(harness.core.tick(harness.now))
    waiting = [context.intake.unspoken_chars for context in harness.core._contexts.by_name.values()]
    assert max(waiting) < 18_000, "none is left where it was"
