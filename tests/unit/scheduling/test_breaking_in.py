"""Who breaks in gets its place back, though its own step still runs; who never listened does not."""

import dataclasses

import pytest

from support.core_harness import FakeDirectory
from support.scheduler_harness import finish, request, scheduler
from support.scheduler_sim import model_info
from support.session_sim import Client, World
from voxwire_protocol import messages as m
from voxwire_server.ops.admission import SpeechDirectory
from voxwire_server.ops.voices import VoiceDirectory
from voxwire_server.scheduling.request import PREPARE, RefusalReason

SLOW = model_info(concurrency=1, realtime_factor=0.4)
STEADY = {"start_seconds": 0.0}


def interrupted(*others, session_id="caller", **policy):
    """A listener's step of 1.6 s runs, and the listener breaks in; `others` go on listening."""
    sched = scheduler(SLOW, **STEADY, **policy)
    for context_key in ("gone", *others):
        sched.stream_started(context_key, "model", 0.0)
    sched.submit(request("gone", text="x" * 60), 0.0)
    finish(sched, sched.pick("cpu", 0.0))
    assert sched.pick("cpu", 0.0).predicted_seconds > 1.5
    sched.cancel("gone")
    sched.stream_ended("gone", 0.0, session_id)
    return sched


def test_who_breaks_in_is_let_in_again_at_once():
    assert interrupted("other").admission("model", False, 0.0, session_id="caller") is None


def test_somebody_else_is_not_let_in_while_the_abandoned_step_runs():
    sched = interrupted("other")
    assert sched.admission("model", False, 0.0, session_id="newcomer").reason is RefusalReason.QUEUE


def test_a_place_is_given_back_once():
    sched = interrupted("other")
    assert sched.admission("model", False, 0.0, session_id="caller") is None
    assert sched.admission("model", False, 0.0, session_id="caller") is not None


def test_a_place_that_is_kept_is_nobody_elses():
    sched = interrupted("other")
    assert sched.admission("model", False, 2.0, session_id="newcomer").reason is RefusalReason.UTILISATION
    assert sched.admission("model", False, 2.0, session_id="caller") is None


@pytest.mark.parametrize("give_up", [lambda sched: 6.0, lambda sched: sched.session_ended("caller") or 2.0])
def test_a_place_is_kept_for_some_seconds_and_no_longer_than_the_session_lasts(give_up):
    sched = interrupted("other")
    assert sched.admission("model", False, give_up(sched), session_id="newcomer") is None


def test_a_listener_who_heard_it_all_leaves_its_place_to_the_next():
    sched = interrupted("other", session_id=None)
    assert sched.admission("model", False, 2.0, session_id="newcomer") is None


def test_where_nobody_else_listens_an_abandoned_step_keeps_nobody_out():
    assert interrupted(session_id=None).admission("model", False, 0.0) is None


# -- whole sessions ---------------------------------------------------------------------------------------------------


class Admitting(FakeDirectory):
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


def test_a_session_that_breaks_in_on_a_slow_engine_may_start_again_at_once():
    world = World(lambda batch: 0.001 if batch.stage == PREPARE else 2.0, workers=1, realtime_factor=0.4)
    world.directory = Admitting(world)
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
