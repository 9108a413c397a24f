"""The contract of every engine (`voxwire_server.engines.base`): the tone engines, the embedded voice, Kokoro.

Engines of other packages are tested by `--engine NAME`, the name of their entry point (docs/engines.md).
Kokoro's engines are slow on a CPU: they get fewer texts, and are skipped if weights or packages can't be fetched.
"""

from __future__ import annotations

import importlib.util
import random
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import kokoro
from support.engine_driver import clause_for, speak, speak_all
from voxwire_server.engines import tone
from voxwire_server.engines.base import NoSlot
from voxwire_server.engines.hibari import create as create_hibari
from voxwire_server.engines.registry import load_engine
from voxwire_server.speech import EndReason

TEXTS = (
    "Hello there.",
    "The birch canoe slid on the smooth planks.",
    "It's 7:30, and I paid $5.50 - half of it, really! Who knew?",
    "One",
    "A much longer clause, which goes on and on, so that jobs of several lengths share a batch and leave it in turn.",
)
PUNCTUATION = set(' .,;:!?…"()[]')
NOTHING = ("", "   ", "...", "?! --", "\n\n")


def kokoro_torch():
    if importlib.util.find_spec("torch") is None:
        pytest.skip("needs the Python package torch: make test")
    return kokoro.torch_engine()


CREATORS = {
    "tone": tone.create,
    "frames": tone.create_frames,
    "hibari": create_hibari,
    "kokoro-torch": kokoro_torch,
    "kokoro-onnx": kokoro.onnx_engine,
}


def pytest_generate_tests(metafunc):
    if "engine" in metafunc.fixturenames:
        names = metafunc.config.getoption("--engine", default=None) or list(CREATORS)
        metafunc.parametrize("engine", names, indirect=True, scope="module")


@pytest.fixture(scope="module")
def engine(request):
    create = CREATORS.get(request.param)
    created = create() if create is not None else load_engine(request.param)
    created.warm_up()
    return created


def slow(engine) -> bool:
    """Whether synthesis is slow on a CPU."""
    return engine.info.name.startswith("kokoro")


def spare(engine, reason: str) -> None:
    if slow(engine):
        pytest.skip(reason)


def test_info_describes_the_engine(engine):
    info = engine.info
    names = [stage.name for stage in info.stages]
    assert names
    assert len(set(names)) == len(names)
    assert all(stage.batch_size_max >= 1 for stage in info.stages)
    assert info.voices
    assert all(voice.engine == info.name and voice.languages for voice in info.voices)
    assert len({voice.name for voice in info.voices}) == len(info.voices)
    assert info.sample_rate > 0
    assert 0 < info.realtime_factor < 1
    assert info.clause_chars_max >= 100
    assert info is engine.info or info == engine.info


def test_warm_up_may_be_repeated(engine):
    engine.warm_up()


@pytest.mark.parametrize("text", TEXTS)
def test_a_clause_becomes_sound(engine, text):
    spoken = speak(engine, clause_for(engine, text))
    for samples in spoken.chunks:
        assert samples.dtype == np.float32
        assert samples.ndim == 1
        assert samples.flags.c_contiguous
    assert np.isfinite(spoken.samples).all()
    assert 0.01 < np.abs(spoken.samples).max() <= 1.0
    seconds = len(spoken.samples) / engine.info.sample_rate
    assert len(text) / 40 < seconds < 2 + len(text) / 5


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_to_say_is_an_empty_job(engine, text):
    job = engine.prepare(clause_for(engine, text))
    assert job.empty
    engine.finish(job, EndReason.COMPLETED)


def test_a_job_begins_at_a_stage_of_the_engine_and_predicts_its_cost(engine):
    job = engine.prepare(clause_for(engine, TEXTS[1]))
    assert not job.empty
    assert job.stage in {stage.name for stage in engine.info.stages}
    assert job.cost > 0
    engine.finish(job, EndReason.CANCELLED)


def test_the_same_clause_and_seed_give_the_same_bytes_alone_or_in_company(engine):
    spare(engine, "its own tests compare a batch with its rows")
    clauses = [clause_for(engine, text, seed=i) for i, text in enumerate(TEXTS * 2)]
    alone = [speak(engine, clause) for clause in clauses]
    random.Random(3).shuffle(order := list(range(len(clauses))))
    together = speak_all(engine, [clauses[i] for i in order])
    for i, spoken in zip(order, together, strict=True):
        assert spoken.samples.tobytes() == alone[i].samples.tobytes()
        assert (spoken.words, spoken.phonemes) == (alone[i].words, alone[i].phonemes)


def test_another_seed_gives_other_samples_of_the_same_length(engine):
    if engine.info.name == "kokoro-onnx":
        pytest.skip("the export draws nothing")
    first, second = (speak(engine, clause_for(engine, TEXTS[1], seed=seed)).samples for seed in (1, 2))
    assert len(first) == len(second)
    assert first.tobytes() != second.tobytes()


def test_threads_do_not_disturb_each_other(engine):
    spare(engine, "it takes minutes")
    if engine.info.executor != "cpu":
        pytest.skip("its steps run on one thread")
    clauses = [clause_for(engine, text, seed=i % 3) for i, text in enumerate(TEXTS * 4)]
    expected = [speak(engine, clause) for clause in clauses]
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(lambda clause: speak(engine, clause), clauses), expected, strict=True):
            assert got.samples.tobytes() == wanted.samples.tobytes()
            assert got.words == wanted.words


def test_preparing_is_safe_from_any_thread_while_others_are_stepped(engine):
    clauses = [clause_for(engine, text) for text in ((TEXTS[0], TEXTS[3]) if slow(engine) else TEXTS)]
    with ThreadPoolExecutor(3) as pool:
        preparing = [pool.submit(engine.prepare, clause) for clause in clauses * 4]
        spoken = speak_all(engine, clauses)
        jobs = [future.result() for future in preparing]
    assert [s.words for s in spoken] == [speak(engine, clause).words for clause in clauses]
    for job in jobs:
        engine.finish(job, EndReason.CANCELLED)


def test_speed_changes_the_length(engine):
    slow, plain, fast = (
        len(speak(engine, clause_for(engine, TEXTS[1], speed=speed)).samples) for speed in (0.5, 1.0, 2.0)
    )
    assert slow > 1.6 * plain
    assert fast < 0.65 * plain


@pytest.mark.parametrize("speed", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("text", TEXTS)
def test_marks_lie_in_order_within_the_audio_and_the_text(engine, text, speed):
    if speed != 1.7 or text == TEXTS[4]:
        spare(engine, "one speed is enough")
    check_marks(speak(engine, clause_for(engine, text, speed=speed)), text, engine.info.timing)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60) | st.text("aeiou tsn.,'\"$%-:0123456789[]()/", max_size=60))
def test_any_text_can_be_spoken(engine, text):
    spare(engine, "it shares its reader with a fast engine")
    check_marks(speak(engine, clause_for(engine, text, speed=2.0)), text, engine.info.timing)


def check_marks(spoken, text: str, timing: str) -> None:
    total = len(spoken.samples)
    for marks in (spoken.words, spoken.phonemes):
        assert all(0 <= mark.start < mark.end <= total for mark in marks)
        assert all(0 <= mark.chars[0] < mark.chars[1] <= len(text) for mark in marks)
        assert all(a.end <= b.start and a.chars <= b.chars for a, b in pairwise(marks))
    assert all(a.chars[1] <= b.chars[0] for a, b in pairwise(spoken.words))
    assert all(word.text == text[slice(*word.chars)] for word in spoken.words)
    assert not any(set(word.text) <= PUNCTUATION for word in spoken.words)
    if timing == "phoneme" and total:
        assert spoken.words
        assert spoken.phonemes
        for phoneme in spoken.phonemes:
            assert any(w.start <= phoneme.start and phoneme.end <= w.end for w in spoken.words)


def test_the_longest_clause_is_spoken_whole(engine):
    spare(engine, "it takes minutes")
    text = ("There were nine of them. " * 20)[: engine.info.clause_chars_max].rsplit(" ", 1)[0]
    spoken = speak(engine, clause_for(engine, text))
    assert spoken.words[-1].chars[1] >= len(text) - 1


def test_finishing_is_idempotent_and_possible_at_any_moment(engine):
    for steps in range(3):
        job = engine.prepare(clause_for(engine, TEXTS[0] if slow(engine) else TEXTS[4]))
        for _ in range(steps):
            result = engine.step(job.stage, [job])[0]
            if result.stage is None:
                break
            job.stage, job.bucket = result.stage, result.bucket
        engine.finish(job, EndReason.CANCELLED)
        engine.finish(job, EndReason.FAILED)


def test_a_finished_job_makes_room_for_another(engine):
    slots = engine.info.slots
    if not slots:
        pytest.skip("it has no slots")
    jobs = [engine.prepare(clause_for(engine, TEXTS[0])) for _ in range(slots + 1)]
    for job in jobs[:-1]:
        job.stage = engine.step(job.stage, [job])[0].stage
    with pytest.raises(NoSlot) as refusal:
        engine.step(jobs[-1].stage, jobs[-1:])
    assert list(refusal.value.jobs) == jobs[-1:]
    engine.finish(jobs[0], EndReason.CANCELLED)
    assert engine.step(jobs[-1].stage, jobs[-1:])[0].stage
    for job in jobs:
        engine.finish(job, EndReason.CANCELLED)
