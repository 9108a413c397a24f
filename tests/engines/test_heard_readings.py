"""Numbers, money, dates, codes and signs as they are heard: spoken by the embedded voice, transcribed by Whisper."""

from __future__ import annotations

import re
from collections import defaultdict
from difflib import SequenceMatcher
from itertools import chain, zip_longest

import numpy as np
import pytest

from support.reading_corpus import Case, cases, phonemes
from support.whisper import transcribe
from voxwire_server.engines.hibari import create
from voxwire_server.scheduling.clause_reading import as_words
from voxwire_server.speech import Clause
from voxwire_server.text.reading import read_out

COUNT = 60
HEARD_MIN = 54
ALIKE_MIN = 0.85
"""So much of the phonemes of what was heard are those of the reading: Whisper writes "Nguyen" in more than one way."""

CHARS_MAX = 45


def chosen() -> list[Case]:
    """Short cases of all categories in turn, none that is read as it is written."""
    by_category: dict[str, list[Case]] = defaultdict(list)
    for case in cases("en"):
        if case.language != "en-gb" and len(case.text) <= CHARS_MAX and re.search(r"\d|[^\w\s.,?!'-]", case.text):
            by_category[case.category].append(case)
    in_turn = chain.from_iterable(zip_longest(*by_category.values()))
    return [case for case in in_turn if case is not None][:COUNT]


def spoken(engine, text: str) -> np.ndarray:
    clause, _ = as_words(Clause(text, (0, len(text)), range(len(text)), "heart", "en-us", 1.0, 5))
    job, samples = engine.prepare(clause), []
    while True:
        result = engine.step("speak", [job])[0]
        samples.append(result.chunk.samples)
        if result.stage is None:
            return np.concatenate(samples)


def alike(heard: str, reading: str) -> float:
    """How much of the phonemes two texts share; numbers that Whisper wrote in digits are read out."""
    first, second = (phonemes(read_out(text, "en-us").text, "en-us") for text in (heard, reading))
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


@pytest.mark.speech
def test_the_readings_are_heard():
    engine = create()
    engine.warm_up()
    wrong = []
    for case in chosen():
        heard = transcribe(spoken(engine, case.text), 24000)
        best = max(alike(heard, reading) for reading in (case.reading, *case.also))
        if best < ALIKE_MIN:
            wrong.append(f"{case.text!r}: {heard!r}, not {case.reading!r} ({best:.2f})")
    assert COUNT - len(wrong) >= HEARD_MIN, "\n".join(wrong)
    print("\n".join(wrong))
