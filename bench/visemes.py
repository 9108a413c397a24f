"""Visemes: what they cost, and how near those estimated from the audio come to those of the phonemes' alignment.

    python bench/visemes.py [--sessions 40] [--seconds 15] [--save bench/results]

Cost: CPU of this thread for a second of speech, moves, keyframes and encoded messages included, over the twenty Harvard
sentences in the embedded voice; and the CPU of a whole server whose sessions ask for visemes, beside one whose sessions
don't. "% of a core" is for 100 sessions that speak all the time. Quality: both tracks of the same audio, every 10 ms.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cost import thread_seconds
from host import OPEN_DOORS, machine, serving
from load_client import Plan
from sessions import run
from support.harvard_sentences import SENTENCES
from support.visemes import Mouth
from voxwire_protocol import JSON, MSGPACK
from voxwire_protocol import messages as m
from voxwire_protocol.visemes import COUNT, FF, PP, SHAPES
from voxwire_server.audio.pipeline import AudioPipeline, ClauseChunk
from voxwire_server.engines.hibari import create
from voxwire_server.session.visemes import viseme_track_for
from voxwire_server.speech import Alignment, AudioChunk, Clause
from voxwire_server.text.phoneme_visemes import visemes_of

RATE = 24000
STEP = RATE // 100
FORMAT = m.AudioFormat(sample_rate=RATE)
TARGET_PERCENT = 2.0
JAW = np.array([shape.arkit.get("jawOpen", 0.0) for shape in SHAPES])
OPEN = 0.15
"""A mouth is open with its jaw open this far."""


@dataclass(frozen=True)
class Spoken:
    """A sentence, its audio, its phonemes."""

    text: str
    chunk: AudioChunk

    @property
    def alignment(self) -> Alignment:
        """What sounds when."""
        assert self.chunk.alignment is not None
        return self.chunk.alignment

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.chunk.samples) / RATE


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    engine = create()
    engine.warm_up()
    spoken = [speak(engine, text) for text in SENTENCES]
    found = {"machine": machine(), "alone": costs(engine, spoken), "server": server_costs(args.sessions, args.seconds)}
    found["estimated_against_aligned"] = rows = [compare(engine, each) for each in spoken]
    found["mean"] = mean(rows)
    text = report(found)
    print(text)
    if args.save:
        (args.save / "visemes.json").write_text(json.dumps(found, indent=1) + "\n")
        (args.save / "visemes.txt").write_text(text + "\n")
        plot(engine, spoken[0], args.save / "visemes.png")


def speak(engine, text: str) -> Spoken:
    clause = Clause(text, (0, len(text)), range(len(text)), "heart", "en-us", 1.0, 1)
    return Spoken(text, engine.step("speak", [engine.prepare(clause)])[0].chunk)


# -- cost ---------------------------------------------------------------------------------------------------------


def costs(engine, spoken: list[Spoken]) -> list[dict]:
    """CPU of each way to visemes, alone: microseconds a second of speech, and what goes over the wire."""
    seconds = sum(each.seconds for each in spoken)
    session_seconds = sum(
        thread_seconds(lambda each=each: synthesise(engine, each), least=0.15) for each in spoken[:5]
    ) / sum(each.seconds for each in spoken[:5])
    rows = []
    for name, timing, chunk_ms in (
        ("aligned, whole clauses", "phoneme", 0),
        ("aligned, steps of 80 ms", "phoneme", 80),
        ("estimated, whole clauses", "none", 0),
        ("estimated, steps of 80 ms", "none", 80),
    ):
        cut = [pieces(each, chunk_ms) for each in spoken]
        info = replace(engine.info, timing=timing)
        timings = [message for each in cut for message in messages(info, each)]
        build = thread_seconds(lambda cut=cut, info=info: [messages(info, each) for each in cut])
        as_json = thread_seconds(lambda timings=timings: [JSON.encode(message) for message in timings])
        packed = thread_seconds(lambda timings=timings: [MSGPACK.encode(message) for message in timings])
        whole = (build + max(as_json, packed)) / seconds
        rows.append(
            {
                "way": name,
                "build_us": round(build / seconds * 1e6, 1),
                "json_us": round(as_json / seconds * 1e6, 1),
                "msgpack_us": round(packed / seconds * 1e6, 1),
                "percent_of_a_core_at_100_sessions": round(whole * 100 * 100, 2),
                "percent_of_a_session": round(whole / session_seconds * 100, 2),
                "keyframes_per_second": round(sum(len(message.visemes) for message in timings) / seconds, 1),
                "json_bytes_per_second": round(sum(len(JSON.encode(message)) for message in timings) / seconds),
            }
        )
    return rows


def synthesise(engine, spoken: Spoken) -> None:
    """What a worker does for a clause without visemes: text to samples, samples to frames."""
    chunk = speak(engine, spoken.text).chunk
    AudioPipeline(RATE, FORMAT).push(0, chunk.samples, finished=True, ends_utterance=True, alignment=chunk.alignment)


def pieces(spoken: Spoken, chunk_ms: int) -> list[tuple[ClauseChunk, int]]:
    """The clause as an engine gives it, whole or in steps, each with the phonemes that begin in it; and their pts."""
    samples, marks = spoken.chunk.samples, spoken.alignment.phonemes
    size = chunk_ms * RATE // 1000 or len(samples)
    cut = []
    for start in range(0, len(samples), size):
        end = min(start + size, len(samples))
        alignment = Alignment((), tuple(mark for mark in marks if start <= mark.start < end))
        cut.append((ClauseChunk(samples[start:end], end == len(samples), True, alignment), start))
    return cut


def messages(info, cut: list[tuple[ClauseChunk, int]]) -> list[m.Timing]:
    """The messages of one utterance."""
    viseme_track = viseme_track_for(info, FORMAT)
    keyframes = [viseme_track(chunk, 0, start, start + len(chunk.samples)) for chunk, start in cut]
    return [m.Timing(context="answer-1", visemes=visemes) for visemes in keyframes if visemes]


def server_costs(sessions: int, seconds: float) -> list[dict]:
    """CPU of a whole server, in milliseconds a session-second, without and with visemes."""
    rows = []
    for timings in (["word"], ["word", "viseme"], ["word"], ["word", "viseme"]):
        with serving(*OPEN_DOORS) as host:
            cpu = host.cpu_seconds()
            row = run(host.port, sessions, seconds, Plan(rate=30.0, timings=timings))
            used = (host.cpu_seconds() - cpu) / row["audio_seconds"] * 1000
        rows.append({"timings": timings, "sessions": sessions, "ms": round(used, 2), "stalls": row["stalls"]})
    return rows


# -- quality ------------------------------------------------------------------------------------------------------


def track(engine, spoken: Spoken, timing: str, chunk_ms: int = 0) -> Mouth:
    mouth = Mouth()
    for message in messages(replace(engine.info, timing=timing), pieces(spoken, chunk_ms)):
        mouth.add(message.visemes)
    return mouth


def compare(engine, spoken: Spoken) -> dict:
    """How near the estimated track comes, in steps of 80 ms and knowing whole clauses."""
    at = np.arange(0, len(spoken.chunk.samples), STEP)
    aligned = track(engine, spoken, "phoneme").sampled(at)
    row: dict = {"text": spoken.text}
    for name, chunk_ms in (("clauses", 0), ("steps", 80)):
        mouth = track(engine, spoken, "none", chunk_ms)
        row[name] = agreement(aligned, mouth.sampled(at), closures(spoken, mouth.sampled))
    return row


def closures(spoken: Spoken, sampled: Callable[[NDArray[np.int64]], NDArray[np.float64]]) -> tuple[int, int]:
    """How many closures there are, and in how many the lips are nearly there (0.5) at some time."""
    marks = [mark for mark in spoken.alignment.phonemes if visemes_of(mark.ipa).closure]
    met = 0
    for mark in marks:
        weights = sampled(np.arange(mark.start - RATE // 50, mark.end + RATE // 50, RATE // 200))
        met += bool((weights[:, PP] + weights[:, FF] >= 0.5).any())
    return len(marks), met


def agreement(aligned: NDArray[np.float64], estimated: NDArray[np.float64], met: tuple[int, int]) -> dict:
    jaws = aligned @ JAW, estimated @ JAW
    return {
        "dominant": round(float((aligned.argmax(1) == estimated.argmax(1)).mean()), 3),
        "open_or_closed": round(float(((jaws[0] > OPEN) == (jaws[1] > OPEN)).mean()), 3),
        "jaw_correlation": round(float(np.corrcoef(*jaws)[0, 1]), 3),
        "overlap": round(float(np.minimum(aligned, estimated).sum(1).mean()), 3),
        "closures": met[0],
        "closures_met": met[1],
    }


def mean(rows: list[dict]) -> dict:
    """Means over the sentences; closures are added up."""
    found = {}
    for name in ("clauses", "steps"):
        keys = rows[0][name]
        found[name] = {
            key: sum(row[name][key] for row in rows)
            if key.startswith("closures")
            else round(sum(row[name][key] for row in rows) / len(rows), 3)
            for key in keys
        }
    return found


# -- output -------------------------------------------------------------------------------------------------------


def report(found: dict) -> str:
    lines = [
        "$ python bench/visemes.py", found["machine"], "", "alone, us of CPU a second of speech; % of a core for 100 "
        f"sessions (target {TARGET_PERCENT:g}); share of what a session's worker does anyway",
        f"{'':26}{'build':>8}{'JSON':>7}{'msgpack':>9}{'% core':>8}{'share %':>9}{'keyframes/s':>13}{'JSON B/s':>10}",
    ]  # fmt: skip
    for row in found["alone"]:
        lines.append(
            f"  {row['way']:24}{row['build_us']:8.1f}{row['json_us']:7.1f}{row['msgpack_us']:9.1f}"
            f"{row['percent_of_a_core_at_100_sessions']:8.2f}{row['percent_of_a_session']:9.2f}"
            f"{row['keyframes_per_second']:13.1f}{row['json_bytes_per_second']:10}"
        )
    lines += ["", "the whole server, ms of CPU a session-second"]
    lines += [
        f"  {row['sessions']} sessions, {' and '.join(row['timings']):16} {row['ms']:.2f}" for row in found["server"]
    ]
    head = f"{'dominant':>9}{'open':>7}{'jaw r':>7}{'overlap':>9}{'closures':>10}"
    lines += ["", "estimated against aligned, every 10 ms: from whole clauses | from steps of 80 ms", f"{head} |{head}"]
    for row in [*found["estimated_against_aligned"], {"text": "mean", **found["mean"]}]:
        lines.append(" |".join(cells(row[name]) for name in ("clauses", "steps")) + f"  {row['text']}")
    return "\n".join(lines)


def cells(row: dict) -> str:
    return (
        f"{row['dominant']:9.2f}{row['open_or_closed']:7.2f}{row['jaw_correlation']:7.2f}{row['overlap']:9.2f}"
        f"{row['closures_met']:6}/{row['closures']:<3}"
    )


def plot(engine, spoken: Spoken, path: Path) -> None:
    """The waveform with its phonemes, the fifteen channels of the alignment, and those of the audio."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    at = np.arange(0, len(spoken.chunk.samples), RATE // 500)
    figure, axes = plt.subplots(3, 1, figsize=(15, 13), sharex=True, layout="constrained", height_ratios=(1, 4, 4))
    axes[0].plot(np.arange(len(spoken.chunk.samples)) / RATE, spoken.chunk.samples, linewidth=0.4, color="0.4")
    axes[0].set_title(f"{spoken.text}   (waveform and phonemes; weights by alignment; weights by audio alone)")
    for axis, timing in zip(axes[1:], ("phoneme", "none"), strict=True):
        weights = track(engine, spoken, timing).sampled(at)
        for id in range(COUNT):
            base = COUNT - 1 - id
            axis.fill_between(
                at / RATE, base, base + 0.9 * weights[:, id], color=f"C{id % 10}", alpha=0.75, linewidth=0
            )
        axis.set_yticks(np.arange(COUNT)[::-1] + 0.3, [shape.name for shape in SHAPES])
        axis.set_ylim(0, COUNT)
        axis.grid(axis="y", alpha=0.3)
    for mark in spoken.alignment.phonemes:
        middle = (mark.start + mark.end) / 2 / RATE
        axes[0].text(middle, 0.92, mark.ipa, transform=axes[0].get_xaxis_transform(), ha="center", va="top")
        for axis in axes:
            axis.axvspan(
                mark.start / RATE, mark.end / RATE, color="r" if visemes_of(mark.ipa).closure else "0.5", alpha=0.07
            )
    axes[-1].set_xlabel("seconds")
    figure.savefig(path, dpi=80)


if __name__ == "__main__":
    main()
