"""What tests with other vendors' client packages share: a turn of speech, its tokens, whether all was heard."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np

from support.server import Host
from support.whisper import transcribe, word_error_rate

TURN = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. "
    "It is easy to tell the depth of a well, and these days a chicken leg is a rare dish."
)
SECOND_TURN = "The juice of lemons makes fine punch. The box was thrown beside the parked truck."
LONG_TURN = " ".join([TURN, SECOND_TURN] * 8)


def tokens(text: str) -> list[str]:
    """A text in the pieces of a language model: words with the space before them."""
    return re.findall(r"\s*\S+", text)


async def typed(text: str, seconds: float = 0.01) -> AsyncIterator[str]:
    """The tokens of a text, one each `seconds`."""
    for token in tokens(text):
        yield token
        await asyncio.sleep(seconds)


def samples_of(pcm: bytes) -> np.ndarray:
    """s16le bytes as float32 samples, shape [n]."""
    return np.frombuffer(pcm[: len(pcm) // 2 * 2], np.int16).astype(np.float32) / 32768


def assert_heard(text: str, samples: np.ndarray, rate: int, *, word_errors_max: float = 0.12) -> None:
    """Whisper hears the whole of a text: few word errors, and its last word."""
    heard = transcribe(samples, rate)
    assert word_error_rate(text, heard) <= word_errors_max, heard
    last = re.sub(r"\W", "", text.split()[-1]).lower()
    assert last in re.sub(r"[^\w ]", "", heard.lower()).split()[-3:], heard


@dataclass(frozen=True)
class Counters:
    """The scheduler's counters at one moment."""

    submitted: float
    completed: float
    cancelled: float
    audio_seconds: float
    unfinished: float
    sessions: float
    contexts: float


def counters(host: Host) -> Counters:
    """Read them from /metrics (a server without API keys)."""
    found = host.metrics()

    def total(name: str) -> float:
        return sum(value for key, value in found.items() if key.split("{")[0] in (name, f"{name}_total"))

    return Counters(
        submitted=total("voxwire_clauses_submitted"),
        completed=total("voxwire_clauses_completed"),
        cancelled=total("voxwire_clauses_cancelled"),
        audio_seconds=total("voxwire_engine_audio_seconds"),
        unfinished=total("voxwire_clauses"),
        sessions=total("voxwire_sessions"),
        contexts=total("voxwire_contexts"),
    )


async def settled(host: Host, *, sessions: int = 0, seconds: float = 15.0) -> Counters:
    """Wait until at most `sessions` sessions are open, no request is unfinished and no context is open."""
    async with asyncio.timeout(seconds):
        while True:
            now = await asyncio.to_thread(counters, host)
            if not now.unfinished and now.sessions <= sessions and not now.contexts:
                return now
            await asyncio.sleep(0.05)
