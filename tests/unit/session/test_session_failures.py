"""An error in one session ends that session only: the others hear every word, and what it held is freed."""

import pytest

from support.session_sim import Client, World
from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode

TEXT = "Hello there, all of you who listen to this."


class Poisoned(RuntimeError):
    """Its text must reach no log."""


def speaking(world, count):
    clients = [Client(world, f"s{number}") for number in range(count)]
    for client in clients:
        client.send(m.Start(context="c"))
        client.send(m.Text(context="c", text=TEXT))
        client.send(m.End(context="c"))
    return clients


def poison(*args, **kwargs):
    raise Poisoned("a secret that the user wrote")


def break_core(client):
    client.driver.core.produced = poison


def break_core_for_good(client):
    client.driver.core.produced = client.driver.core.fail = client.driver.core.next_due = poison


def break_tick(client):
    client.driver.core.tick = poison


def break_sink(client):
    client.frames = poison


def break_every_message(client):
    client.message = client.frames = client.flush = poison


@pytest.mark.parametrize("trouble", [break_core, break_core_for_good, break_tick, break_sink, break_every_message])
def test_a_session_that_fails_ends_and_no_other_loses_anything(trouble, caplog):
    world = World()
    clients = speaking(world, 24)
    broken = clients[7]
    trouble(broken)
    world.run(60)
    for client in clients:
        if client is not broken:
            assert [done.reason for done in client.of(m.Done)] == [m.DoneReason.COMPLETED]
    assert world.counter.failed == 1
    assert broken.driver.core.closed
    assert broken.closed == (CloseCode.INTERNAL, "server.internal")
    if trouble is not break_every_message:
        assert [error.code for error in broken.of(m.ErrorMessage)] == ["server.internal"]
    stats = world.runner.scheduler.stats(world.now)
    assert (stats.requests, stats.engines[0].streams) == (0, 0)
    assert broken.driver._pipelines == {}
    assert "Poisoned" in caplog.text
    assert "secret" not in caplog.text


def test_a_session_that_fails_while_its_client_is_away_is_over():
    world = World()
    (client,) = speaking(world, 1)
    over = []
    client.driver.core.produced = poison
    client.driver.on_over = lambda: over.append(client.driver)
    world.run(10)
    assert over == [client.driver]
