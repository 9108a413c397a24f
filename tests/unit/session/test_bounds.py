"""What one session and one account may hold in memory, and for how long: on virtual time."""

from __future__ import annotations

import sys

import pytest

from support.core_harness import Desk
from voxwire_protocol import messages as m
from voxwire_server.session.message_handler import FLUSHES_WAITING_MAX
from voxwire_server.session.quotas import ClientIdentity, Ledger, Use, text_bytes
from voxwire_server.session.settings import PlayoutPolicy, SessionSettings

SENTENCE = "The birch canoe slid on the smooth planks, and it went on. "
BURST = m.PacingRequest(mode="burst")


def errors(desk: Desk) -> list[str]:
    return [error.code for error in desk.of(m.ErrorMessage)]


def ready_seconds(desk: Desk, name: str) -> float:
    return desk.core._contexts.by_name[name].playout.unsent_seconds()


# -- text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a", "é", "ā", "字", "😀", "naïve" * 50, "字" * 1000, "a" * 999 + "😀"])
def test_characters_are_counted_as_they_lie_in_memory(text):
    width = 4 if max(text) > "\uffff" else 2 if max(text) > "\xff" else 1
    assert text_bytes(text) == width * len(text)
    assert abs(sys.getsizeof(text) - text_bytes(text)) < 100


def test_text_beyond_the_sessions_bound_is_refused_and_taken_again_once_there_is_room():
    desk = Desk(settings=SessionSettings(session_bytes_max=200_000, contexts_max=8))
    wide = "字" * 20_000
    for number in range(4):
        desk.send(m.Start(context=f"c{number}"))
        desk.send(m.Hold(context=f"c{number}"))
        desk.send(m.Text(context=f"c{number}", text=wide))
        desk.send(m.Text(context=f"c{number}", text=wide))
    assert set(errors(desk)) == {"client.text_buffer_full"}
    refused = desk.last(m.ErrorMessage)
    assert refused.retry_after_ms
    assert refused.details["session_bytes_max"] == 200_000
    assert desk.core.memory.held_bytes <= 200_000 + 3 * 20_000 * 8
    before = len(errors(desk))
    for number in range(3):
        desk.send(m.Cancel(context=f"c{number}"))
    desk.send(m.Text(context="c3", text=SENTENCE))
    assert len(errors(desk)) == before


def test_so_many_flushes_of_one_context_wait_and_no_more():
    desk = Desk(settings=SessionSettings(messages_per_second=1e9, messages_burst=1e9, bad_messages_max=1e9))
    desk.send(m.Start(context="c"))
    desk.send(m.Hold(context="c"))
    for _ in range(FLUSHES_WAITING_MAX + 10):
        desk.send(m.Text(context="c", text="Yes. ", flush=True))
    refused = desk.of(m.ErrorMessage)
    assert [error.code for error in refused] == ["client.text_buffer_full"] * 10
    assert refused[0].retryable
    desk.send(m.Flush(context="c"))
    assert len(desk.of(m.ErrorMessage)) == 11


def test_flushes_of_a_held_context_are_bounded_too():
    desk = Desk(settings=SessionSettings(session_bytes_max=50_000))
    desk.send(m.Start())
    desk.send(m.Hold())
    desk.text(SENTENCE)
    for _ in range(1000):
        desk.send(m.Flush())
    assert 0 < errors(desk).count("client.text_buffer_full") < 1000
    assert desk.core.memory.held_bytes < 150_000


def test_what_a_session_held_is_gone_when_it_ends():
    ledger = Ledger(1 << 30)
    desk = Desk(ledger=ledger)
    for number in range(3):
        desk.send(m.Start(context=f"c{number}"))
        desk.send(m.Hold(context=f"c{number}"))
        desk.send(m.Text(context=f"c{number}", text=SENTENCE * 20))
    assert ledger.bytes == desk.core.memory.held_bytes > 3 * len(SENTENCE) * 20
    desk.send(m.Cancel(context="c1"))
    assert ledger.bytes == desk.core.memory.held_bytes
    desk.core.disconnected()
    assert ledger.bytes == desk.core.memory.held_bytes == 0


def test_a_session_that_was_heard_holds_its_text_alone():
    desk = Desk()
    desk.text(SENTENCE * 3, flush=True)
    desk.run(60)
    assert desk.core.memory.held_bytes < 2 * len(SENTENCE) * 3 + 200


# -- audio ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pacing", [BURST, m.PacingRequest(mode="realtime")])
def test_a_held_context_makes_a_few_seconds_of_audio_and_no_more(pacing):
    desk = Desk(settings=SessionSettings(hold_seconds=1e6))
    desk.send(m.Start(pacing=pacing))
    desk.send(m.Hold())
    desk.text(SENTENCE * 100)
    desk.run(200)
    longest = max(len(text) for text in desk.spoken) / 15
    assert PlayoutPolicy().ahead <= ready_seconds(desk, "0") <= PlayoutPolicy().ahead + longest
    desk.send(m.Release())
    desk.run(3)
    assert desk.frames


def test_over_the_bound_audio_is_made_as_it_is_sent_and_is_heard_to_the_end():
    settings = SessionSettings(session_bytes_max=500_000, hold_seconds=1e6)
    desk = Desk(settings=settings)
    for number in range(8):
        desk.send(m.Start(context=f"held-{number}", pacing=BURST))
        desk.send(m.Hold(context=f"held-{number}"))
        desk.send(m.Text(context=f"held-{number}", text=SENTENCE * 40))
    desk.run(10)
    assert desk.core.memory.held_bytes > settings.session_bytes_max
    assert desk.core.memory.held_bytes < settings.session_bytes_max + 8 * 600_000
    speaking = m.Start(context="heard")
    desk.send(speaking)
    desk.run(1)
    for number in range(8):
        desk.send(m.Cancel(context=f"held-{number}"))
    desk.send(m.Text(context="heard", text=SENTENCE * 3))
    desk.send(m.End(context="heard"))
    desk.run(60)
    assert [done.reason for done in desk.of(m.Done) if done.context == "heard"] == [m.DoneReason.COMPLETED]


def test_a_listener_of_a_frugal_session_hears_everything():
    desk = Desk(settings=SessionSettings(session_bytes_max=150_000))
    desk.send(m.Start(pacing=BURST))
    desk.text(SENTENCE * 60)
    desk.send(m.End())
    desk.run(1)
    assert desk.last(m.Done).reason is m.DoneReason.COMPLETED


# -- accounts -------------------------------------------------------------------------------------------------------


def test_of_an_account_that_holds_too_much_those_that_hold_little_go_on():
    ledger = Ledger(100_000)
    account = ClientIdentity("alice")
    greedy = Desk(name="greedy", identity=account, ledger=ledger)
    modest = Desk(name="modest", identity=account, ledger=ledger)
    other = Desk(name="other", identity=ClientIdentity("bob"), ledger=ledger)
    for number in range(10):
        greedy.send(m.Start(context=f"c{number}"))
        greedy.send(m.Hold(context=f"c{number}"))
        greedy.send(m.Text(context=f"c{number}", text="字" * 20_000))
    assert ledger.of("alice") > 100_000
    assert "client.text_buffer_full" in errors(greedy)
    for desk in (modest, other):
        desk.text(SENTENCE)
        desk.send(m.End())
        desk.run(10)
        assert desk.last(m.Done).reason is m.DoneReason.COMPLETED


# -- hold -----------------------------------------------------------------------------------------------------------


def test_a_context_that_is_held_too_long_ends_and_says_what_was_heard():
    desk = Desk(settings=SessionSettings(hold_seconds=30.0))
    desk.text(SENTENCE * 4)
    desk.run(2)
    desk.send(m.Hold())
    desk.run(29.5)
    assert not errors(desk)
    desk.run(1)
    assert errors(desk) == ["client.hold_expired"]
    assert desk.last(m.ErrorMessage).context == "0"
    cancelled, done = desk.last(m.Cancelled), desk.last(m.Done)
    assert cancelled.heard.pts > 0
    assert cancelled.heard.text + cancelled.unheard.text == SENTENCE * 4
    assert done.reason is m.DoneReason.CANCELLED
    assert desk.sent.index(cancelled) < desk.sent.index(done)
    assert desk.core.memory.held_bytes == 0
    desk.text("Something else.", flush=True)
    desk.run(5)
    assert desk.last(m.Flushed)


def test_a_hold_that_is_let_go_in_time_costs_nothing():
    desk = Desk(settings=SessionSettings(hold_seconds=30.0))
    desk.text(SENTENCE)
    desk.send(m.End())
    for _ in range(3):
        desk.send(m.Hold())
        desk.run(29)
        desk.send(m.Release())
        desk.run(0.2)
    desk.run(60)
    assert desk.last(m.Done).reason is m.DoneReason.COMPLETED


def test_the_hold_of_a_client_that_is_away_ends_too():
    desk = Desk(settings=SessionSettings(hold_seconds=5.0, resume_window_ms=30_000))
    desk.text(SENTENCE)
    desk.send(m.Hold())
    desk.apply(desk.core.detached(desk.now))
    desk.run(6)
    assert errors(desk) == ["client.hold_expired"]


# -- what a place is used for ---------------------------------------------------------------------------------------


def test_what_a_place_is_used_for():
    desk = Desk(settings=SessionSettings(resume_window_ms=30_000))
    assert desk.core.use == (Use.SILENT, desk.now)
    assert not desk.core.worth_resuming
    desk.send(m.Ping(t=1))
    assert desk.core.use == (Use.IDLE, desk.now)
    assert not desk.core.worth_resuming
    desk.text(SENTENCE)
    desk.send(m.End())
    assert desk.core.use[0] is Use.LIVE
    assert desk.core.worth_resuming
    began = desk.now
    desk.run(100)
    use, since = desk.core.use
    assert use is Use.IDLE
    assert began + 2 < since < desk.now - 80, "since it was heard to its end"
    desk.apply(desk.core.detached(desk.now))
    assert desk.core.use == (Use.AWAY, desk.now)
