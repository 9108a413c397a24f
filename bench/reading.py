"""How much of the corpora of right readings is read right, and what reading out costs.

    python bench/reading.py [--language en ...] [--only right cost growth] [--wrong] [--save bench/results/reading.json]

right: the share of each language's cases by category whose phonemes are those of the reading written out: with the text
at once, in pieces of three characters, and with a stall at every place where a model's token may end (the share of all
those stalls). cost: reading out the clauses of the corpus, and the longest single call of the intake, which runs on the
event loop. growth: the same for adversarial texts of 10,000 and of 100,000 characters; work in proportion to the text
is a growth of 10. One thread, process CPU time; every time is the least of some passes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from host import machine
from support.hostile_texts import WHOLE, repeated
from support.reading_corpus import (
    Case,
    Read,
    boundaries,
    cases,
    corpora,
    is_right,
    missing,
    read_pieces,
    read_stalled,
    read_whole,
)
from voxwire_server.session.core import READING_WORK, READING_WORK_PER_SECOND
from voxwire_server.text.intake import Allowance, TextIntake, Urgency
from voxwire_server.text.reading import read_out

PARTS = ("right", "cost", "growth")
PASSES = 3
SHORT, LONG = 10_000, 100_000
GIVE_UP_SECONDS = 10.0
"""A text whose first part takes longer is not read ten times as long."""

UNITS = (
    "1", "1,", "1.", "1/", "1-", "1:", "1 ", "1 000 ", "$", "$1", "$1-", "1€ ", "a.b.", "a.b@", "@a", "#a", "-",
    "- ", "/", ".", "X", "XIV ", "Louis XIV ", "IVXLCDM", "A.", "A. ", "Dr. ", "No. ", "Nov. ", "1st ", "'", "'9",
    "⅔", "²", "①", "%", "1%", "1x", "a_", "aB", "a=", "1 + ", "CO2", "9am-", "(415) ", "1920x", "v1.", "http://",
    "~", "1e", "+1 ",
)  # fmt: skip
"""Beside the texts that tests share: digits, marks between digits, currency signs, Roman numerals, addresses."""


@dataclass
class Share:
    """The share of a category that is read right; None where nothing was there to be read."""

    language: str
    category: str
    count: int
    whole: float
    threes: float
    stalled: float | None


@dataclass
class Cost:
    """Over one language's corpus: of reading out, and of the intake's calls on the event loop."""

    language: str
    chars: int
    read_out_ms_per_1000: float
    intake_ms_per_1000: float
    longest_call_ms: float


@dataclass
class Growth:
    """Of one adversarial text: ms per 1000 characters of the long one, and the times that the short one took."""

    unit: str
    read_out_ms_per_1000: float
    read_out_growth: float | None
    intake_ms_per_1000: float
    intake_growth: float | None
    longest_call_ms: float


# -- right ------------------------------------------------------------------------------------------------------


def shares(language: str, corpus: Sequence[Case], show_wrong: bool) -> list[Share]:
    """By category, then for all of them."""
    found = {}
    for category in sorted({case.category for case in corpus}):
        chosen = [case for case in corpus if case.category == category]
        found[category] = [_marks(case, show_wrong) for case in chosen]
    rows = [_share(language, category, marks) for category, marks in found.items()]
    return [*rows, _share(language, "all", [each for marks in found.values() for each in marks])]


Marks = tuple[bool, bool, list[bool]]
"""Whether a case is right whole, in threes, and at each stall."""


def _marks(case: Case, show_wrong: bool) -> Marks:
    ways: list[tuple[str, Read]] = [("whole", read_whole(case)), ("in threes", read_pieces(case, 3))]
    ways += [(f"stalled at {at}", read_stalled(case, at)) for at in boundaries(case.text)]
    right = [is_right(case, read) for _, read in ways]
    if show_wrong and not all(right):
        print(f"{case.language} {case.category}: {case.text!r}\n    should be {case.reading!r}")
        shown: dict[str, list[str]] = {}
        for (way, read), well in zip(ways, right, strict=True):
            if not well:
                shown.setdefault(read.shown, []).append(way)
        for said, how in shown.items():
            print(f"    {said!r} {', '.join(how)}")
    return right[0], right[1], right[2:]


def _share(language: str, category: str, marks: Sequence[Marks]) -> Share:
    stalls = [right for _, _, each in marks for right in each]
    return Share(
        language,
        category,
        len(marks),
        _part(whole for whole, _, _ in marks),
        _part(threes for _, threes, _ in marks),
        _part(stalls) if stalls else None,
    )


def _part(right: Iterable[bool]) -> float:
    every = list(right)
    return round(sum(every) / len(every), 4)


# -- cost -------------------------------------------------------------------------------------------------------


def cost(language: str, corpus: Sequence[Case]) -> Cost:
    """Of the clauses of a corpus."""
    chars = sum(len(case.text) for case in corpus)
    clauses = [(clause.text, case.language) for case in corpus for clause in read_whole(case).clauses]
    spoken = sum(len(text) for text, _ in clauses)
    reading = min(_seconds(lambda: [read_out(text, tag) for text, tag in clauses]) for _ in range(PASSES))
    runs = [[_intake(_split(case.text, 3), case.language) for case in corpus] for _ in range(PASSES)]
    taking = min(sum(spent for spent, _ in run) for run in runs)
    longest = max(min(each) for each in zip(*([most for _, most in run] for run in runs), strict=True))
    return Cost(language, chars, round(1e6 * reading / spoken, 3), round(1e6 * taking / chars, 3), _ms(longest))


def growth(language: str) -> list[Growth]:
    """Of every adversarial text."""
    texts = {unit: unit for unit in UNITS} | WHOLE
    return [_growth(name, unit, language) for name, unit in texts.items()]


def _growth(name: str, unit: str, language: str) -> Growth:
    short, long = repeated(unit, SHORT), repeated(unit, LONG)
    said = [_least(lambda: _seconds(lambda: read_out(short, language)))]
    if said[0] < GIVE_UP_SECONDS:
        said.append(_least(lambda: _seconds(lambda: read_out(long, language))))
    taken = [min(_intake([text], language) for _ in range(PASSES)) for text in (short, long)]
    return Growth(
        name,
        round(1e6 * said[-1] / (LONG if len(said) > 1 else SHORT), 3),
        round(said[1] / said[0], 1) if len(said) > 1 else None,
        round(1e6 * taken[1][0] / LONG, 3),
        round(taken[1][0] / taken[0][0], 1),
        _ms(taken[1][1]),
    )


def _least(measure: Callable[[], float]) -> float:
    """The least of some passes, or the first where that is long."""
    first = measure()
    return first if first > 1.0 else min(first, *(measure() for _ in range(PASSES - 1)))


def _seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 2)


def _split(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _intake(pieces: Sequence[str], language: str) -> tuple[float, float]:
    """Feed and take until nothing is left, as a session does: seconds in all, and of the longest call."""
    allowance = Allowance(READING_WORK_PER_SECOND, READING_WORK, READING_WORK)
    intake, spent, longest = TextIntake(language, allowance=allowance), 0.0, 0.0
    for piece in [*pieces, None]:
        if piece is None:
            intake.flush()
        else:
            intake.feed(piece)
        clause: object = True
        while clause or intake.behind:
            start = time.process_time()
            clause = intake.take(Urgency.RELAXED)
            intake.has_speakable  # noqa: B018
            seconds = time.process_time() - start
            spent += seconds
            longest = max(longest, seconds)
            allowance.renew(allowance.at + 1)
    return spent, longest


# -- what is printed --------------------------------------------------------------------------------------------


def _print_shares(rows: Sequence[Share]) -> None:
    print(f"{'language':<9} {'category':<14} {'cases':>5} {'whole':>7} {'threes':>7} {'stalled':>8}")
    for row in rows:
        stalled = "" if row.stalled is None else f"{row.stalled:8.1%}"
        print(f"{row.language:<9} {row.category:<14} {row.count:5} {row.whole:7.1%} {row.threes:7.1%} {stalled:>8}")


def _print_cost(row: Cost) -> None:
    print(
        f"{row.language}: {row.chars} characters; ms per 1000: {row.read_out_ms_per_1000} to read out,"
        f" {row.intake_ms_per_1000} in the intake by threes; its longest call {row.longest_call_ms} ms"
    )


def _print_growth(rows: Sequence[Growth]) -> None:
    print(f"{'':<26} {'read out: ms/1000':>17} {'growth':>7} {'intake: ms/1000':>16} {'growth':>7} {'longest ms':>11}")
    for row in sorted(rows, key=lambda row: -(row.read_out_growth or 1e9)):
        grown = "?" if row.read_out_growth is None else row.read_out_growth
        print(
            f"{row.unit!r:<26} {row.read_out_ms_per_1000:17} {grown:>7}"
            f" {row.intake_ms_per_1000:16} {row.intake_growth:>7} {row.longest_call_ms:11}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", nargs="+", default=corpora(), help="corpora by file name: en, zh, ...")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--wrong", action="store_true", help="list what is read wrong, and how")
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    print(machine())
    document: dict[str, object] = {"command": " ".join(["python", *sys.argv]), "machine": machine()}
    right: list[Share] = []
    costs: list[Cost] = []
    grown: dict[str, list[Growth]] = {}
    for language in args.language:
        corpus = cases(language)
        wanting = sorted(filter(None, {missing(case.language) for case in corpus}))
        if "right" in args.only and wanting:
            print(f"{language} is not pronounced here: {', '.join(wanting)} is missing")
        elif "right" in args.only:
            right += shares(language, corpus, args.wrong)
        if "cost" in args.only:
            costs.append(cost(language, corpus))
        if "growth" in args.only:
            grown[language] = growth(corpus[0].language)
    if right:
        _print_shares(right)
    for row in costs:
        _print_cost(row)
    for language, rows in grown.items():
        print(f"{language}: {SHORT} and {LONG} characters")
        _print_growth(rows)
    if args.save:
        document["right"] = [asdict(row) for row in right]
        document["cost"] = [asdict(row) for row in costs]
        document["growth"] = {language: [asdict(row) for row in rows] for language, rows in grown.items()}
        args.save.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
