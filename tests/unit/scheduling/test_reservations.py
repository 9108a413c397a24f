"""A session that interrupts its stream is admitted again although the step of the interrupted one still runs."""

import dataclasses

import pytest

from support.core_harness import FakeDirectory
from support.scheduler_harness import finish, make_request, scheduler
from support.scheduler_sim import model_info
from support.session_sim import Client, World
from voxwire_protocol import messages as m
from voxwire_server.ops.admission import SpeechDirectory
from voxwire_server.ops.voices import VoiceDirectory
from voxwire_server.scheduling.admission import RefusalReason
from voxwire_server.scheduling.request import PREPARE

SLOW = model_info(concurrency=1, realtime_factor=0.4)
STEADY = {"start_seconds": 0.0}


def interrupted(*others, session_id="session", **policy):
    """A stream is interrupted while its step of 1.6 s runs; the streams `others` stay active."""
    sched = scheduler(SLOW, **STEADY, **policy)
    for context_key in ("gone", *others):
        sched.stream_started(context_key, "model", 0.0)
    sched.submit(make_request("gone", text="x" * 60), 0.0)
    finish(sched, sched.pick("cpu", 0.0))
    assert sched.pick("cpu", 0.0).predicted_seconds > 1.5
    sched.cancel("gone")
    sched.stream_ended("gone", 0.0, session_id)
    return sched


def test_a_session_that_interrupts_is_admitted_again_at_once():
    assert interrupted("other").admission("model", False, 0.0, session_id="session") is None


def test_another_session_is_refused_while_the_abandoned_step_runs():
    sched = interrupted("other")
    assert sched.admission("model", False, 0.0, session_id="another").reason is RefusalReason.QUEUE


def test_a_reservation_is_used_once():
    sched = interrupted("other")
    assert sched.admission("model", False, 0.0, session_id="session") is None
    assert sched.admission("model", False, 0.0, session_id="session") is not None


def test_a_reservation_refuses_other_sessions():
    sched = interrupted("other")
    assert sched.admission("model", False, 2.0, session_id="another").reason is RefusalReason.UTILISATION
    assert sched.admission("model", False, 2.0, session_id="session") is None


@pytest.mark.parametrize("give_up", [lambda sched: 6.0, lambda sched: sched.session_ended("session") or 2.0])
def test_a_reservation_expires_after_some_seconds_and_with_its_session(give_up):
    sched = interrupted("other")
    assert sched.admission("model", False, give_up(sched), session_id="another") is None


def test_a_stream_that_was_not_interrupted_reserves_nothing():
    sched = interrupted("other", session_id=None)
    assert sched.admission("model", False, 2.0, session_id="another") is None


def test_without_other_streams_an_abandoned_step_refuses_no_session():
    assert interrupted(session_id=None).admission("model", False, 0.0) is None


# -- whole sessions ---------------------------------------------------------------------------------------------------


class AdmittingDirectory(FakeDirectory):
    """The tone engine's voices, with the scheduler's own admission."""

    def __init__(self, world: World) -> None:
        super().__init__()
        info = dataclasses.replace(world.directory.info, realtime_factor=0.4)
        directory = SpeechDirectory(VoiceDirectory({"tone": info}, "tone", ""), world.runner)
        self.admit = directory.admit
        self.resolve = directory.resolve


def say(client: Client, text: str) -> None:
    client.send(m.Start(context="c"))
    client.send(m.Text(context="c", text=text))
    client.send(m.End(context="c"))


def test_a_session_that_interrupts_a_slow_engine_may_start_again_at_once():
    world = World(lambda batch: 0.001 if batch.stage == PREPARE else 2.0, workers=1, realtime_factor=0.4)
    world.directory = AdmittingDirectory(world)
    first, second = Client(world, "first"), Client(world, "second")
    say(second, "Hello there, all of you who listen.")
    say(first, "This is a sentence that takes the engine a while.")
    world.run(2.2)
    assert world.runner.scheduler.stats(world.now).engines[0].streams == 2
    first.send(m.Cancel(context="c"))
    say(first, "And this is what comes after it.")
    world.run(30.0)
    assert first.of(m.ErrorMessage) == []
    assert [done.reason for done in first.of(m.Done)] == [m.DoneReason.CANCELLED, m.DoneReason.COMPLETED]
