"""Kokoro's word and character error rates: the reference implementation, the torch engine, and the int8 engine.

    python bench/quality.py [--sentences 20] [--only en zh] [--save results/kokoro-wer.json]

All three speak the same phonemes: twenty Harvard sentences in three English voices, heard by Whisper tiny.en, and ten
Mandarin sentences in two voices, heard by Whisper base. Needs the extras dev and whisper, and PyPI's `kokoro`
(tests/engines/kokoro/requirements.txt). Results are written as they come.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from host import machine
from support import harvard, mandarin, whisper
from support.renditions import RATE, renditions

ENGLISH = (("af_heart", "en-us"), ("am_michael", "en-us"), ("bf_emma", "en-gb"))
MANDARIN = (("zf_xiaoxiao", "zh"), ("zm_yunxi", "zh"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=20)
    parser.add_argument("--only", nargs="*", default=["en", "zh"])
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    print(machine())
    rows: list[dict[str, Any]] = []
    speakers = renditions()
    # By voice, then by sentence: whatever else the machine does weighs on all three alike.
    for voice, language in ENGLISH + MANDARIN:
        if language[:2] not in args.only:
            continue
        chinese = language == "zh"
        texts = (mandarin.SENTENCES if chinese else harvard.SENTENCES)[: args.sentences]
        hear = mandarin.transcribe if chinese else whisper.transcribe
        rate = mandarin.character_error_rate if chinese else whisper.word_error_rate
        errors: dict[str, list[float]] = {name: [] for name in speakers}
        wrong: list[dict[str, str]] = []
        seconds = dict.fromkeys(speakers, 0.0)
        audio_seconds = 0.0
        for text in texts:
            for name, speak in speakers.items():
                began = time.perf_counter()
                samples = speak(text, voice, language)
                seconds[name] += time.perf_counter() - began
                audio_seconds += len(samples) / RATE / len(speakers)
                heard = hear(samples, RATE)
                errors[name].append(rate(text, heard))
                if errors[name][-1]:
                    wrong.append({"by": name, "text": text, "heard": heard})
        rows.append(
            {
                "voice": voice,
                "language": language,
                "measure": "character error rate, by sound" if chinese else "word error rate",
                "recogniser": "Whisper base, int8" if chinese else "Whisper tiny.en, int8",
                "sentences": len(texts),
                "mean": {name: round(float(np.mean(found)), 4) for name, found in errors.items()},
                "realtime_factor": {name: round(spent / audio_seconds, 3) for name, spent in seconds.items()},
                "wrong": wrong,
            }
        )
        print(json.dumps({key: value for key, value in rows[-1].items() if key != "wrong"}), flush=True)
        if args.save:
            result = {"command": sys.argv, "machine": machine(), "rows": rows}
            args.save.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
