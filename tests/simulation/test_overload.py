"""Three times as many clients as there is capacity for: admitted streams never underrun, refused ones are admitted
later; and bulk is refused first."""

from __future__ import annotations

import random

import pytest

from support.retrying_clients import RetryingClient, modelled_world
from support.session_sim import Client, World
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError

SECONDS = 120
CAPACITY = 18
"""Streams that two workers can serve with an engine of realtime factor 0.1, a tenth of their time left free."""


def crowd(world, count: int, *, seconds: float = SECONDS, chars=(60, 300)) -> list[RetryingClient]:
    pick = random.Random(3)
    until = world.now + seconds
    return [
        RetryingClient(world, f"s{i}", begin=world.now + pick.uniform(0, 10), until=until, chars=chars)
        for i in range(count)
    ]


def audio_seconds(clients: list[RetryingClient]) -> float:
    return sum(done.samples / 24_000 for client in clients for done in client.of(m.Done))


@pytest.fixture(scope="module")
def overload():
    world = modelled_world(0.1)
    clients = crowd(world, 3 * CAPACITY)
    world.run(SECONDS + 300)
    return world, clients


def test_admitted_streams_never_underrun_at_three_times_the_capacity(overload):
    world, clients = overload
    assert [client.stalls for client in clients if client.stalls] == []
    assert world.counter.underruns == []
    assert max(world.counter.ttfa) < 1.5


def test_without_admission_most_streams_would_underrun():
    world = modelled_world(0.1, admission=False)
    clients = crowd(world, 3 * CAPACITY, seconds=40)
    world.run(40)
    assert sum(bool(client.stalls) for client in clients) > len(clients) / 2


def test_refused_clients_get_a_time_to_retry_and_are_admitted(overload):
    _, clients = overload
    turns = [turn for client in clients for turn in client.turns]
    assert all(turn.over for turn in turns), "every turn is spoken in the end"
    refused = [turn for turn in turns if turn.refusals]
    assert len(refused) > len(clients)
    assert sum(len(turn.refusals) for turn in refused) < 2 * len(turns), "refused clients do not ask all the time"


def test_the_time_to_retry_is_not_constant(overload):
    _, clients = overload
    told = [ms for client in clients for turn in client.turns for ms in turn.refusals]
    assert len(set(told)) > len(told) // 4
    assert min(told) < 1000
    assert max(told) > 10_000


def test_the_capacity_is_used(overload):
    _, clients = overload
    # The first streams are admitted a few at a time, and capacity stays unused until refused clients retry.
    assert audio_seconds(clients) > 0.5 * CAPACITY * SECONDS


def test_a_first_guess_that_is_too_low_is_corrected_before_many_underrun():
    world = modelled_world(0.1, guess=0.03)
    clients = crowd(world, 3 * CAPACITY)
    world.run(SECONDS + 300)
    stalls = [at for client in clients for at, _ in client.stalls]
    assert len(stalls) <= 5
    assert all(at < 1000.0 + 20 for at in stalls)


def test_bulk_yields_to_streams_and_is_finished_afterwards():
    alone, shared = modelled_world(0.1), modelled_world(0.1)
    without = crowd(alone, 3 * CAPACITY)
    clients = crowd(shared, 3 * CAPACITY)
    readers = [
        RetryingClient(shared, f"b{i}", begin=shared.now, until=shared.now + 11, chars=(800, 1200), bulk=True)
        for i in range(6)
    ]
    for world in (alone, shared):
        world.run(SECONDS + 300)
    assert [client.stalls for client in clients if client.stalls] == []
    admitted = [sum(len(each.admitted) for each in group) for group in (without, clients)]
    assert admitted[1] > 0.95 * admitted[0]
    assert all(turn.over for reader in readers for turn in reader.turns)
    assert audio_seconds(readers) > 6 * 40


def test_bulk_is_refused_while_streams_are_still_admitted():
    world = modelled_world(0.1)
    told: dict[str, list[float]] = {"bulk": [], "interactive": []}
    admission = world.runner.admission

    def watched(engine, *, bulk=False, session_id=None, account=""):
        refusal = admission(engine, bulk=bulk, session_id=session_id, account=account)
        if refusal is not None:
            told["bulk" if bulk else "interactive"].append(world.now)
        return refusal

    world.runner.admission = watched
    for second in range(40):
        at = world.now + second
        RetryingClient(world, f"s{second}", begin=at, until=at + 1, chars=(600, 700))
        RetryingClient(world, f"b{second}", begin=at, until=at + 1, chars=(60, 70), bulk=True)
    world.run(300)
    assert told["bulk"]
    assert told["interactive"]
    assert min(told["bulk"]) < min(told["interactive"])


class BoundedDirectory:
    """A directory that admits a number of contexts."""

    def __init__(self, inner, room: int) -> None:
        self.inner, self.room, self.asked = inner, room, 0

    def resolve(self, voice, language):
        return self.inner.resolve(voice, language)

    def speakers(self, beside):
        return self.inner.speakers(beside)

    def lexicon(self, names):
        return self.inner.lexicon(names)

    def admit(self, engine, *, bulk, now, session, account):
        self.asked += 1
        if self.asked > self.room:
            raise VoxwireError(ErrorCode.ENGINE_OVERLOADED, "no room", retry_after_ms=700)


def test_text_that_follows_a_refused_start_opens_no_other_context():
    world = World()
    directory = world.directory = BoundedDirectory(world.directory, 0)
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


def test_the_names_of_refused_contexts_are_not_kept_for_ever():
    world = World()
    world.directory = BoundedDirectory(world.directory, 0)
    client = Client(world, "s")
    for number in range(1000):
        client.send(m.Start(context=f"c{number}"))
        world.run(1)
    assert len(client.driver.core._contexts._refused) <= 256
