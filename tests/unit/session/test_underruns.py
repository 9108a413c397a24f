"""A listener who runs dry is counted when it happens, once, and only where the server is to blame."""

from __future__ import annotations

import pytest

from support.core_harness import Desk
from support.session_sim import Client, Sent, World
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.session import effects as fx
from voxwire_server.session.settings import SessionSettings

SENTENCES = "Hello there. This is the second sentence, and it is a long one. Here comes a third for good measure. "
LEAD_SECONDS = 0.5


def began(desk: Desk) -> int:
    return sum(isinstance(each, fx.UnderrunBegan) for each in desk.effects)


def ended(desk: Desk) -> list[float]:
    """From which moment on each gap lasted that is over."""
    return [each.since for each in desk.effects if isinstance(each, fx.UnderrunEnded)]


def warnings(desk: Desk) -> list[str]:
    return [each.message for each in desk.of(m.WarningMessage) if each.code == "underrun"]


def freeze(desk: Desk, seconds: float) -> None:
    """The loop stands still: time passes and nothing is called."""
    desk.now += seconds


def listening(desk: Desk, seconds: float = 0.3) -> float:
    """Speak all of the text at once and listen for a while; when all that was sent will have been heard."""
    began_at = desk.now
    desk.text(SENTENCES)
    desk.send(m.End())
    desk.run(seconds)
    assert desk.frames
    frame = desk.last(m.Started).audio
    return began_at + len(desk.frames) * frame.frame_samples / frame.sample_rate


@pytest.mark.parametrize("codec", ["pcm_s16le", "mulaw"])
def test_a_loop_that_froze_with_frames_ready_let_its_listener_run_dry(codec):
    desk = Desk()
    desk.send(m.Start(audio=m.AudioRequest(codec=codec, sample_rate=24000 if codec == "pcm_s16le" else 8000)))
    dry_at = listening(desk)
    freeze(desk, 2.0)
    desk.apply(desk.core.tick(desk.now))
    assert began(desk) == 1
    assert ended(desk) == [pytest.approx(dry_at)]
    assert warnings(desk) == [f"the listener ran dry for {(desk.now - dry_at) * 1000:.0f} ms"]
    desk.run(60)
    assert began(desk) == 1
    assert desk.last(m.Done).reason is m.DoneReason.COMPLETED


def test_a_freeze_shorter_than_the_lead_is_not_heard():
    desk = Desk()
    listening(desk)
    freeze(desk, LEAD_SECONDS - 0.25)
    desk.run(60)
    assert began(desk) == 0


def test_a_frozen_loop_shows_whatever_is_called_first_afterwards():
    facts = (
        lambda desk: desk.send(m.Ping(t=1)),
        lambda desk: desk.send(m.Hold()),
        lambda desk: desk.send(m.Cancel()),
        lambda desk: desk.apply(desk.core.writable(False, desk.now)),
        lambda desk: desk.apply(desk.core.detached(desk.now)),
    )
    for fact in facts:
        desk = Desk()
        listening(desk)
        freeze(desk, 2.0)
        fact(desk)
        if not desk.core.closed:
            desk.run(1)
        assert began(desk) == 1
        assert len(ended(desk)) == 1


def test_a_frozen_loop_that_cut_no_clause_in_time_is_counted():
    desk = Desk(auto=False)
    desk.text(SENTENCES * 3)
    desk.speak_next()
    desk.run(0.1)
    while desk.pending:
        desk.speak_next()
    assert desk.core.next_due(desk.now) < desk.now + 10
    freeze(desk, 30.0)
    desk.apply(desk.core.tick(desk.now))
    # What was ready leaves at once; what should have been spoken meanwhile was never asked for.
    assert began(desk) == 1
    desk.run(20)
    assert began(desk) == 2


def test_synthesis_that_is_late_is_counted_when_the_listener_runs_dry_and_measured_when_it_comes():
    desk = Desk(auto=False)
    desk.text(SENTENCES)
    desk.speak_next()
    desk.run(5)
    assert began(desk) == 1
    assert ended(desk) == []
    assert not warnings(desk)
    began_at = desk.now
    desk.speak_next()
    assert len(ended(desk)) == 1
    assert 3 < began_at - ended(desk)[0] < 5
    assert len(warnings(desk)) == 1
    assert began(desk) == 1


def test_the_core_asks_to_be_woken_when_a_listener_would_run_dry():
    desk = Desk(auto=False)
    desk.text(SENTENCES)
    desk.speak_next()
    while not began(desk):
        due = desk.core.next_due(desk.now)
        assert due < desk.now + 3, "woken by the heartbeat at the latest"
        desk.now = max(desk.now + 1e-4, due)
        desk.apply(desk.core.tick(desk.now))
    frame = desk.last(m.Started).audio
    heard_out_at = 1000.0 + len(desk.frames) * frame.frame_samples / frame.sample_rate
    assert desk.now == pytest.approx(heard_out_at, abs=0.03)


def test_synthesis_that_never_ends_is_one_underrun_that_ends_with_its_context():
    desk = Desk(auto=False)
    desk.text(SENTENCES)
    desk.speak_next()
    desk.run(60)
    assert began(desk) == 1
    assert ended(desk) == []
    desk.send(m.Cancel())
    assert len(ended(desk)) == 1
    kinds = [type(each) for each in desk.sent if isinstance(each, m.WarningMessage | m.Cancelled | m.Done)]
    assert kinds == [m.WarningMessage, m.Cancelled, m.Done]


def test_a_clause_that_fails_ends_the_underrun_that_waited_for_it():
    desk = Desk(auto=False)
    desk.text(SENTENCES)
    desk.speak_next()
    desk.run(5)
    desk.apply(desk.core.failed(desk.pending[0].serial, VoxwireError(ErrorCode.CLAUSE_FAILED, "nan"), desk.now))
    desk.run(1)
    assert (began(desk), len(ended(desk))) == (1, 1)


def test_a_session_that_ends_while_its_listener_is_dry_ends_the_underrun():
    for end in (lambda core: core.disconnected(), lambda core: core.fail(VoxwireError(ErrorCode.INTERNAL, "x"))):
        desk = Desk(auto=False)
        desk.text(SENTENCES)
        desk.speak_next()
        desk.run(5)
        desk.apply(end(desk.core))
        assert (began(desk), len(ended(desk))) == (1, 1)


def test_one_gap_is_counted_once_though_it_is_held_in_its_middle():
    desk = Desk(auto=False)
    desk.text(SENTENCES)
    desk.speak_next()
    desk.run(5)
    desk.send(m.Hold())
    assert len(ended(desk)) == 1
    desk.run(5)
    desk.send(m.Release())
    released_at = desk.now
    desk.run(5)
    desk.speak_next()
    assert began(desk) == 1
    assert ended(desk)[1] == pytest.approx(released_at, abs=0.05)


# -- what is not the server's fault -------------------------------------------------------------------------------


def test_text_that_comes_late_is_no_underrun_however_long_its_synthesis_takes():
    desk = Desk(auto=False)
    desk.text("Hello there. ")
    desk.run(1)
    desk.speak_next()
    desk.run(10)
    desk.text("And now the rest. ")
    desk.run(10)
    desk.speak_next()
    desk.send(m.End())
    desk.run(10)
    assert began(desk) == 0


def test_a_word_that_is_not_whole_yet_is_no_underrun():
    for last in (m.Text(text="tion."), m.End(), m.Flush()):
        desk = Desk()
        desk.text("Hello there. And here is my ques")
        desk.run(20)
        desk.send(last)
        desk.run(20)
        assert began(desk) == 0


def test_nothing_is_counted_while_held():
    desk = Desk()
    listening(desk)
    desk.send(m.Hold())
    desk.run(10)
    desk.send(m.Release())
    desk.run(60)
    assert began(desk) == 0


def test_nothing_is_counted_while_the_socket_is_full():
    desk = Desk()
    listening(desk)
    desk.apply(desk.core.writable(False, desk.now))
    for _ in range(5):
        desk.run(2)
        desk.send(m.Ping(t=1))
    desk.apply(desk.core.writable(True, desk.now))
    desk.run(60)
    assert began(desk) == 0
    assert desk.last(m.Done).reason is m.DoneReason.COMPLETED


def test_nothing_is_counted_while_a_client_that_acknowledges_stops_to():
    desk = Desk()
    listening(desk)
    desk.send(m.Ack(context="0", seq=0, played_pts=0))
    desk.run(20)
    frames = len(desk.frames)
    desk.run(5)
    assert len(desk.frames) == frames, "the acks starve it"
    desk.send(m.Ack(context="0", seq=frames - 1, played_pts=desk.frames[-1].pts))
    desk.run(60)
    assert began(desk) == 0
    assert len(desk.frames) > frames


def test_nothing_is_counted_while_the_client_is_away():
    desk = Desk(settings=SessionSettings(resume_window_ms=60_000))
    listening(desk)
    desk.apply(desk.core.detached(desk.now))
    desk.run(20)
    desk.apply(desk.core.attached(desk.now))
    desk.run(60)
    assert began(desk) == 0


def test_a_listener_without_a_lead_is_not_counted_dry_between_frames():
    desk = Desk()
    desk.send(m.Start(pacing=m.PacingRequest(lead_ms=0)))
    desk.text(SENTENCES)
    desk.send(m.End())
    while not desk.of(m.Done):
        desk.run(0.009)
        desk.now += 0.01  # the ticker's grid
        desk.apply(desk.core.tick(desk.now))
    assert began(desk) == 0


def test_bulk_is_no_listener():
    desk = Desk(auto=False)
    desk.send(m.Start(priority="bulk"))
    desk.text(SENTENCES)
    desk.speak_next()
    desk.run(30)
    assert began(desk) == 0


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
