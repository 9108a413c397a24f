"""Sessions that survive their connections: whatever drops, the client gets the same stream, once."""

from __future__ import annotations

import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.flaky_client import Phone, Site
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


def site(**options) -> Site:
    return Site(World(settings=SETTINGS), **options)


def script(phone: Phone, contexts: int, codec: str) -> None:
    """Write to some contexts at once, a sentence each half second, and end them."""
    world = phone.site.world
    for c in range(contexts):
        name = f"c{c}"
        start = m.Start(context=name, seed=c, audio=m.AudioRequest(codec=codec), timings=("word", "phoneme"))
        world.at(world.now + 0.1 * c, lambda start=start: phone.say(start))
        for i, sentence in enumerate(SENTENCES):
            text = m.Text(context=name, text=sentence + " ", seq=i, flush=True)
            world.at(world.now + 0.1 * c + 0.5 * i, lambda text=text: phone.say(text))
        world.at(world.now + 3.5 + c, lambda name=name: phone.say(m.End(context=name)))


@functools.cache
def undisturbed(contexts: int, codec: str) -> dict:
    phone = Phone(site())
    script(phone, contexts, codec)
    phone.site.world.run(120)
    return phone.stream()


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
def test_whatever_drops_the_stream_is_the_same(schedule, contexts, codec, acks, delay):
    phone = Phone(site(), acks=acks, delay=delay)
    world = phone.site.world
    script(phone, contexts, codec)
    for when, away, notice in schedule:
        world.at(world.now + when, lambda away=away, notice=notice: phone.drop(away, notice))
    world.run(200)
    assert not [each for each in phone.resumes if isinstance(each, m.ResumeFailed)]
    assert phone.stream() == undisturbed(contexts, codec)
    assert len(world.sessions) == 1
    assert world.counter.contexts == 0


# -- each answer by its name ----------------------------------------------------------------------------------------


def speaking(**options) -> Phone:
    """A phone to which some two seconds have been spoken."""
    phone = Phone(site(), **options)
    script(phone, 1, "pcm_s16le")
    phone.site.world.run(2.0)
    return phone


def resume(phone: Phone, **changes) -> m.Resumed | m.ResumeFailed | None:
    """Try to take the phone's session over from a connection of its own; says what came of it."""
    other = Phone(phone.site, delay=0.0)
    phone.site.world.run(0.01)
    asked = {"session": phone.session, "token": phone.token, "received": phone.count} | changes
    other.say(m.Resume(**asked))
    phone.site.world.run(0.01)
    return other.resumes[-1] if other.resumes else None


def test_a_session_that_nobody_knows_is_unknown():
    assert resume(speaking(), session="s999") == m.ResumeFailed(reason="unknown")


def test_a_wrong_token_is_refused_and_disturbs_nothing():
    phone = speaking()
    assert resume(phone, token="token-of-a-thief") == m.ResumeFailed(reason="refused")
    phone.site.world.run(60)
    assert phone.stream() == undisturbed(1, "pcm_s16le")


def test_the_token_is_worth_nothing_to_another_key():
    phone = speaking()
    phone.site.identity = "somebody else"
    assert resume(phone) == m.ResumeFailed(reason="refused")


def test_a_token_that_was_used_is_refused_once_the_next_one_has_arrived():
    phone = speaking()
    used = phone.token
    phone.drop(0.1, 0.1)
    phone.site.world.run(1)
    assert phone.live
    phone.say(m.Ping(t=1))
    phone.site.world.run(0.1)
    assert resume(phone, token=used) == m.ResumeFailed(reason="refused")


def test_a_token_whose_answer_was_lost_is_taken_once_more():
    phone = speaking()
    assert isinstance(resume(phone), m.Resumed)
    # The phone never saw that answer; it comes with what it has.
    phone.drop(0.0, 10)
    phone.site.world.run(60)
    assert isinstance(phone.resumes[-1], m.Resumed)
    assert phone.stream() == undisturbed(1, "pcm_s16le")


def test_of_two_resumes_the_later_one_has_the_session():
    phone = speaking()
    phone.wire.cut(20)
    first, second = Phone(phone.site, delay=0.0), Phone(phone.site, delay=0.0)
    phone.site.world.run(0.01)
    for other in (first, second):
        other.say(m.Resume(session=phone.session, token=phone.token, received=phone.count))
    phone.site.world.run(3)
    assert isinstance(first.resumes[-1], m.Resumed)
    assert isinstance(second.resumes[-1], m.Resumed)
    assert first.wire.told == (4409, "resumed on another connection")
    assert second.wire.told is None
    assert len(second.got) > len(first.got)


def test_a_connection_that_looks_alive_gives_its_session_up_and_is_heard_no_more():
    phone = speaking()
    old = phone.wire
    assert isinstance(resume(phone), m.Resumed)
    assert old.told == (4409, "resumed on another connection")
    before = len(phone.got)
    old.conversation.take(m.Cancel(context="c0"))
    phone.site.world.run(5)
    assert len(phone.got) == before
    assert phone.site.sessions.find(phone.session).core.contexts_open == 1


def test_when_the_window_closes_nothing_is_left():
    phone = speaking()
    phone.wire.cut(0)
    phone.site.world.run(29)
    assert len(phone.site.sessions) == 1
    phone.site.world.run(2)
    assert len(phone.site.sessions) == 0
    assert phone.site.world.counter.contexts == 0
    assert phone.site.world.runner.scheduler.stats(phone.site.world.now).requests == 0
    assert resume(phone) == m.ResumeFailed(reason="unknown")


@pytest.mark.parametrize("code", [1000, 1005])
def test_a_client_that_says_good_bye_is_not_waited_for(code):
    phone = speaking()
    phone.wire.conversation.disconnected(code)
    assert len(phone.site.sessions) == 0


def test_what_fell_out_of_the_buffer_has_expired():
    phone = Phone(site(replay_bytes_max=20_000), acks=False)
    script(phone, 1, "pcm_s16le")
    phone.site.world.run(2.0)
    assert resume(phone, received=3) == m.ResumeFailed(reason="expired")
    assert len(phone.site.sessions) == 1, "the fresh session"
    assert phone.wire.told is not None


def test_a_count_from_the_future_is_refused_by_name():
    phone = speaking()
    assert resume(phone, received=10_000) == m.ResumeFailed(reason="expired")


def test_a_client_that_does_not_count_gets_every_frame_once():
    phone = Phone(site(), counts=False)
    script(phone, 1, "pcm_s16le")
    world = phone.site.world
    for when in (1.0, 2.5, 4.0, 9.0):
        world.at(world.now + when, lambda: phone.drop(0.5, 0.1))
    world.run(100)
    assert phone.stream()["c0"]["frames"] == undisturbed(1, "pcm_s16le")["c0"]["frames"]


def test_resume_comes_first_or_not_at_all():
    phone = speaking()
    phone.say(m.Resume(session=phone.session, token=phone.token))
    phone.site.world.run(0.1)
    assert phone.resumes == [m.ResumeFailed(reason="not_first")]


def test_frames_that_come_again_say_so():
    phone = Phone(site(), delay=0.3)
    script(phone, 1, "pcm_s16le")
    phone.site.world.run(2.0)
    phone.drop(0.2, 0.1)
    phone.site.world.run(60)
    again = [each.seq for each in phone.got if isinstance(each, Sent) and each.flags & 4]
    assert again
    assert again == list(range(again[0], again[-1] + 1))
    assert len(again) < 60


def test_while_the_client_is_away_generation_goes_on_up_to_a_few_seconds():
    phone = Phone(site())
    phone.say(m.Start(context="a", seed=1))
    phone.say(m.Text(context="a", text=" ".join(SENTENCES * 20)))
    phone.say(m.End(context="a"))
    world = phone.site.world
    world.run(1.0)
    phone.wire.cut(0)
    world.run(5)
    made = world.runner.scheduler.stats(world.now).engines[0].audio_seconds
    world.run(15)
    assert world.runner.scheduler.stats(world.now).engines[0].audio_seconds == made
    assert 3 < made < 30


def test_a_client_that_stops_acknowledging_is_sent_no_more_and_costs_no_more():
    silent, other = Phone(site()), None
    world = silent.site.world
    other = Phone(silent.site)
    for phone in (silent, other):
        phone.say(m.Start(context="a", seed=1))
        phone.say(m.Text(context="a", text=" ".join(SENTENCES * 10)))
        phone.say(m.End(context="a"))
    world.run(3.0)
    silent.acks = False
    world.run(10.0)
    sent = len([each for each in silent.got if isinstance(each, Sent)])
    world.run(10.0)
    assert len([each for each in silent.got if isinstance(each, Sent)]) == sent
    heard = [each for each in other.got if isinstance(each, Sent)]
    assert heard[-1].pts / 24000 > 20, "its neighbour goes on"
    silent.acks = True
    silent.say(m.Ack(context="a", seq=sent - 1, played_pts=sent * 480 - 480))
    world.run(1.0)
    assert len([each for each in silent.got if isinstance(each, Sent)]) > sent


def test_an_ack_from_the_future_is_a_named_error():
    phone = speaking()
    phone.say(m.Ack(context="c0", seq=99_999))
    phone.site.world.run(0.1)
    error = next(each for each in phone.got if isinstance(each, m.ErrorMessage))
    assert error.code == "client.invalid_field"
    assert error.details["field"] == "seq"


def test_the_log_of_a_client_that_acknowledges_stays_small():
    phone = Phone(site())
    phone.say(m.Start(context="a", seed=1))
    phone.say(m.Text(context="a", text=" ".join(SENTENCES * 10)))
    phone.say(m.End(context="a"))
    for _ in range(50):
        phone.site.world.run(0.5)
        assert phone.site.sessions.find(phone.session).resumable.log.bytes < 48_000 * 2
