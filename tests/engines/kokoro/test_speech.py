"""Kokoro is understood as well as the reference implementation: a few sentences of each family of languages.

`python bench/quality.py --check` does the same with twenty sentences in each of five voices, and in bfloat16.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

pytest.importorskip("torch")

from support import harvard_sentences, kokoro_reference, whisper, whisper_mandarin
from support.kokoro_variants import RATE, renditions

MARGIN_WORDS = 2
"""How many more words (syllables) of the sample may be misheard than of the reference's speech: noise of the seeds."""

ENGLISH = harvard_sentences.SENTENCES[3:6]
MANDARIN = whisper_mandarin.SENTENCES[:2]


@pytest.fixture(scope="module")
def speakers():
    missing = kokoro_reference.missing()
    if missing:
        pytest.skip(f"needs the Python packages {', '.join(missing)}: make test")
    return renditions(bfloat16=False)


def heard_wrong(speakers, texts, voice, language, transcribe, measure, units) -> dict[str, float]:
    """How many words or syllables of all texts were not heard, by who spoke."""
    wrong = dict.fromkeys(speakers, 0.0)
    for text in texts:
        for name, speak in speakers.items():
            heard = transcribe(speak(text, voice, language), RATE)
            wrong[name] += measure(text, heard) * len(units(text))
    print(voice, wrong)
    return wrong


@pytest.mark.speech
@pytest.mark.skipif(importlib.util.find_spec("faster_whisper") is None, reason="needs Whisper: make test")
@pytest.mark.parametrize(
    ("voice", "language", "texts"), [("af_heart", "en-us", ENGLISH), ("bf_emma", "en-gb", ENGLISH[:2])]
)
def test_english_is_understood_as_the_references(speakers, voice, language, texts):
    measure = (whisper.transcribe, whisper.word_error_rate, whisper.normalise)
    wrong = heard_wrong(speakers, texts, voice, language, *measure)
    words = sum(len(whisper.normalise(text)) for text in texts)
    assert wrong["reference"] / words < 0.15
    assert wrong["torch"] <= wrong["reference"] + MARGIN_WORDS + 1e-6
    assert wrong["int8"] <= wrong["reference"] + MARGIN_WORDS + 1e-6


@pytest.mark.speech
@pytest.mark.skipif(bool(whisper_mandarin.missing()), reason="needs Whisper of Mandarin: make test")
def test_mandarin_is_understood_as_the_references(speakers):
    measure = (whisper_mandarin.transcribe, whisper_mandarin.character_error_rate, whisper_mandarin.syllables)
    wrong = heard_wrong(speakers, MANDARIN, "zf_xiaoxiao", "zh", *measure)
    syllables = sum(len(whisper_mandarin.syllables(text)) for text in MANDARIN)
    assert wrong["reference"] / syllables < 0.3
    assert wrong["torch"] <= wrong["reference"] + MARGIN_WORDS + 1e-6
    assert wrong["int8"] <= wrong["reference"] + MARGIN_WORDS + 1e-6


def test_the_error_rate_of_mandarin_counts_sounds_and_not_spellings():
    assert whisper_mandarin.character_error_rate("我们明天下午三点开会。", "我們明天下午3點開會") == 0
    assert whisper_mandarin.character_error_rate("妈妈", "马妈") == pytest.approx(0.5)
    assert whisper_mandarin.character_error_rate("你好", "") == 1


def test_speech_is_as_loud_as_the_references(speakers):
    loudness = {
        name: float(np.sqrt(np.mean(speak("Yes, of course.", "af_heart", "en-us") ** 2)))
        for name, speak in speakers.items()
    }
    assert loudness["torch"] == pytest.approx(loudness["reference"], rel=0.15)
    assert loudness["int8"] == pytest.approx(loudness["reference"], rel=0.25)
