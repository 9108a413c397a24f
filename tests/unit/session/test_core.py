"""The session core by hand: one fact at a time, no clock, no I/O."""

from __future__ import annotations

import numpy as np
import pytest

from support.core_harness import SAMPLES_PER_CHAR, Desk, FakeDirectory, Frame
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.session import effects as fx
from voxwire_server.session.settings import PlayoutPolicy, SessionSettings

SENTENCES = "Hello there. This is a longer sentence that follows the first. And one more to end with. "


def test_ready_comes_first():
    desk = Desk()
    assert isinstance(desk.sent[0], m.Ready)


def test_a_text_that_is_ended_is_spoken_whole_and_done():
    desk = Desk()
    desk.text(SENTENCES)
    desk.send(m.End())
    desk.run(60)
    done = desk.last(m.Done)
    assert done.reason is m.DoneReason.COMPLETED
    assert "".join(desk.spoken).replace(" ", "") == SENTENCES.replace(" ", "")
    assert done.chars == len(SENTENCES)
    assert done.frames == len(desk.frames)
    assert done.samples == sum(map(len, desk.spoken)) * SAMPLES_PER_CHAR
    assert not desk.pipelines


def test_sequence_numbers_and_pts_have_no_gap():
    desk = Desk()
    desk.text(SENTENCES)
    desk.send(m.End())
    desk.run(60)
    assert [f.seq for f in desk.frames] == list(range(len(desk.frames)))
    assert [f.pts for f in desk.frames] == [480 * i for i in range(len(desk.frames))]
    assert desk.frames[0].flags == 1
    assert desk.frames[-1].flags == 2
    assert all(f.flags == 0 for f in desk.frames[1:-1])


def test_the_first_clause_is_asked_for_as_soon_as_it_is_certain():
    desk = Desk(auto=False)
    desk.text("Hello there.")
    assert not desk.pending
    desk.text(" And")
    assert [each.spec.clause.text for each in desk.pending] == ["Hello there."]
    assert desk.pending[0].spec.first
    assert desk.pending[0].spec.deadline == desk.now


def test_sending_runs_ahead_by_the_lead_and_no_more():
    desk = Desk()
    desk.send(m.Start(pacing=m.PacingRequest(lead_ms=400)))
    desk.text(SENTENCES)
    desk.send(m.End())
    start = desk.now
    assert len(desk.frames) == 20
    desk.run(1.0)
    played = (desk.now - start) / 0.02
    assert played + 20 - 10 <= len(desk.frames) <= played + 20


def test_the_answer_to_an_end_after_a_flush_follows_the_last_frame():
    desk = Desk()
    desk.send(m.Start(pacing=m.PacingRequest(lead_ms=10_000)))
    desk.text("Hello there, this one sentence takes much longer to hear than speech is made ahead. ")
    desk.send(m.Flush(id="f"))
    desk.send(m.End())
    # More is left to hear than the policy's `ahead`: no clause would be cut now.
    assert len(desk.frames) * 0.02 > PlayoutPolicy().ahead + 1
    assert desk.last(m.Flushed).id == "f"
    assert desk.last(m.Done).frames == len(desk.frames)


def test_burst_sends_as_it_comes():
    desk = Desk()
    desk.send(m.Start(pacing=m.PacingRequest(mode="burst")))
    desk.text(SENTENCES)
    desk.send(m.End())
    assert desk.last(m.Done).frames == len(desk.frames)


def test_clause_and_timing_come_before_their_audio():
    desk = Desk()
    desk.text(SENTENCES)
    desk.send(m.End())
    desk.run(60)
    sent_pts = 0
    for each in desk.sent:
        if isinstance(each, Frame):
            sent_pts = each.pts + 480
        if isinstance(each, m.ClauseStarted):
            assert each.pts >= sent_pts - 480
        if isinstance(each, m.Timing):
            assert all(word.pts >= sent_pts - 480 for word in each.words)
            assert all(SENTENCES[slice(*word.chars)] == word.text for word in each.words)
    assert len(desk.of(m.ClauseStarted)) == len(desk.spoken)


def test_nothing_is_sent_after_barge_in():
    desk = Desk()
    desk.text(SENTENCES)
    desk.run(0.5)
    desk.send(m.Cancel())
    cancelled = desk.last(m.Cancelled)
    assert cancelled.sent_seq == desk.frames[-1].seq
    assert isinstance(desk.sent[-1], m.Done)
    assert desk.sent[-1].reason is m.DoneReason.CANCELLED
    count = len(desk.sent)
    desk.run(20)
    assert len(desk.sent) == count


def test_heard_follows_the_clients_word_and_never_claims_unsent_text():
    desk = Desk()
    desk.text(SENTENCES)
    desk.run(0.1)
    desk.send(m.Cancel(played_pts=6 * SAMPLES_PER_CHAR))
    cancelled = desk.last(m.Cancelled)
    assert cancelled.heard.text == "Hello"
    assert cancelled.heard.text + cancelled.unheard.text == SENTENCES
    desk = Desk()
    desk.text(SENTENCES)
    desk.send(m.Cancel(played_pts=10**9))
    heard = desk.last(m.Cancelled).heard
    assert heard.pts == len(desk.frames) * 480
    assert len(heard.text) <= heard.pts / SAMPLES_PER_CHAR + 1


def test_heard_falls_back_to_the_newest_ack_and_then_to_the_clock():
    desk = Desk()
    desk.text(SENTENCES)
    desk.send(m.Ack(seq=3, played_pts=6 * SAMPLES_PER_CHAR))
    desk.run(0.2)
    desk.send(m.Cancel())
    assert desk.last(m.Cancelled).heard.text == "Hello"
    desk = Desk()
    desk.text(SENTENCES)
    desk.run(0.45)
    desk.send(m.Cancel())
    assert desk.last(m.Cancelled).heard.pts == pytest.approx(0.45 * 24000, abs=2)
    assert desk.last(m.Cancelled).heard.word == "there."


def test_a_name_is_free_again_after_cancel():
    desk = Desk()
    desk.text(SENTENCES)
    desk.send(m.Cancel())
    desk.text("Yes. ", flush=True)
    numbers = [s.number for s in desk.of(m.Started)]
    assert len(set(numbers)) == 2
    assert desk.frames[-1].number == numbers[1]


def test_late_audio_of_a_cancelled_context_is_dropped():
    desk = Desk(auto=False)
    desk.text(SENTENCES)
    serial, path = desk.pending[0].serial, desk.pipelines[desk.pending[0].serial]
    pieces = path.push(0, np.ones(48000, np.float32), finished=True, ends_utterance=False)
    desk.send(m.Cancel())
    desk.apply(desk.core.produced(serial, 0, pieces, desk.now))
    assert not desk.frames


def test_flushed_follows_the_last_frame_and_names_it():
    desk = Desk()
    desk.text("Hello there")
    desk.send(m.Flush(id="f1"))
    desk.text("And again")
    desk.send(m.Flush(id="f2"))
    desk.run(10)
    first, second = desk.of(m.Flushed)
    assert (first.id, second.id) == ("f1", "f2")
    for flushed in (first, second):
        before = [each for each in desk.sent[: desk.sent.index(flushed)] if isinstance(each, Frame)]
        assert before[-1].seq == flushed.seq
        assert before[-1].flags & 2


def test_a_flush_with_nothing_before_it_is_answered():
    desk = Desk()
    desk.send(m.Start())
    desk.send(m.Flush(id="x"))
    assert desk.last(m.Flushed) == m.Flushed(context="0", id="x", seq=None)


def test_text_that_can_not_be_spoken_ends_with_a_reason():
    desk = Desk()
    desk.text("🙂 🙂")
    desk.send(m.End())
    assert desk.last(m.Done).reason is m.DoneReason.NO_SPEAKABLE_TEXT


def test_an_ended_context_without_text_is_completed():
    desk = Desk()
    desk.send(m.Start())
    desk.send(m.End())
    assert desk.last(m.Done).reason is m.DoneReason.COMPLETED


def test_a_resent_text_is_acknowledged_again_and_not_spoken_again():
    desk = Desk()
    desk.text("Hello there. ", seq=0)
    desk.text("Hello there. ", seq=0)
    desk.text("Good bye. ", seq=1)
    desk.send(m.End())
    desk.run(30)
    assert [a.text_seq for a in desk.of(m.Accepted)] == [0, 0, 1]
    assert "".join(desk.spoken).count("Hello") == 1


def test_a_gap_in_texts_is_named():
    desk = Desk()
    desk.text("a ", seq=0)
    desk.text("c ", seq=2)
    error = desk.last(m.ErrorMessage)
    assert error.code == "client.text_gap"
    assert error.details == {"expected": 1, "seq": 2}


def test_hold_stops_frames_and_release_goes_on_without_loss():
    desk = Desk()
    desk.text(SENTENCES)
    desk.send(m.End())
    desk.run(0.3)
    desk.send(m.Hold())
    count = len(desk.frames)
    desk.run(5)
    assert len(desk.frames) == count
    desk.send(m.Release())
    desk.run(60)
    assert [f.seq for f in desk.frames] == list(range(len(desk.frames)))
    assert desk.last(m.Done).reason is m.DoneReason.COMPLETED
    assert not [w for w in desk.of(m.WarningMessage) if w.code == "underrun"]


def test_a_cancel_while_held_reports_what_was_heard_when_it_was_held():
    desk = Desk()
    desk.text(SENTENCES)
    desk.run(0.4)
    desk.send(m.Hold())
    desk.run(3)
    desk.send(m.Cancel())
    assert desk.last(m.Cancelled).heard.pts == pytest.approx(0.4 * 24000, abs=2)


def test_retract_drops_what_is_not_yet_being_spoken():
    desk = Desk(auto=False)
    desk.text("Hello there. I was about to say nonsense. ")
    desk.send(m.Retract(from_char=13))
    assert desk.last(m.Accepted).chars == 13
    desk.text("Good bye.")
    desk.send(m.End())
    while desk.pending:
        desk.speak_next()
        desk.run(4)
    assert [t.strip() for t in desk.spoken] == ["Hello there.", "Good bye."]


def test_retract_of_what_is_being_spoken_keeps_it():
    desk = Desk(auto=False)
    desk.text("Hello there. I")
    desk.send(m.Retract(from_char=0))
    assert desk.last(m.Accepted).chars >= 12


def test_words_are_not_cut_when_the_model_thinks():
    desk = Desk()
    desk.text("Hello there. The answer to your ques")
    desk.run(30)
    desk.text("tion is forty two.")
    desk.send(m.End())
    desk.run(60)
    assert " ".join("".join(desk.spoken).split()) != ""
    words = " ".join(desk.spoken).split()
    assert words == ["Hello", "there.", "The", "answer", "to", "your", "question", "is", "forty", "two."]


def test_a_listener_about_to_run_dry_gets_what_there_is():
    desk = Desk()
    desk.text("Hello there. The answer to your question which I thought about")
    desk.run(10)
    assert "The answer" in " ".join(desk.spoken)
    assert "about" not in " ".join(desk.spoken)


def test_unspoken_text_is_bounded_and_nothing_else_is_lost():
    desk = Desk(auto=False, settings=SessionSettings(text_chars_max=100, unspoken_chars_max=150))
    desk.text("word " * 30)
    assert desk.last(m.ErrorMessage).code == "client.text_too_long"
    desk.text("word " * 20)
    desk.text("word " * 20)
    error = desk.last(m.ErrorMessage)
    assert error.code == "client.text_buffer_full"
    assert error.retryable


def test_contexts_are_bounded():
    desk = Desk(settings=SessionSettings(contexts_max=2))
    for name in "abc":
        desk.send(m.Start(context=name))
    assert len(desk.of(m.Started)) == 2
    assert desk.last(m.ErrorMessage).code == "client.too_many_contexts"
    assert desk.last(m.ErrorMessage).context == "c"


def test_refused_admission_opens_nothing():
    refusal = VoxwireError(ErrorCode.ENGINE_OVERLOADED, "full", retry_after_ms=700)
    desk = Desk(directory=FakeDirectory(refusal))
    desk.text("Hello there. ")
    error = desk.last(m.ErrorMessage)
    assert (error.code, error.retry_after_ms) == ("system.engine_overloaded", 700)
    assert desk.core.contexts_open == 0
    assert not desk.pending


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (m.Flush(context="nope"), "client.unknown_context"),
        (m.End(context="nope"), "client.unknown_context"),
        (m.Cancel(context="nope"), "client.unknown_context"),
        (m.Start(context="0"), "client.context_exists"),
        (m.Start(context="v", voice="nobody"), "client.unknown_voice"),
        (m.Start(context="v", audio=m.AudioRequest(codec="opus", sample_rate=44100)), "client.unsupported_audio"),
        (m.Start(context="v", audio=m.AudioRequest(sample_rate=22050, frame_ms=10)), "client.unsupported_audio"),
        (m.Configure(audio=m.BitrateRequest(bitrate=16000)), "client.unsupported_audio"),
        (m.Ack(seq=10**6), "client.invalid_field"),
        (m.Ack(played_pts=10**9), "client.invalid_field"),
    ],
)
def test_a_mistake_is_named_and_disturbs_nothing(message, code):
    desk = Desk()
    desk.text(SENTENCES)
    desk.send(message)
    assert desk.last(m.ErrorMessage).code == code
    desk.send(m.End())
    desk.run(60)
    assert desk.last(m.Done).reason is m.DoneReason.COMPLETED


def test_text_after_end_is_refused():
    desk = Desk()
    desk.text(SENTENCES)
    desk.send(m.End())
    desk.text("more")
    assert desk.last(m.ErrorMessage).code == "client.context_ended"


def test_too_many_mistakes_close_the_session():
    desk = Desk()
    for _ in range(200):
        desk.send(m.End(context="nope"))
    assert desk.closed == (1008, "client.abuse")


def test_resume_is_answered():
    desk = Desk()
    desk.send(m.Resume(session="x", token="y"))
    assert desk.last(m.ResumeFailed).reason == "not_supported"


def test_state_is_told_at_every_heartbeat():
    desk = Desk()
    desk.send(m.Start())
    desk.run(16)
    assert [s.contexts for s in desk.of(m.State)] == [{"0": m.ContextState.WAITING_FOR_TEXT}] * 3


def test_a_failing_clause_ends_its_context_with_a_reason_and_no_other():
    desk = Desk(auto=False)
    desk.send(m.Start(context="a"))
    desk.send(m.Start(context="b"))
    desk.text(SENTENCES, context="a")
    desk.text(SENTENCES, context="b")
    desk.send(m.End(context="b"))
    serial = desk.pending[0].serial
    desk.apply(desk.core.failed(serial, VoxwireError(ErrorCode.CLAUSE_FAILED, "nan"), desk.now))
    assert desk.last(m.ErrorMessage).context == "a"
    assert desk.last(m.Done) == m.Done(
        context="a",
        reason=m.DoneReason.ERROR,
        frames=0,
        samples=0,
        chars=len(SENTENCES),
        timings=m.PipelineTimes(synth_ms=0.0),
    )
    while desk.pending:
        desk.speak_next()
        desk.run(5)
    desk.run(20)
    assert desk.last(m.Done).context == "b"
    assert desk.last(m.Done).reason is m.DoneReason.COMPLETED


def test_audio_that_was_ready_before_a_failure_is_still_heard():
    desk = Desk(auto=False)
    desk.text(SENTENCES)
    desk.speak_next()
    desk.run(0.6)
    assert desk.pending
    desk.apply(desk.core.failed(desk.pending[0].serial, VoxwireError(ErrorCode.CLAUSE_FAILED, "nan"), desk.now))
    desk.run(10)
    assert desk.frames[-1].flags & 2
    assert desk.last(m.Done).reason is m.DoneReason.ERROR
    assert desk.last(m.Done).frames == len(desk.frames)


def test_an_underrun_of_the_servers_making_is_told():
    desk = Desk(auto=False)
    desk.text(SENTENCES)
    desk.speak_next()
    desk.run(5)
    desk.speak_next()
    assert [w.code for w in desk.of(m.WarningMessage)] == ["underrun"]
    assert [e for e in desk.effects if isinstance(e, fx.UnderrunBegan)]


def test_silence_of_the_models_making_is_no_underrun():
    desk = Desk()
    desk.text("Hello there. ")
    desk.run(10)
    desk.text("And now the rest. ")
    desk.run(10)
    assert not desk.of(m.WarningMessage)


def test_frames_wait_while_the_socket_is_full():
    desk = Desk()
    desk.text(SENTENCES)
    desk.apply(desk.core.writable(False, desk.now))
    count = len(desk.frames)
    desk.run(3)
    assert len(desk.frames) == count
    desk.apply(desk.core.writable(True, desk.now))
    assert len(desk.frames) > count


def test_generation_stops_when_nothing_is_taken():
    desk = Desk()
    desk.send(m.Start(pacing=m.PacingRequest(mode="burst")))
    desk.apply(desk.core.writable(False, desk.now))
    for _ in range(40):
        desk.text(SENTENCES)
    desk.run(60)
    assert sum(map(len, desk.spoken)) * SAMPLES_PER_CHAR / 24000 < 60


def test_draining_finishes_speech_and_takes_no_new_context():
    desk = Desk()
    desk.text(SENTENCES)
    desk.send(m.End())
    desk.apply(desk.core.drain(30_000, desk.now))
    desk.send(m.Start(context="new"))
    assert desk.last(m.ErrorMessage).code == "server.draining"
    desk.run(29)
    assert desk.last(m.Done).reason is m.DoneReason.COMPLETED
    assert desk.closed[0] == 1012


def test_draining_ends_at_its_deadline():
    desk = Desk()
    desk.text("word " * 2000)
    desk.apply(desk.core.drain(3_000, desk.now))
    desk.run(4)
    assert desk.closed[0] == 1012
    assert not desk.pipelines


def test_draining_does_not_wait_long_for_a_client_that_is_away():
    desk = Desk(settings=SessionSettings(resume_window_ms=30_000))
    desk.text("word " * 2000)
    desk.send(m.End())
    desk.apply(desk.core.detached(desk.now))
    desk.run(1)
    desk.apply(desk.core.drain(30_000, desk.now))
    desk.run(3)
    assert not desk.core.closed
    desk.run(2)
    assert desk.core.closed
    assert not desk.pipelines


def test_draining_waits_for_a_client_that_comes_back():
    desk = Desk(settings=SessionSettings(resume_window_ms=30_000))
    desk.text(SENTENCES)
    desk.send(m.End())
    desk.apply(desk.core.drain(30_000, desk.now))
    desk.apply(desk.core.detached(desk.now))
    desk.run(4)
    desk.apply(desk.core.attached(desk.now))
    desk.run(25)
    assert desk.last(m.Done).reason is m.DoneReason.COMPLETED
    assert desk.closed[0] == 1012


def test_an_idle_session_is_closed():
    desk = Desk()
    desk.run(601)
    assert desk.closed == (1000, "client.idle")


def test_a_client_that_vanishes_leaves_nothing():
    desk = Desk(auto=False)
    desk.text(SENTENCES)
    desk.apply(desk.core.disconnected())
    assert not desk.pending
    assert not desk.pipelines
    joined = sum(isinstance(e, fx.StreamStarted) for e in desk.effects)
    left = sum(isinstance(e, fx.StreamEnded) for e in desk.effects)
    assert joined == left


def test_a_flood_is_slowed_down_not_lost():
    desk = Desk(settings=SessionSettings(messages_per_second=10, messages_burst=5))
    for i in range(10):
        desk.send(m.Ping(t=i))
    assert len(desk.of(m.Pong)) == 10
    assert desk.core.read_delay() == pytest.approx(0.5)


def test_text_left_without_an_end_is_spoken_after_a_long_while():
    desk = Desk()
    desk.text("Hello there")
    desk.run(119)
    assert desk.spoken == []
    desk.run(2)
    assert desk.spoken == ["Hello there"]
    assert desk.last(m.WarningMessage).code == "text_idle"
