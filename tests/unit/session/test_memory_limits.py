"""What one session and one account may hold in memory, and for how long; on virtual time."""

from __future__ import annotations

import sys

import pytest

from support.core_harness import CoreHarness
from voxwire_protocol import messages as m
from voxwire_server.session.message_handler import FLUSHES_WAITING_MAX
from voxwire_server.session.quotas import ClientIdentity, MemoryAccounts, Use, text_bytes
from voxwire_server.session.settings import PlayoutPolicy, SessionSettings

SENTENCE = "The birch canoe slid on the smooth planks, and it went on. "
BURST = m.PacingRequest(mode="burst")


def errors(harness: CoreHarness) -> list[str]:
    return [error.code for error in harness.of(m.ErrorMessage)]


def ready_seconds(harness: CoreHarness, name: str) -> float:
    return harness.core._contexts.by_name[name].playout.unsent_seconds()


# -- text -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["a", "ā", "字", "😀", "naïve" * 50, "字" * 1000, "a" * 999 + "😀"])
def test_characters_are_counted_as_they_lie_in_memory(text):
    width = 4 if max(text) > "\uffff" else 2 if max(text) > "\xff" else 1
    assert text_bytes(text) == width * len(text)
    assert abs(sys.getsizeof(text) - text_bytes(text)) < 100


def test_text_beyond_the_sessions_bound_is_refused_and_taken_again_once_there_is_room():
    harness = CoreHarness(settings=SessionSettings(session_bytes_max=200_000, contexts_max=8))
    wide = "字" * 20_000
    for number in range(4):
        harness.send(m.Start(context=f"c{number}"))
        harness.send(m.Hold(context=f"c{number}"))
        harness.send(m.Text(context=f"c{number}", text=wide))
        harness.send(m.Text(context=f"c{number}", text=wide))
    assert set(errors(harness)) == {"client.text_buffer_full"}
    refused = harness.last(m.ErrorMessage)
    assert refused.retry_after_ms
    assert refused.details["session_bytes_max"] == 200_000
    assert harness.core.memory.held_bytes <= 200_000 + 3 * 20_000 * 8
    before = len(errors(harness))
    for number in range(3):
        harness.send(m.Cancel(context=f"c{number}"))
    harness.send(m.Text(context="c3", text=SENTENCE))
    assert len(errors(harness)) == before


def test_flushes_that_wait_in_one_context_are_bounded():
    harness = CoreHarness(settings=SessionSettings(messages_per_second=1e9, messages_burst=1e9, bad_messages_max=1e9))
    harness.send(m.Start(context="c"))
    harness.send(m.Hold(context="c"))
    for _ in range(FLUSHES_WAITING_MAX + 10):
        harness.send(m.Text(context="c", text="Yes. ", flush=True))
    refused = harness.of(m.ErrorMessage)
    assert [error.code for error in refused] == ["client.text_buffer_full"] * 10
    assert refused[0].retryable
    harness.send(m.Flush(context="c"))
    assert len(harness.of(m.ErrorMessage)) == 11


def test_flushes_of_a_held_context_are_bounded_by_memory():
    harness = CoreHarness(settings=SessionSettings(session_bytes_max=50_000))
    harness.send(m.Start())
    harness.send(m.Hold())
    harness.text(SENTENCE)
    for _ in range(1000):
        harness.send(m.Flush())
    assert 0 < errors(harness).count("client.text_buffer_full") < 1000
    assert harness.core.memory.held_bytes < 150_000


def test_memory_is_released_when_a_session_ends():
    memory_accounts = MemoryAccounts(1 << 30)
    harness = CoreHarness(memory_accounts=memory_accounts)
    for number in range(3):
        harness.send(m.Start(context=f"c{number}"))
        harness.send(m.Hold(context=f"c{number}"))
        harness.send(m.Text(context=f"c{number}", text=SENTENCE * 20))
    assert memory_accounts.bytes == harness.core.memory.held_bytes > 3 * len(SENTENCE) * 20
    harness.send(m.Cancel(context="c1"))
    assert memory_accounts.bytes == harness.core.memory.held_bytes
    harness.core.disconnected()
    assert memory_accounts.bytes == harness.core.memory.held_bytes == 0


def test_a_session_whose_audio_was_heard_holds_only_its_text():
    harness = CoreHarness()
    harness.text(SENTENCE * 3, flush=True)
    harness.run(60)
    assert harness.core.memory.held_bytes < 2 * len(SENTENCE) * 3 + 200


# -- audio ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pacing", [BURST, m.PacingRequest(mode="realtime")])
def test_a_held_context_makes_a_few_seconds_of_audio_and_no_more(pacing):
    harness = CoreHarness(settings=SessionSettings(hold_seconds=1e6))
    harness.send(m.Start(pacing=pacing))
    harness.send(m.Hold())
    harness.text(SENTENCE * 100)
    harness.run(200)
    longest = max(len(text) for text in harness.spoken) / 15
    assert PlayoutPolicy().ahead <= ready_seconds(harness, "0") <= PlayoutPolicy().ahead + longest
    harness.send(m.Release())
    harness.run(3)
    assert harness.frames


def test_over_the_bound_audio_is_made_as_it_is_sent_and_is_heard_to_the_end():
    settings = SessionSettings(session_bytes_max=500_000, hold_seconds=1e6)
    harness = CoreHarness(settings=settings)
    for number in range(8):
        harness.send(m.Start(context=f"held-{number}", pacing=BURST))
        harness.send(m.Hold(context=f"held-{number}"))
        harness.send(m.Text(context=f"held-{number}", text=SENTENCE * 40))
    harness.run(10)
    assert harness.core.memory.held_bytes > settings.session_bytes_max
    assert harness.core.memory.held_bytes < settings.session_bytes_max + 8 * 600_000
    speaking = m.Start(context="heard")
    harness.send(speaking)
    harness.run(1)
    for number in range(8):
        harness.send(m.Cancel(context=f"held-{number}"))
    harness.send(m.Text(context="heard", text=SENTENCE * 3))
    harness.send(m.End(context="heard"))
    harness.run(60)
    assert [done.reason for done in harness.of(m.Done) if done.context == "heard"] == [m.DoneReason.COMPLETED]


def test_a_listener_of_a_frugal_session_hears_everything():
    harness = CoreHarness(settings=SessionSettings(session_bytes_max=150_000))
    harness.send(m.Start(pacing=BURST))
    harness.text(SENTENCE * 60)
    harness.send(m.End())
    harness.run(1)
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED


# -- accounts -------------------------------------------------------------------------------------------------------


def test_small_sessions_of_an_account_over_its_bound_go_on():
    memory_accounts = MemoryAccounts(100_000)
    account = ClientIdentity("alice")
    greedy = CoreHarness(name="greedy", identity=account, memory_accounts=memory_accounts)
    modest = CoreHarness(name="modest", identity=account, memory_accounts=memory_accounts)
    other = CoreHarness(name="other", identity=ClientIdentity("bob"), memory_accounts=memory_accounts)
    for number in range(10):
        greedy.send(m.Start(context=f"c{number}"))
        greedy.send(m.Hold(context=f"c{number}"))
        greedy.send(m.Text(context=f"c{number}", text="字" * 20_000))
    assert memory_accounts.of("alice") > 100_000
    assert "client.text_buffer_full" in errors(greedy)
    for harness in (modest, other):
        harness.text(SENTENCE)
        harness.send(m.End())
        harness.run(10)
        assert harness.last(m.Done).reason is m.DoneReason.COMPLETED


# -- hold -----------------------------------------------------------------------------------------------------------


def test_a_context_that_is_held_too_long_ends_and_says_what_was_heard():
    harness = CoreHarness(settings=SessionSettings(hold_seconds=30.0))
    harness.text(SENTENCE * 4)
    harness.run(2)
    harness.send(m.Hold())
    harness.run(29.5)
    assert not errors(harness)
    harness.run(1)
    assert errors(harness) == ["client.hold_expired"]
    assert harness.last(m.ErrorMessage).context == "0"
    cancelled, done = harness.last(m.Cancelled), harness.last(m.Done)
    assert cancelled.heard.pts > 0
    assert cancelled.heard.text + cancelled.unheard.text == SENTENCE * 4
    assert done.reason is m.DoneReason.CANCELLED
    assert harness.sent.index(cancelled) < harness.sent.index(done)
    assert harness.core.memory.held_bytes == 0
    harness.text("Something else.", flush=True)
    harness.run(5)
    assert harness.last(m.Flushed)


def test_a_hold_that_is_released_in_time_loses_nothing():
    harness = CoreHarness(settings=SessionSettings(hold_seconds=30.0))
    harness.text(SENTENCE)
    harness.send(m.End())
    for _ in range(3):
        harness.send(m.Hold())
        harness.run(29)
        harness.send(m.Release())
        harness.run(0.2)
    harness.run(60)
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED


def test_the_hold_of_a_client_that_is_away_ends_too():
    harness = CoreHarness(settings=SessionSettings(hold_seconds=5.0, resume_window_ms=30_000))
    harness.text(SENTENCE)
    harness.send(m.Hold())
    harness.apply(harness.core.detached(harness.now))
    harness.run(6)
    assert errors(harness) == ["client.hold_expired"]


# -- use ---------------------------------------------------------------------------------------


def test_use_follows_what_the_client_does():
    harness = CoreHarness(settings=SessionSettings(resume_window_ms=30_000))
    assert harness.core.use == (Use.SILENT, harness.now)
    assert not harness.core.worth_resuming
    harness.send(m.Ping(t=1))
    assert harness.core.use == (Use.IDLE, harness.now)
    assert not harness.core.worth_resuming
    harness.text(SENTENCE)
    harness.send(m.End())
    assert harness.core.use[0] is Use.LIVE
    assert harness.core.worth_resuming
    began = harness.now
    harness.run(100)
    use, since = harness.core.use
    assert use is Use.IDLE
    assert began + 2 < since < harness.now - 80, "since it was heard to its end"
    harness.apply(harness.core.detached(harness.now))
    assert harness.core.use == (Use.AWAY, harness.now)


# -- lexicons -------------------------------------------------------------------------------------------------------


def test_a_lexicon_is_counted_for_as_long_as_its_context_is_open():
    harness = CoreHarness()
    harness.send(m.Start(context="c", lexicon={f"word{i}": "字" * 100 for i in range(100)}))
    held = harness.core.memory.held_bytes
    assert 100 * 200 < held < 1 << 20
    harness.send(m.Text(context="c", text=SENTENCE))
    assert harness.core.memory.held_bytes > held
    harness.send(m.Cancel(context="c"))
    assert harness.core.memory.held_bytes == 0


def test_a_lexicon_beyond_the_sessions_bound_is_refused():
    harness = CoreHarness(settings=SessionSettings(session_bytes_max=100_000))
    harness.send(m.Start(context="c", lexicon={f"word{i}": "字" * 100 for i in range(100)}))
    assert errors(harness) == ["client.text_buffer_full"]
    assert not harness.of(m.Started)


@pytest.mark.parametrize(("word", "said"), [(" ", "a"), ("a", " "), ("a", m.Pronunciation(ipa="a/b"))])
def test_an_entry_that_can_not_be_used_opens_nothing(word, said):
    harness = CoreHarness()
    harness.send(m.Start(context="c", lexicon={"good": "a", word: said}))
    error = harness.last(m.ErrorMessage)
    assert (error.code, error.details["field"]) == ("client.invalid_field", f"lexicon.{word}")
    assert not harness.of(m.Started)


def test_an_unknown_lexicon_opens_nothing():
    harness = CoreHarness()
    harness.send(m.Start(context="c", lexicons=("streets",)))
    error = harness.last(m.ErrorMessage)
    assert (error.code, error.details["field"]) == ("client.invalid_field", "lexicons")
    assert not harness.of(m.Started)
