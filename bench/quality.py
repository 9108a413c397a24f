"""Kokoro's word and character error rates: the reference implementation, torch in two precisions, the int8 engine.

    python bench/quality.py [--sentences 20] [--only en zh] [--check] [--save results/kokoro-wer.json]

All synthesise the same phonemes: twenty Harvard sentences in three English voices, transcribed by Whisper tiny.en, and
ten Mandarin sentences in two voices, transcribed by Whisper base. `log_mel_db` is how far a half precision is from
float32 by spectrum, as `tests/support/logmel.py` defines it; float16 is a GPU's, emulated by rounding. Needs the extras
dev and whisper, and PyPI's `kokoro` (tests/engines/kokoro/requirements.txt). Results are written after each voice.

--check fails where an engine is misheard more often than the reference by more than ERRORS_MORE_MAX, or the reference
more often than in a language that works. bfloat16 is left out on a CPU that does not multiply it: minutes a clause.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from host import machine
from support import harvard_sentences, whisper, whisper_mandarin
from support.kokoro_variants import RATE, Rendition, emulated, renditions
from support.logmel import distance_db
from voxwire_server.engines.kokoro.model.network import multiplies_bfloat16

VOICES = (
    ("af_heart", "en-us"),
    ("am_michael", "en-us"),
    ("bf_emma", "en-gb"),
    ("zf_xiaoxiao", "zh"),
    ("zm_yunxi", "zh"),
)
BASELINE, HALVES = "torch", ("torch-bfloat16", "torch-float16")
ERRORS_MAX = {"en": 0.15, "zh": 0.3}
"""Of the reference, a share of the words or syllables."""
ERRORS_MORE_MAX = 0.02
"""Of an engine beyond the reference's: three words of twenty sentences; Whisper's own hearing moves one or two."""


class VoiceResults:
    """The results of one voice. All synthesise a sentence before the next one, so that other load affects all alike."""

    def __init__(self, voice: str, language: str, sentences: int) -> None:
        self.voice, self.language = voice, language
        self._chinese = language == "zh"
        self._texts = (whisper_mandarin.SENTENCES if self._chinese else harvard_sentences.SENTENCES)[:sentences]
        self._errors: defaultdict[str, list[float]] = defaultdict(list)
        self._distances: defaultdict[str, list[float]] = defaultdict(list)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._audio_seconds = 0.0
        self._wrong: list[dict[str, str]] = []

    def measure(self, engines: dict[str, Rendition], spectrum_only: dict[str, Rendition]) -> None:
        """Synthesise each sentence by all; the audio of `spectrum_only` is not transcribed."""
        for text in self._texts:
            audio = dict(self._synthesised(text, engines | spectrum_only))
            self._audio_seconds += len(audio[BASELINE]) / RATE
            for name in (half for half in HALVES if half in audio):
                self._distances[name].append(distance_db(audio[BASELINE], audio[name], RATE))
            for name in engines:
                self._transcribe(name, text, audio[name])

    def _synthesised(self, text: str, engines: dict[str, Rendition]) -> Iterator[tuple[str, Any]]:
        for name, synthesise in engines.items():
            began = time.perf_counter()
            samples = synthesise(text, self.voice, self.language)
            self._seconds[name] += time.perf_counter() - began
            yield name, samples

    def _transcribe(self, name: str, text: str, samples: Any) -> None:
        heard = (whisper_mandarin.transcribe if self._chinese else whisper.transcribe)(samples, RATE)
        rate = whisper_mandarin.character_error_rate if self._chinese else whisper.word_error_rate
        self._errors[name].append(rate(text, heard))
        if self._errors[name][-1]:
            self._wrong.append({"by": name, "text": text, "heard": heard})

    def row(self) -> dict[str, Any]:
        """The voice's row of the results."""
        return {
            "voice": self.voice,
            "language": self.language,
            "measure": "character error rate, by sound" if self._chinese else "word error rate",
            "recogniser": "Whisper base, int8" if self._chinese else "Whisper tiny.en, int8",
            "sentences": len(self._texts),
            "mean": {name: round(float(np.mean(found)), 4) for name, found in self._errors.items()},
            "log_mel_db": {
                name: {"mean": round(float(np.mean(found)), 3), "worst": round(max(found), 3)}
                for name, found in self._distances.items()
            },
            "realtime_factor": {name: round(self._seconds[name] / self._audio_seconds, 3) for name in self._errors},
            "wrong": self._wrong,
        }


def worse(row: dict[str, Any]) -> list[str]:
    """What of a row is not as it should be."""
    reference = row["mean"]["reference"]
    found = [f"{name}: {mean:.3f}" for name, mean in row["mean"].items() if mean > reference + ERRORS_MORE_MAX]
    if reference > ERRORS_MAX[row["language"][:2]]:
        found.append(f"reference: {reference:.3f}")
    return [f"{row['voice']}: {each}" for each in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=20)
    parser.add_argument("--only", nargs="*", default=["en", "zh"])
    parser.add_argument("--check", action="store_true", help="fail where an engine is worse than the reference")
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    print(machine())
    rows: list[dict[str, Any]] = []
    engines, spectrum_only = dict(renditions(bfloat16=multiplies_bfloat16())), dict(emulated())
    for voice, language in VOICES:
        if language[:2] not in args.only:
            continue
        results = VoiceResults(voice, language, args.sentences)
        results.measure(engines, spectrum_only)
        rows.append(results.row())
        print(json.dumps({key: value for key, value in rows[-1].items() if key != "wrong"}), flush=True)
        if args.save:
            result = {"command": sys.argv, "machine": machine(), "rows": rows}
            args.save.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    if args.check and (problems := [problem for row in rows for problem in worse(row)]):
        sys.exit("misheard too often: " + ", ".join(problems))


if __name__ == "__main__":
    main()
