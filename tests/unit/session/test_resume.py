"""Sessions survive their connections: whichever connections drop, the client gets the same stream, once."""

from __future__ import annotations

import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.flaky_client import FlakyClient, ResumableServer
from support.session_sim import Sent, World
from voxwire_protocol import messages as m
from voxwire_server.session.settings import SessionSettings

SETTINGS = SessionSettings(resume_window_ms=30_000)
SENTENCES = (
    "The birch canoe slid on the smooth planks.",
    "Glue the sheet to the dark blue background.",
    "Yes.",
    "It is easy to tell the depth of a well, and these days a chicken leg is a rare dish.",
    "🙂",
    "The juice of lemons makes fine punch.",
)


def server(**options) -> ResumableServer:
    return ResumableServer(World(settings=SETTINGS), **options)


def script(client: FlakyClient, contexts: int, codec: str) -> None:
    """Write to some contexts at once, a sentence each half second, and end them."""
    world = client.server.world
    for c in range(contexts):
        name = f"c{c}"
        start = m.Start(context=name, seed=c, audio=m.AudioRequest(codec=codec), timings=("word", "phoneme"))
        world.at(world.now + 0.1 * c, lambda start=start: client.send(start))
        for i, sentence in enumerate(SENTENCES):
            text = m.Text(context=name, text=sentence + " ", seq=i, flush=True)
            world.at(world.now + 0.1 * c + 0.5 * i, lambda text=text: client.send(text))
        world.at(world.now + 3.5 + c, lambda name=name: client.send(m.End(context=name)))


@functools.cache
def undisturbed(contexts: int, codec: str) -> dict:
    client = FlakyClient(server())
    script(client, contexts, codec)
    client.server.world.run(120)
    return client.stream()


drops = st.lists(
    st.tuples(
        st.floats(0, 20),  # when
        st.floats(0, 4),  # how long away
        st.floats(0, 20),  # how long until the server notices
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drops, st.integers(1, 3), st.sampled_from(["pcm_s16le", "opus", "mulaw"]), st.booleans(), st.floats(0.001, 0.5))
def test_the_stream_is_the_same_whatever_connections_drop(schedule, contexts, codec, acks, delay):
    client = FlakyClient(server(), acks=acks, delay=delay)
    world = client.server.world
    script(client, contexts, codec)
    for when, away, notice in schedule:
        world.at(world.now + when, lambda away=away, notice=notice: client.drop(away, notice))
    world.run(200)
    assert not [each for each in client.resumes if isinstance(each, m.ResumeFailed)]
    assert client.stream() == undisturbed(contexts, codec)
    assert len(world.sessions) == 1
    assert world.counter.contexts == 0


# -- each answer by name ----------------------------------------------------------------------------------------


def speaking(**options) -> FlakyClient:
    """A client to which some two seconds have been spoken."""
    client = FlakyClient(server(), **options)
    script(client, 1, "pcm_s16le")
    client.server.world.run(2.0)
    return client


def resume(client: FlakyClient, **changes) -> m.Resumed | m.ResumeFailed | None:
    """Try to take the client's session over from a connection of its own; returns the answer."""
    other = FlakyClient(client.server, delay=0.0)
    client.server.world.run(0.01)
    asked = {"session": client.session, "token": client.token, "received": client.count} | changes
    other.send(m.Resume(**asked))
    client.server.world.run(0.01)
    return other.resumes[-1] if other.resumes else None


def test_a_session_that_does_not_exist_is_unknown():
    assert resume(speaking(), session="s999") == m.ResumeFailed(reason="unknown")


def test_a_wrong_token_is_refused_and_disturbs_nothing():
    client = speaking()
    assert resume(client, token="token-of-a-thief") == m.ResumeFailed(reason="refused")
    client.server.world.run(60)
    assert client.stream() == undisturbed(1, "pcm_s16le")


def test_the_token_is_refused_with_another_key():
    client = speaking()
    client.server.account = "another"
    assert resume(client) == m.ResumeFailed(reason="refused")


def test_a_token_that_was_used_is_refused_once_the_next_one_has_arrived():
    client = speaking()
    used = client.token
    client.drop(0.1, 0.1)
    client.server.world.run(1)
    assert client.live
    client.send(m.Ping(t=1))
    client.server.world.run(0.1)
    assert resume(client, token=used) == m.ResumeFailed(reason="refused")


def test_a_token_whose_answer_was_lost_is_accepted_once_more():
    client = speaking()
    assert isinstance(resume(client), m.Resumed)
    # The client never saw that answer; it comes with what it has.
    client.drop(0.0, 10)
    client.server.world.run(60)
    assert isinstance(client.resumes[-1], m.Resumed)
    assert client.stream() == undisturbed(1, "pcm_s16le")


def test_of_two_resumes_the_later_one_gets_the_session():
    client = speaking()
    client.connection.cut(20)
    first, second = FlakyClient(client.server, delay=0.0), FlakyClient(client.server, delay=0.0)
    client.server.world.run(0.01)
    for other in (first, second):
        other.send(m.Resume(session=client.session, token=client.token, received=client.count))
    client.server.world.run(3)
    assert isinstance(first.resumes[-1], m.Resumed)
    assert isinstance(second.resumes[-1], m.Resumed)
    assert first.connection.close_sent == (4409, "resumed on another connection")
    assert second.connection.close_sent is None
    assert len(second.received) > len(first.received)


def test_a_connection_that_loses_its_session_is_closed_and_ignored():
    client = speaking()
    old = client.connection
    assert isinstance(resume(client), m.Resumed)
    assert old.close_sent == (4409, "resumed on another connection")
    before = len(client.received)
    old.handler.receive(m.Cancel(context="c0"))
    client.server.world.run(5)
    assert len(client.received) == before
    assert client.server.sessions.find(client.session).core.contexts_open == 1


def test_nothing_is_left_when_the_resume_window_ends():
    client = speaking()
    client.connection.cut(0)
    client.server.world.run(29)
    assert len(client.server.sessions) == 1
    client.server.world.run(2)
    assert len(client.server.sessions) == 0
    assert client.server.world.counter.contexts == 0
    assert client.server.world.runner.scheduler.stats(client.server.world.now).requests == 0
    assert resume(client) == m.ResumeFailed(reason="unknown")


@pytest.mark.parametrize("code", [1000, 1005])
def test_a_session_whose_client_closes_normally_is_not_kept(code):
    client = speaking()
    client.connection.handler.disconnected(code)
    assert len(client.server.sessions) == 0


def test_what_is_no_longer_kept_has_expired():
    client = FlakyClient(server(replay_bytes_max=20_000), acks=False)
    script(client, 1, "pcm_s16le")
    client.server.world.run(2.0)
    assert resume(client, received=3) == m.ResumeFailed(reason="expired")
    assert len(client.server.sessions) == 1, "the new session"
    assert client.connection.close_sent is not None


def test_a_count_beyond_what_was_sent_has_expired():
    client = speaking()
    assert resume(client, received=10_000) == m.ResumeFailed(reason="expired")


def test_a_client_that_does_not_count_gets_every_frame_once():
    client = FlakyClient(server(), counts=False)
    script(client, 1, "pcm_s16le")
    world = client.server.world
    for when in (1.0, 2.5, 4.0, 9.0):
        world.at(world.now + when, lambda: client.drop(0.5, 0.1))
    world.run(100)
    assert client.stream()["c0"]["frames"] == undisturbed(1, "pcm_s16le")["c0"]["frames"]


def test_resume_is_accepted_only_as_the_first_message():
    client = speaking()
    client.send(m.Resume(session=client.session, token=client.token))
    client.server.world.run(0.1)
    assert client.resumes == [m.ResumeFailed(reason="not_first")]


def test_frames_sent_again_are_flagged():
    client = FlakyClient(server(), delay=0.3)
    script(client, 1, "pcm_s16le")
    client.server.world.run(2.0)
    client.drop(0.2, 0.1)
    client.server.world.run(60)
    again = [each.seq for each in client.received if isinstance(each, Sent) and each.flags & 4]
    assert again
    assert again == list(range(again[0], again[-1] + 1))
    assert len(again) < 60


def test_while_the_client_is_away_generation_goes_on_up_to_a_few_seconds():
    client = FlakyClient(server())
    client.send(m.Start(context="a", seed=1))
    client.send(m.Text(context="a", text=" ".join(SENTENCES * 20)))
    client.send(m.End(context="a"))
    world = client.server.world
    world.run(1.0)
    client.connection.cut(0)
    world.run(5)
    made = world.runner.scheduler.stats(world.now).engines[0].audio_seconds
    world.run(15)
    assert world.runner.scheduler.stats(world.now).engines[0].audio_seconds == made
    assert 3 < made < 30


def test_a_client_that_stops_acknowledging_is_sent_no_more_and_costs_no_more():
    silent, other = FlakyClient(server()), None
    world = silent.server.world
    other = FlakyClient(silent.server)
    for client in (silent, other):
        client.send(m.Start(context="a", seed=1))
        client.send(m.Text(context="a", text=" ".join(SENTENCES * 10)))
        client.send(m.End(context="a"))
    world.run(3.0)
    silent.acks = False
    world.run(10.0)
    sent = len([each for each in silent.received if isinstance(each, Sent)])
    world.run(10.0)
    assert len([each for each in silent.received if isinstance(each, Sent)]) == sent
    heard = [each for each in other.received if isinstance(each, Sent)]
    assert heard[-1].pts / 24000 > 20, "the other client goes on"
    silent.acks = True
    silent.send(m.Ack(context="a", seq=sent - 1, played_pts=sent * 480 - 480))
    world.run(1.0)
    assert len([each for each in silent.received if isinstance(each, Sent)]) > sent


def test_an_ack_of_unsent_audio_is_a_named_error():
    client = speaking()
    client.send(m.Ack(context="c0", seq=99_999))
    client.server.world.run(0.1)
    error = next(each for each in client.received if isinstance(each, m.ErrorMessage))
    assert error.code == "client.invalid_field"
    assert error.details["field"] == "seq"


def test_the_log_of_a_client_that_acknowledges_stays_small():
    client = FlakyClient(server())
    client.send(m.Start(context="a", seed=1))
    client.send(m.Text(context="a", text=" ".join(SENTENCES * 10)))
    client.send(m.End(context="a"))
    for _ in range(50):
        client.server.world.run(0.5)
        assert client.server.sessions.find(client.session).resumable.log.bytes < 48_000 * 2
