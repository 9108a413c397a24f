"""An underrun is counted when it happens, once, and only where the server caused it."""

from __future__ import annotations

import pytest

from support.core_harness import CoreHarness
from support.session_sim import Client, Sent, World
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.session import effects as fx
from voxwire_server.session.settings import SessionSettings

SENTENCES = "Hello there. This is the second sentence, and it is a long one. Here comes a third for good measure. "
LEAD_SECONDS = 0.5


def began(harness: CoreHarness) -> int:
    return sum(isinstance(each, fx.UnderrunBegan) for each in harness.effects)


def ended(harness: CoreHarness) -> list[float]:
    """When each underrun began that is over."""
    return [each.since for each in harness.effects if isinstance(each, fx.UnderrunEnded)]


def warnings(harness: CoreHarness) -> list[str]:
    return [each.message for each in harness.of(m.WarningMessage) if each.code == "underrun"]


def freeze(harness: CoreHarness, seconds: float) -> None:
    """Let time pass without a call, as while the event loop is blocked."""
    harness.now += seconds


def listening(harness: CoreHarness, seconds: float = 0.3) -> float:
    """Speak all of the text at once and listen for a while. Returns when all that was sent will have been heard."""
    began_at = harness.now
    harness.text(SENTENCES)
    harness.send(m.End())
    harness.run(seconds)
    assert harness.frames
    frame = harness.last(m.Started).audio
    return began_at + len(harness.frames) * frame.frame_samples / frame.sample_rate


@pytest.mark.parametrize("codec", ["pcm_s16le", "mulaw"])
def test_a_loop_that_froze_with_frames_ready_let_its_listener_run_dry(codec):
    harness = CoreHarness()
    harness.send(m.Start(audio=m.AudioRequest(codec=codec, sample_rate=24000 if codec == "pcm_s16le" else 8000)))
    dry_at = listening(harness)
    freeze(harness, 2.0)
    harness.apply(harness.core.tick(harness.now))
    assert began(harness) == 1
    assert ended(harness) == [pytest.approx(dry_at)]
    assert warnings(harness) == [f"the listener ran dry for {(harness.now - dry_at) * 1000:.0f} ms"]
    harness.run(60)
    assert began(harness) == 1
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED


def test_a_freeze_shorter_than_the_lead_is_not_heard():
    harness = CoreHarness()
    listening(harness)
    freeze(harness, LEAD_SECONDS - 0.25)
    harness.run(60)
    assert began(harness) == 0


def test_a_frozen_loop_is_noticed_whatever_is_called_first_afterwards():
    calls = (
        lambda harness: harness.send(m.Ping(t=1)),
        lambda harness: harness.send(m.Hold()),
        lambda harness: harness.send(m.Cancel()),
        lambda harness: harness.apply(harness.core.writable(False, harness.now)),
        lambda harness: harness.apply(harness.core.detached(harness.now)),
    )
    for call in calls:
        harness = CoreHarness()
        listening(harness)
        freeze(harness, 2.0)
        call(harness)
        if not harness.core.closed:
            harness.run(1)
        assert began(harness) == 1
        assert len(ended(harness)) == 1


def test_a_frozen_loop_that_cut_no_clause_in_time_is_counted():
    harness = CoreHarness(auto=False)
    harness.text(SENTENCES * 3)
    harness.speak_next()
    harness.run(0.1)
    while harness.pending:
        harness.speak_next()
    assert harness.core.next_due(harness.now) < harness.now + 10
    freeze(harness, 30.0)
    harness.apply(harness.core.tick(harness.now))
    # What was ready leaves at once; what should have been spoken meanwhile was never asked for.
    assert began(harness) == 1
    harness.run(20)
    assert began(harness) == 2


def test_synthesis_that_is_late_is_counted_when_the_listener_runs_dry_and_measured_when_it_comes():
    harness = CoreHarness(auto=False)
    harness.text(SENTENCES)
    harness.speak_next()
    harness.run(5)
    assert began(harness) == 1
    assert ended(harness) == []
    assert not warnings(harness)
    began_at = harness.now
    harness.speak_next()
    assert len(ended(harness)) == 1
    assert 3 < began_at - ended(harness)[0] < 5
    assert len(warnings(harness)) == 1
    assert began(harness) == 1


def test_the_core_asks_to_be_woken_when_a_listener_would_run_dry():
    harness = CoreHarness(auto=False)
    harness.text(SENTENCES)
    harness.speak_next()
    while not began(harness):
        due = harness.core.next_due(harness.now)
        assert due < harness.now + 3, "woken by the heartbeat at the latest"
        harness.now = max(harness.now + 1e-4, due)
        harness.apply(harness.core.tick(harness.now))
    frame = harness.last(m.Started).audio
    heard_out_at = 1000.0 + len(harness.frames) * frame.frame_samples / frame.sample_rate
    assert harness.now == pytest.approx(heard_out_at, abs=0.03)


def test_synthesis_that_never_ends_is_one_underrun_that_ends_with_its_context():
    harness = CoreHarness(auto=False)
    harness.text(SENTENCES)
    harness.speak_next()
    harness.run(60)
    assert began(harness) == 1
    assert ended(harness) == []
    harness.send(m.Cancel())
    assert len(ended(harness)) == 1
    kinds = [type(each) for each in harness.sent if isinstance(each, m.WarningMessage | m.Cancelled | m.Done)]
    assert kinds == [m.WarningMessage, m.Cancelled, m.Done]


def test_a_clause_that_fails_ends_the_underrun_that_waited_for_it():
    harness = CoreHarness(auto=False)
    harness.text(SENTENCES)
    harness.speak_next()
    harness.run(5)
    harness.apply(
        harness.core.failed(harness.pending[0].serial, VoxwireError(ErrorCode.CLAUSE_FAILED, "nan"), harness.now)
    )
    harness.run(1)
    assert (began(harness), len(ended(harness))) == (1, 1)


def test_a_session_that_ends_while_its_listener_is_dry_ends_the_underrun():
    for end in (lambda core: core.disconnected(), lambda core: core.fail(VoxwireError(ErrorCode.INTERNAL, "x"))):
        harness = CoreHarness(auto=False)
        harness.text(SENTENCES)
        harness.speak_next()
        harness.run(5)
        harness.apply(end(harness.core))
        assert (began(harness), len(ended(harness))) == (1, 1)


def test_one_gap_is_counted_once_though_it_is_held_in_its_middle():
    harness = CoreHarness(auto=False)
    harness.text(SENTENCES)
    harness.speak_next()
    harness.run(5)
    harness.send(m.Hold())
    assert len(ended(harness)) == 1
    harness.run(5)
    harness.send(m.Release())
    released_at = harness.now
    harness.run(5)
    harness.speak_next()
    assert began(harness) == 1
    assert ended(harness)[1] == pytest.approx(released_at, abs=0.05)


# -- what is not the server's fault -------------------------------------------------------------------------------


def test_text_that_comes_late_is_no_underrun_however_long_its_synthesis_takes():
    harness = CoreHarness(auto=False)
    harness.text("Hello there. ")
    harness.run(1)
    harness.speak_next()
    harness.run(10)
    harness.text("And now the rest. ")
    harness.run(10)
    harness.speak_next()
    harness.send(m.End())
    harness.run(10)
    assert began(harness) == 0


def test_a_word_that_is_not_whole_yet_is_no_underrun():
    for last in (m.Text(text="tion."), m.End(), m.Flush()):
        harness = CoreHarness()
        harness.text("Hello there. And here is my ques")
        harness.run(20)
        harness.send(last)
        harness.run(20)
        assert began(harness) == 0


def test_nothing_is_counted_while_held():
    harness = CoreHarness()
    listening(harness)
    harness.send(m.Hold())
    harness.run(10)
    harness.send(m.Release())
    harness.run(60)
    assert began(harness) == 0


def test_nothing_is_counted_while_the_socket_is_full():
    harness = CoreHarness()
    listening(harness)
    harness.apply(harness.core.writable(False, harness.now))
    for _ in range(5):
        harness.run(2)
        harness.send(m.Ping(t=1))
    harness.apply(harness.core.writable(True, harness.now))
    harness.run(60)
    assert began(harness) == 0
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED


def test_nothing_is_counted_while_a_client_that_acknowledges_stops_to():
    harness = CoreHarness()
    listening(harness)
    harness.send(m.Ack(context="0", seq=0, played_pts=0))
    harness.run(20)
    frames = len(harness.frames)
    harness.run(5)
    assert len(harness.frames) == frames, "the acks starve it"
    harness.send(m.Ack(context="0", seq=frames - 1, played_pts=harness.frames[-1].pts))
    harness.run(60)
    assert began(harness) == 0
    assert len(harness.frames) > frames


def test_nothing_is_counted_while_the_client_is_away():
    harness = CoreHarness(settings=SessionSettings(resume_window_ms=60_000))
    listening(harness)
    harness.apply(harness.core.detached(harness.now))
    harness.run(20)
    harness.apply(harness.core.attached(harness.now))
    harness.run(60)
    assert began(harness) == 0


def test_a_listener_without_a_lead_is_not_counted_dry_between_frames():
    harness = CoreHarness()
    harness.send(m.Start(pacing=m.PacingRequest(lead_ms=0)))
    harness.text(SENTENCES)
    harness.send(m.End())
    while not harness.of(m.Done):
        harness.run(0.009)
        harness.now += 0.01  # the ticker's grid
        harness.apply(harness.core.tick(harness.now))
    assert began(harness) == 0


def test_bulk_is_no_active_stream():
    harness = CoreHarness(auto=False)
    harness.send(m.Start(priority="bulk"))
    harness.text(SENTENCES)
    harness.speak_next()
    harness.run(30)
    assert began(harness) == 0


# -- the driver ---------------------------------------------------------------------------------------------------


def test_the_length_of_a_gap_is_counted_when_it_is_over():
    world = World(step_seconds=lambda batch: 8.0)
    client = Client(world, "s")
    client.send(m.Text(text=SENTENCES))
    client.send(m.End())
    world.run(20)
    assert world.counter.dry == 1
    assert world.counter.underruns == []
    client.driver.disconnected()
    [seconds] = world.counter.underruns
    heard_seconds = len(client.of(Sent)) * 0.02
    assert seconds == pytest.approx(20 - 16 - heard_seconds, abs=0.05)


def test_opus_that_is_encoded_late_is_late_audio():
    world = World()
    client = Client(world, "s")
    client.send(m.Start(audio=m.AudioRequest(codec="opus")))
    client.send(m.Text(text=SENTENCES))
    client.send(m.End())
    world.run(0.5)
    submit, kept = world.submit, []
    world.submit = lambda task, deadline: kept.append((task, deadline))
    world.run(5)
    assert world.counter.dry == 1
    world.submit = submit
    for task, deadline in kept:
        submit(task, deadline)
    world.run(60)
    assert (world.counter.dry, len(world.counter.underruns)) == (1, 1)
    assert client.of(m.Done)
