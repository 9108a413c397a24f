"""The bare model, in a process of its own: what it makes alone, in as many threads as the server would give it.

No session, no scheduler, no event loop: clause after clause, each a whole sentence of the texts, from text to samples.
The process stays between two measurements, as the server does, so that both are taken in one run, by turns.
"""

from __future__ import annotations

import multiprocessing
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from host import cores
from load_client import TEXTS


@dataclass(frozen=True, slots=True)
class Measured:
    """`times_realtime`: seconds of speech a second, all threads together. `first_clause_seconds`: the median time of a
    text's first clause, alone."""

    times_realtime: float
    first_clause_seconds: float
    threads: int


@dataclass(frozen=True, slots=True)
class EngineBaseline:
    """A process with the engine in it."""

    pipe: Connection

    def measure(self, seconds: float) -> Measured:
        """What the engine makes in so many seconds, now."""
        self.pipe.send(seconds)
        found = self.pipe.recv()
        assert isinstance(found, Measured), found
        return found


@contextmanager
def engine_baseline(
    engine: str, texts: Sequence[str] = TEXTS, options: Mapping[str, str] | None = None
) -> Iterator[EngineBaseline]:
    """Keep a process with this engine, warmed up."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, engine, tuple(texts), dict(options or {})), daemon=True)
    process.start()
    theirs.close()
    try:
        yield EngineBaseline(ours)
    finally:
        ours.close()
        process.join(10)
        process.terminate()


def sentences(texts: Sequence[str]) -> list[str]:
    """Each sentence of the texts."""
    return [part.strip().rstrip(".?") + "." for text in texts for part in text.replace("? ", ". ").split(". ")]


def first_clauses(texts: Sequence[str]) -> list[str]:
    """What the text intake makes the first clause of each text."""
    from voxwire_server.text.intake import TextIntake, Urgency

    found = []
    for text in texts:
        intake = TextIntake("en-us")
        intake.feed(text)
        clause = intake.take(Urgency.RELAXED)
        assert clause is not None
        found.append(clause.text)
    return found


def _serve(pipe: Connection, name: str, texts: Sequence[str], options: Mapping[str, str]) -> None:
    from voxwire_server.engines.registry import load_engine

    engine = load_engine(name, "", options) if options else load_engine(name)
    engine.warm_up()
    info = engine.info
    threads = min(max(1, info.concurrency), cores()) if info.executor == "cpu" else 1
    while True:
        try:
            seconds = pipe.recv()
        except EOFError:
            return
        times_realtime = _times_realtime(engine, threads, sentences(texts), seconds)
        pipe.send(Measured(times_realtime, _first_clause_seconds(engine, first_clauses(texts)), threads))


def _times_realtime(engine, threads: int, clauses: Sequence[str], seconds: float) -> float:
    made = [0.0] * threads
    began = time.monotonic()
    ended = [began] * threads

    def request(number: int) -> None:
        at = number
        while time.monotonic() < began + seconds:
            made[number] += _speak(engine, clauses[at % len(clauses)], at)
            ended[number] = time.monotonic()
            at += threads

    workers = [threading.Thread(target=request, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(audio / (end - began) for audio, end in zip(made, ended, strict=True))


def _first_clause_seconds(engine, clauses: Sequence[str]) -> float:
    taken = []
    for seed, clause in enumerate(clauses):
        began = time.perf_counter()
        _speak(engine, clause, seed)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _speak(engine, text: str, seed: int) -> float:
    """Seconds of speech that the engine makes of a text."""
    from voxwire_server.speech import Clause, EndReason

    voice = engine.info.voices[0]
    clause = Clause(text, (0, len(text)), range(len(text)), voice.name, voice.languages[0], 1.0, seed)
    job = engine.prepare(clause)
    samples, stage = 0, job.stage
    while stage is not None:
        result = engine.step(stage, [job])[0]
        samples += 0 if result.chunk is None else len(result.chunk.samples)
        stage = job.stage = result.stage
        job.bucket, job.cost = result.bucket, result.cost
    engine.finish(job, EndReason.COMPLETED)
    return samples / engine.info.sample_rate
