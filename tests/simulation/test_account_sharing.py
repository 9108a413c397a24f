"""One account fills the server with first clauses that are all due; listeners of another account hear no difference."""

from __future__ import annotations

import pytest

from support.retrying_clients import RetryingClient, modelled_world
from support.session_sim import Client, World
from voxwire_protocol import messages as m
from voxwire_server.scheduling.policy import Policy
from voxwire_server.scheduling.request import PREPARE

SENTENCE = "Glue the sheet to the dark blue background, and then wait a while. "
STEP_SECONDS = 0.02


def flood(world, account, sessions, contexts=32):
    """Contexts with text, all at once."""
    for number in range(sessions):
        client = Client(world, f"{account}{number}", account)
        for context in range(contexts):
            client.send(m.Start(context=f"c{context}"))
            client.send(m.Text(context=f"c{context}", text=SENTENCE))
            client.send(m.End(context=f"c{context}"))


def listen(world, account):
    """One listener to a text of several clauses."""
    client = Client(world, f"listener of {account}", account)
    client.send(m.Start(context="c", pacing=m.PacingRequest(mode="realtime")))
    client.send(m.Text(context="c", text=SENTENCE * 3))
    client.send(m.End(context="c"))
    return client


def heard(world, client, seconds_max=40.0):
    """Seconds until the first frame, and the longest that a player without a buffer waited after it."""
    began = world.now
    while not client.of(m.Done) and world.now < began + seconds_max:
        world.run(1.0)
    frames = client.frames_of(0)
    dry_at, worst = frames[0].at, 0.0
    for frame in frames:
        worst = max(worst, frame.at - dry_at)
        dry_at = max(dry_at, frame.at) + 0.02
    assert client.of(m.Done)[0].reason is m.DoneReason.COMPLETED
    return frames[0].at - began, worst


def seconds(batch):
    return 0.0002 if batch.stage == PREPARE else STEP_SECONDS


@pytest.mark.parametrize("sessions", [1, 10, 100])
def test_a_flood_costs_a_listener_of_another_account_no_more_than_one_clause(sessions):
    world = World(seconds, workers=1)
    flood(world, "a", sessions)
    listener = listen(world, "b")
    first, gap = heard(world, listener)
    assert first < 12 * STEP_SECONDS
    assert gap < 0.02


def test_a_listener_of_the_same_account_waits_behind_the_flood():
    world = World(seconds, workers=1)
    flood(world, "a", 10)
    first, _ = heard(world, listen(world, "a"))
    assert first > 100 * STEP_SECONDS


def test_a_listener_misses_nothing_when_another_account_floods():
    world = World(seconds, workers=1)
    listener = listen(world, "b")
    world.at(world.now + 1.0, lambda: flood(world, "a", 100))
    _, gap = heard(world, listener)
    assert gap < 0.02


def test_streams_of_a_small_account_are_admitted_while_a_large_one_takes_all_it_can():
    """54 clients of one account want what 18 can have; three of another come later."""
    world = modelled_world(0.1)
    world.runner.scheduler.policy = Policy(accounts=2)
    until = world.now + 90

    def clients(account, count, begin, apart):
        return [
            RetryingClient(
                world, f"{account}{n}", begin=begin + n * apart, until=until, chars=(60, 300), account=account
            )
            for n in range(count)
        ]

    crowd = clients("a", 54, world.now, 0.1)
    few = clients("b", 3, world.now + 30, 1.0)
    world.run(300)
    waits = [turn.started_at - turn.asked_at for client in few for turn in client.turns if turn.started_at]
    others = [turn.started_at - turn.asked_at for client in crowd for turn in client.turns if turn.started_at]
    assert all(turn.over for client in (*few, *crowd) for turn in client.turns)
    assert sum(waits) / len(waits) < 0.2 * sum(others) / len(others)
    assert [client.stalls for client in (*few, *crowd) if client.stalls] == []
