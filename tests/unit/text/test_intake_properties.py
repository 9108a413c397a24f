"""What holds for any text, in any pieces, taken at any moment."""

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from voxwire_server.text.intake import Boundary, ClauseText, TextIntake, Urgency

FRAGMENTS = [
    *(
        "Hello",
        "there",
        "Dr.",
        "U.S.",
        "He",
        "3.14",
        "1,000",
        "5",
        "p.m.",
        "e.g.",
        "ok.",
        "the",
        "of",
        "X",
        "W",
        "http",
    ),
    *(
        " ",
        " ",
        " ",
        " ",
        ". ",
        ". ",
        "! ",
        "? ",
        ", ",
        "; ",
        ": ",
        "...",
        "…",
        "—",
        " - ",
        '"',
        "'",
        "”",
        "“",
        "(",
        ")",
    ),
    *(
        "\n",
        "\n\n",
        "\r\n",
        "\t",
        "- ",
        "* ",
        "1. ",
        "# ",
        "> ",
        "---",
        "|",
        "| ",
        "|---|",
        "\n```\n",
        "```py\n",
        "```",
    ),
    *(
        "**",
        "*",
        "_",
        "__",
        "`",
        "``",
        "~~",
        "\\*",
        "\\(",
        "$",
        "[",
        "]",
        "](",
        "](http://a.b/c)",
        "[1]",
        "[^1]",
        "【3†s】",
    ),
    *(
        "<b>",
        "<",
        "</b>",
        "<br>",
        "<a href=",
        ">",
        "<!--",
        "-->",
        "&amp;",
        "&",
        "https://",
        "www.ex.com",
        "/x",
        "a@b.com",
    ),
    *("😀", "❤️", "1️⃣", "👨‍👩‍👧", ":)", "e\u0301", "\u0301", "\u200b", "\u00a0", "\x00", "\x0b", "\u3000", "\u2028"),
    *("我", "喜欢", "。", "、", "，", "？", "」", "「"),
    *(
        "$",
        "$$",
        "$x$",
        "$5",
        "\\)",
        "\\[",
        "\\]",
        "\\(x",
        "\\frac{1}{2}",
        "\\frac",
        "{",
        "}",
        "^2",
        "_i",
        "\\le",
        "\\alpha",
    ),
    *("\\begin{align}", "\\end{align}", "\\\\", " = ", " + ", "\\sum_{i", "\\", "\\text{if a}"),
    *("<think>", "</think>", "<think", "[THINK]", "[/THINK]", "◁think▷", "◁", "<tool_call>", "thinking>"),
    *(" | ", "\n--- | ---\n", "--|--", "\n|", "a) ", "(i) ", "b)", "<li>", "<p>", "</p>", "<td>"),
    *("example.org", ".com", "org", "io", "x.it ", "www.", "__init__", "snake_case", "🥛", "🇩🇪", "\u20e3", "(a)*(b)"),
]
TEXTS = st.one_of(
    st.lists(st.sampled_from(FRAGMENTS), max_size=70).map("".join),
    st.text(max_size=80),
)
WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "mat",
    "and",
    "then",
    "it",
    "saw",
    "that",
    "rain",
    "fell",
    "over",
    "hills",
    "near",
]
PROSE = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from(["", "", "", "", ",", ".", "?", ";"])), min_size=1, max_size=150
).map(lambda words: " ".join(word + mark for word, mark in words))

CUTS = st.lists(st.integers(0, 900), max_size=20)
URGENCIES = st.lists(st.sampled_from(Urgency), min_size=1, max_size=8)


def pieces_of(text: str, cuts: Iterable[int]) -> list[str]:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    return [text[start:end] for start, end in pairwise(ends)]


def drain(intake: TextIntake, urgency: Urgency) -> list[ClauseText]:
    clauses = []
    while clause := intake.take(urgency):
        clauses.append(clause)
    return clauses


def spoken(
    pieces: Sequence[str], urgencies: Sequence[Urgency] = (), flush_after: Sequence[int] = ()
) -> list[ClauseText]:
    intake = TextIntake()
    clauses = []
    for i, piece in enumerate(pieces):
        intake.feed(piece)
        if i in flush_after:
            intake.flush()
        clauses += drain(intake, urgencies[i % len(urgencies)] if urgencies else Urgency.RELAXED)
    intake.flush()
    clauses += drain(intake, Urgency.RELAXED)
    assert intake.pending_chars == 0
    assert not intake.has_speakable
    return clauses


def assert_covers(text: str, clauses: Sequence[ClauseText]) -> None:
    at = 0
    for clause in clauses:
        assert clause.chars[0] == at
        at = clause.chars[1]
        assert len(clause.origins) == len(clause.text)
        assert all(a <= b for a, b in pairwise(clause.origins))
        assert all(clause.chars[0] <= origin < clause.chars[1] for origin in clause.origins)
        assert clause.text == clause.text.strip()
        assert not set(clause.text) & set("\n\v\r\t\u00a0")
        assert clause.ends_utterance == (clause.boundary is Boundary.UTTERANCE)
    assert at == len(text)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.lists(st.integers(0, 400), max_size=12))
@example("'hp.m.<b>: Whttps://【3†s】、\n```\nx", [25])
@example("Well hello there, 😀", [18])
def test_any_split_gives_the_same_clauses(text: str, cuts: list[int]) -> None:
    whole = spoken([text])
    assert_covers(text, whole)
    assert spoken(pieces_of(text, cuts)) == whole
    assert spoken(list(text)) == whole


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, min_size=2, max_size=4))
def test_flushes_end_utterances_wherever_the_text_was_split(texts: list[str]) -> None:
    text = "".join(texts)
    whole = spoken(texts, flush_after=range(len(texts) - 1))
    assert_covers(text, whole)
    assert sum(clause.ends_utterance for clause in whole) == len(texts)
    late = TextIntake()
    for piece in texts:
        for char in piece:
            late.feed(char)
        late.flush()
    assert drain(late, Urgency.RELAXED) == whole


@settings(max_examples=200, deadline=None)
@given(TEXTS | PROSE, CUTS, URGENCIES)
def test_nothing_is_lost_at_any_urgency(text: str, cuts: list[int], urgencies: list[Urgency]) -> None:
    assert_covers(text, spoken(pieces_of(text, cuts), urgencies))


@settings(max_examples=150, deadline=None)
@given(TEXTS | PROSE, st.sampled_from([Urgency.SOON, Urgency.DRY]))
def test_urgency_changes_nothing_when_all_the_text_is_there(text: str, urgency: Urgency) -> None:
    intake = TextIntake()
    intake.feed(text)
    intake.flush()
    assert drain(intake, urgency) == spoken([text])


@settings(max_examples=150, deadline=None)
@given(PROSE, st.integers(1, 900), st.sampled_from([Urgency.SOON, Urgency.DRY]))
def test_urgency_changes_nothing_where_the_relaxed_cut_is_decided(text: str, cut: int, urgency: Urgency) -> None:
    relaxed, urgent = TextIntake(), TextIntake()
    relaxed.feed(text[:cut])
    urgent.feed(text[:cut])
    for clause in drain(relaxed, Urgency.RELAXED):
        assert urgent.take(urgency) == clause


@settings(max_examples=200, deadline=None)
@given(PROSE, CUTS, URGENCIES)
def test_words_are_never_cut(text: str, cuts: list[int], urgencies: list[Urgency]) -> None:
    said = [word for clause in spoken(pieces_of(text, cuts), urgencies) for word in clause.text.split()]
    assert said == text.split()


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="abe\u0301\u0308 \U0001f468\u200d\u0915\u094d", min_size=50, max_size=900))
def test_visible_characters_are_never_cut(text: str) -> None:
    for before, after in pairwise(spoken([text.replace(" \u0301", " ").replace(" \u0308", " ")])):
        if before.text and after.text and before.chars[1] == after.origins[0]:
            assert not unicodedata.category(after.text[0]).startswith("M")


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.integers(0, 300), TEXTS)
def test_text_retracted_before_it_was_taken_was_never_there(text: str, at: int, more: str) -> None:
    intake = TextIntake()
    intake.feed(text)
    kept = intake.retract(at)
    assert kept == min(at, len(text)) == intake.chars
    intake.feed(more)
    intake.flush()
    assert drain(intake, Urgency.RELAXED) == spoken([text[:kept] + more])


@settings(max_examples=150, deadline=None)
@given(TEXTS | PROSE, st.integers(0, 600), TEXTS, st.sampled_from(Urgency))
def test_retracting_loses_nothing_that_was_kept(text: str, at: int, more: str, urgency: Urgency) -> None:
    intake = TextIntake()
    intake.feed(text)
    clauses = drain(intake, urgency)
    taken = intake.taken_chars
    kept = intake.retract(at)
    assert kept == min(max(at, taken), len(text))
    intake.feed(more)
    intake.flush()
    clauses += drain(intake, Urgency.RELAXED)
    assert_covers(text[:kept] + more, clauses)


@settings(max_examples=100, deadline=None)
@given(TEXTS)
def test_every_letter_of_plain_words_is_spoken(text: str) -> None:
    plain = " ".join(word for word in text.split() if word.isalpha() and word.isascii())
    said = " ".join(clause.text for clause in spoken([plain]))
    assert said.split() == plain.split()
