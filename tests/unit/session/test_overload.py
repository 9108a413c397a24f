"""Three times as many callers as the server has capacity for: admitted ones hear every word in time, refused ones get
in later, and bulk contexts yield to listeners."""

from __future__ import annotations

import random

import pytest

from support.retrying_clients import Caller, busy_world
from support.session_sim import Client, World
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError

SECONDS = 120
CAPACITY = 18
"""Listeners that two workers can feed with an engine that takes a tenth of real time, a tenth of them kept free."""


def start_callers(world, count: int, *, seconds: float = SECONDS, chars=(60, 300)) -> list[Caller]:
    pick = random.Random(3)
    until = world.now + seconds
    return [
        Caller(world, f"s{i}", begin=world.now + pick.uniform(0, 10), until=until, chars=chars) for i in range(count)
    ]


def audio_seconds(callers: list[Caller]) -> float:
    return sum(done.samples / 24_000 for caller in callers for done in caller.of(m.Done))


@pytest.fixture(scope="module")
def overload():
    world = busy_world(0.1)
    callers = start_callers(world, 3 * CAPACITY)
    world.run(SECONDS + 300)
    return world, callers


def test_admitted_listeners_never_run_dry_at_three_times_the_capacity(overload):
    world, callers = overload
    assert [caller.stalls for caller in callers if caller.stalls] == []
    assert world.counter.underruns == []
    assert max(world.counter.ttfa) < 1.5


def test_without_admission_most_would_run_dry():
    world = busy_world(0.1, admission=False)
    callers = start_callers(world, 3 * CAPACITY, seconds=40)
    world.run(40)
    assert sum(bool(caller.stalls) for caller in callers) > len(callers) / 2


def test_refused_callers_get_in_when_they_retry_as_told(overload):
    _, callers = overload
    wishes = [wish for caller in callers for wish in caller.wishes]
    assert all(wish.over for wish in wishes), "every turn is heard in the end"
    refused = [wish for wish in wishes if wish.refusals]
    assert len(refused) > len(callers)
    assert sum(len(wish.refusals) for wish in refused) < 2 * len(wishes), "and not by asking all the time"


def test_retry_times_vary_between_callers(overload):
    _, callers = overload
    retry_ms = [ms for caller in callers for wish in caller.wishes for ms in wish.refusals]
    assert len(set(retry_ms)) > len(retry_ms) // 4
    assert min(retry_ms) < 1000
    assert max(retry_ms) > 10_000


def test_half_of_the_capacity_or_more_is_used(overload):
    _, callers = overload
    # The first callers are admitted a few at a time, and capacity stays unused until refused ones retry.
    assert audio_seconds(callers) > 0.5 * CAPACITY * SECONDS


def test_a_first_guess_that_is_too_good_is_corrected_before_many_run_dry():
    world = busy_world(0.1, guess=0.03)
    callers = start_callers(world, 3 * CAPACITY)
    world.run(SECONDS + 300)
    stalls = [at for caller in callers for at, _ in caller.stalls]
    assert len(stalls) <= 5
    assert all(at < 1000.0 + 20 for at in stalls)


def test_bulk_yields_to_listeners_and_is_finished_afterwards():
    alone, shared = busy_world(0.1), busy_world(0.1)
    without = start_callers(alone, 3 * CAPACITY)
    callers = start_callers(shared, 3 * CAPACITY)
    readers = [
        Caller(shared, f"b{i}", begin=shared.now, until=shared.now + 11, chars=(800, 1200), bulk=True) for i in range(6)
    ]
    for world in (alone, shared):
        world.run(SECONDS + 300)
    assert [caller.stalls for caller in callers if caller.stalls] == []
    granted = [sum(len(each.granted) for each in group) for group in (without, callers)]
    assert granted[1] > 0.95 * granted[0]
    assert all(wish.over for reader in readers for wish in reader.wishes)
    assert audio_seconds(readers) > 6 * 40


def test_bulk_is_refused_while_listeners_are_still_admitted():
    world = busy_world(0.1)
    refused_at: dict[str, list[float]] = {"bulk": [], "interactive": []}
    admission = world.runner.admission

    def watched(engine, *, bulk=False, speaking=0, session_id=None, account=""):
        refusal = admission(engine, bulk=bulk, speaking=speaking, session_id=session_id, account=account)
        if refusal is not None:
            refused_at["bulk" if bulk else "interactive"].append(world.now)
        return refusal

    world.runner.admission = watched
    for second in range(40):
        at = world.now + second
        Caller(world, f"s{second}", begin=at, until=at + 1, chars=(600, 700))
        Caller(world, f"b{second}", begin=at, until=at + 1, chars=(60, 70), bulk=True)
    world.run(300)
    assert refused_at["bulk"]
    assert refused_at["interactive"]
    assert min(refused_at["bulk"]) < min(refused_at["interactive"])


class LimitedDirectory:
    """A directory that admits so many contexts."""

    def __init__(self, inner, room: int) -> None:
        self.inner, self.room, self.asked = inner, room, 0

    def resolve(self, voice, language):
        return self.inner.resolve(voice, language)

    def admit(self, engine, *, bulk, now, session, account):
        self.asked += 1
        if self.asked > self.room:
            raise VoxwireError(ErrorCode.ENGINE_OVERLOADED, "no room", retry_after_ms=700)


def test_text_that_follows_a_refused_start_opens_no_other_context():
    world = World()
    directory = world.directory = LimitedDirectory(world.directory, 0)
    client = Client(world, "s")
    client.send(m.Start(context="c", voice="tone-high"))
    directory.room = 100
    client.send(m.Text(context="c", text="Hello there."))
    assert [error.code for error in client.of(m.ErrorMessage)] == ["system.engine_overloaded"] * 2
    assert [error.retry_after_ms for error in client.of(m.ErrorMessage)] == [700, 700]
    assert not client.of(m.Started)
    assert directory.asked == 1
    client.send(m.Start(context="c", voice="tone-high"))
    client.send(m.Text(context="c", text="Hello there."))
    client.send(m.End(context="c"))
    world.run(10)
    assert client.of(m.Done)[0].reason is m.DoneReason.COMPLETED


def test_few_names_of_refused_contexts_are_kept():
    world = World()
    world.directory = LimitedDirectory(world.directory, 0)
    client = Client(world, "s")
    for number in range(1000):
        client.send(m.Start(context=f"c{number}"))
        world.run(1)
    assert len(client.driver.core._contexts._refused) <= 256
