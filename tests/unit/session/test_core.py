"""The session core, driven by hand: one call at a time, no clock, no I/O."""

from __future__ import annotations

import numpy as np
import pytest

from support.core_harness import SAMPLES_PER_CHAR, CoreHarness, FakeDirectory, Frame
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.session import effects as fx
from voxwire_server.session.settings import PlayoutPolicy, SessionSettings

SENTENCES = "Hello there. This is a longer sentence that follows the first. And one more to end with. "


def test_ready_comes_first():
    harness = CoreHarness()
    assert isinstance(harness.sent[0], m.Ready)


def test_a_text_that_is_ended_is_spoken_whole_and_done():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.send(m.End())
    harness.run(60)
    done = harness.last(m.Done)
    assert done.reason is m.DoneReason.COMPLETED
    assert "".join(harness.spoken).replace(" ", "") == SENTENCES.replace(" ", "")
    assert done.chars == len(SENTENCES)
    assert done.frames == len(harness.frames)
    assert done.samples == sum(map(len, harness.spoken)) * SAMPLES_PER_CHAR
    assert not harness.pipelines


def test_sequence_numbers_and_pts_have_no_gap():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.send(m.End())
    harness.run(60)
    assert [f.seq for f in harness.frames] == list(range(len(harness.frames)))
    assert [f.pts for f in harness.frames] == [480 * i for i in range(len(harness.frames))]
    assert harness.frames[0].flags == 1
    assert harness.frames[-1].flags == 2
    assert all(f.flags == 0 for f in harness.frames[1:-1])


def test_the_first_clause_is_asked_for_as_soon_as_it_is_certain():
    harness = CoreHarness(auto=False)
    harness.text("Hello there.")
    assert not harness.pending
    harness.text(" And")
    assert [each.spec.clause.text for each in harness.pending] == ["Hello there."]
    assert harness.pending[0].spec.first
    assert harness.pending[0].spec.deadline == harness.now


def test_sending_runs_ahead_by_the_lead_and_no_more():
    harness = CoreHarness()
    harness.send(m.Start(pacing=m.PacingRequest(lead_ms=400)))
    harness.text(SENTENCES)
    harness.send(m.End())
    start = harness.now
    assert len(harness.frames) == 20
    harness.run(1.0)
    played = (harness.now - start) / 0.02
    assert played + 20 - 10 <= len(harness.frames) <= played + 20


def test_the_answer_to_an_end_after_a_flush_follows_the_last_frame():
    harness = CoreHarness()
    harness.send(m.Start(pacing=m.PacingRequest(lead_ms=10_000)))
    harness.text("Hello there, this one sentence takes much longer to hear than speech is made ahead. ")
    harness.send(m.Flush(id="f"))
    harness.send(m.End())
    # More is left to hear than the policy's `ahead`: no clause would be cut now.
    assert len(harness.frames) * 0.02 > PlayoutPolicy().ahead + 1
    assert harness.last(m.Flushed).id == "f"
    assert harness.last(m.Done).frames == len(harness.frames)


def test_burst_pacing_sends_audio_as_soon_as_it_is_made():
    harness = CoreHarness()
    harness.send(m.Start(pacing=m.PacingRequest(mode="burst")))
    harness.text(SENTENCES)
    harness.send(m.End())
    assert harness.last(m.Done).frames == len(harness.frames)


def test_clause_and_timing_come_before_their_audio():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.send(m.End())
    harness.run(60)
    sent_pts = 0
    for each in harness.sent:
        if isinstance(each, Frame):
            sent_pts = each.pts + 480
        if isinstance(each, m.ClauseStarted):
            assert each.pts >= sent_pts - 480
        if isinstance(each, m.Timing):
            assert all(word.pts >= sent_pts - 480 for word in each.words)
            assert all(SENTENCES[slice(*word.chars)] == word.text for word in each.words)
    assert len(harness.of(m.ClauseStarted)) == len(harness.spoken)


def test_nothing_is_sent_after_barge_in():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.run(0.5)
    harness.send(m.Cancel())
    cancelled = harness.last(m.Cancelled)
    assert cancelled.sent_seq == harness.frames[-1].seq
    assert isinstance(harness.sent[-1], m.Done)
    assert harness.sent[-1].reason is m.DoneReason.CANCELLED
    count = len(harness.sent)
    harness.run(20)
    assert len(harness.sent) == count


def test_heard_follows_the_clients_word_and_never_claims_unsent_text():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.run(0.1)
    harness.send(m.Cancel(played_pts=6 * SAMPLES_PER_CHAR))
    cancelled = harness.last(m.Cancelled)
    assert cancelled.heard.text == "Hello"
    assert cancelled.heard.text + cancelled.unheard.text == SENTENCES
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.send(m.Cancel(played_pts=10**9))
    heard = harness.last(m.Cancelled).heard
    assert heard.pts == len(harness.frames) * 480
    assert len(heard.text) <= heard.pts / SAMPLES_PER_CHAR + 1


def test_heard_falls_back_to_the_newest_ack_and_then_to_the_clock():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.send(m.Ack(seq=3, played_pts=6 * SAMPLES_PER_CHAR))
    harness.run(0.2)
    harness.send(m.Cancel())
    assert harness.last(m.Cancelled).heard.text == "Hello"
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.run(0.45)
    harness.send(m.Cancel())
    assert harness.last(m.Cancelled).heard.pts == pytest.approx(0.45 * 24000, abs=2)
    assert harness.last(m.Cancelled).heard.word == "there."


def test_a_name_is_free_again_after_cancel():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.send(m.Cancel())
    harness.text("Yes. ", flush=True)
    numbers = [s.number for s in harness.of(m.Started)]
    assert len(set(numbers)) == 2
    assert harness.frames[-1].number == numbers[1]


def test_late_audio_of_a_cancelled_context_is_dropped():
    harness = CoreHarness(auto=False)
    harness.text(SENTENCES)
    serial, pipeline = harness.pending[0].serial, harness.pipelines[harness.pending[0].serial]
    chunks = pipeline.push(0, np.ones(48000, np.float32), finished=True, ends_utterance=False)
    harness.send(m.Cancel())
    harness.apply(harness.core.produced(serial, 0, chunks, harness.now))
    assert not harness.frames


def test_flushed_follows_the_last_frame_and_names_it():
    harness = CoreHarness()
    harness.text("Hello there")
    harness.send(m.Flush(id="f1"))
    harness.text("And again")
    harness.send(m.Flush(id="f2"))
    harness.run(10)
    first, second = harness.of(m.Flushed)
    assert (first.id, second.id) == ("f1", "f2")
    for flushed in (first, second):
        before = [each for each in harness.sent[: harness.sent.index(flushed)] if isinstance(each, Frame)]
        assert before[-1].seq == flushed.seq
        assert before[-1].flags & 2


def test_a_flush_with_nothing_before_it_is_answered():
    harness = CoreHarness()
    harness.send(m.Start())
    harness.send(m.Flush(id="x"))
    assert harness.last(m.Flushed) == m.Flushed(context="0", id="x", seq=None)


def test_text_that_can_not_be_spoken_ends_with_a_reason():
    harness = CoreHarness()
    harness.text("🙂 🙂")
    harness.send(m.End())
    assert harness.last(m.Done).reason is m.DoneReason.NO_SPEAKABLE_TEXT


def test_an_ended_context_without_text_is_completed():
    harness = CoreHarness()
    harness.send(m.Start())
    harness.send(m.End())
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED


def test_a_resent_text_is_acknowledged_again_and_not_spoken_again():
    harness = CoreHarness()
    harness.text("Hello there. ", seq=0)
    harness.text("Hello there. ", seq=0)
    harness.text("Good bye. ", seq=1)
    harness.send(m.End())
    harness.run(30)
    assert [a.text_seq for a in harness.of(m.Accepted)] == [0, 0, 1]
    assert "".join(harness.spoken).count("Hello") == 1


def test_a_gap_in_texts_is_named():
    harness = CoreHarness()
    harness.text("a ", seq=0)
    harness.text("c ", seq=2)
    error = harness.last(m.ErrorMessage)
    assert error.code == "client.text_gap"
    assert error.details == {"expected": 1, "seq": 2}


def test_hold_stops_frames_and_release_goes_on_without_loss():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.send(m.End())
    harness.run(0.3)
    harness.send(m.Hold())
    count = len(harness.frames)
    harness.run(5)
    assert len(harness.frames) == count
    harness.send(m.Release())
    harness.run(60)
    assert [f.seq for f in harness.frames] == list(range(len(harness.frames)))
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED
    assert not [w for w in harness.of(m.WarningMessage) if w.code == "underrun"]


def test_a_cancel_while_held_reports_what_was_heard_when_it_was_held():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.run(0.4)
    harness.send(m.Hold())
    harness.run(3)
    harness.send(m.Cancel())
    assert harness.last(m.Cancelled).heard.pts == pytest.approx(0.4 * 24000, abs=2)


def test_retract_drops_what_is_not_yet_being_spoken():
    harness = CoreHarness(auto=False)
    harness.text("Hello there. I was about to say nonsense. ")
    harness.send(m.Retract(from_char=13))
    assert harness.last(m.Accepted).chars == 13
    harness.text("Good bye.")
    harness.send(m.End())
    while harness.pending:
        harness.speak_next()
        harness.run(4)
    assert [t.strip() for t in harness.spoken] == ["Hello there.", "Good bye."]


def test_retract_of_what_is_being_spoken_keeps_it():
    harness = CoreHarness(auto=False)
    harness.text("Hello there. I")
    harness.send(m.Retract(from_char=0))
    assert harness.last(m.Accepted).chars >= 12


def test_words_are_not_cut_when_the_model_thinks():
    harness = CoreHarness()
    harness.text("Hello there. The answer to your ques")
    harness.run(30)
    harness.text("tion is forty two.")
    harness.send(m.End())
    harness.run(60)
    assert " ".join("".join(harness.spoken).split()) != ""
    words = " ".join(harness.spoken).split()
    assert words == ["Hello", "there.", "The", "answer", "to", "your", "question", "is", "forty", "two."]


def test_a_listener_about_to_run_dry_gets_what_there_is():
    harness = CoreHarness()
    harness.text("Hello there. The answer to your question which I thought about")
    harness.run(10)
    assert "The answer" in " ".join(harness.spoken)
    assert "about" not in " ".join(harness.spoken)


def test_unspoken_text_is_bounded_and_nothing_else_is_lost():
    harness = CoreHarness(auto=False, settings=SessionSettings(text_chars_max=100, unspoken_chars_max=150))
    harness.text("word " * 30)
    assert harness.last(m.ErrorMessage).code == "client.text_too_long"
    harness.text("word " * 20)
    harness.text("word " * 20)
    error = harness.last(m.ErrorMessage)
    assert error.code == "client.text_buffer_full"
    assert error.retryable


def test_contexts_are_bounded():
    harness = CoreHarness(settings=SessionSettings(contexts_max=2))
    for name in "abc":
        harness.send(m.Start(context=name))
    assert len(harness.of(m.Started)) == 2
    assert harness.last(m.ErrorMessage).code == "client.too_many_contexts"
    assert harness.last(m.ErrorMessage).context == "c"


def test_refused_admission_opens_nothing():
    refusal = VoxwireError(ErrorCode.ENGINE_OVERLOADED, "full", retry_after_ms=700)
    harness = CoreHarness(directory=FakeDirectory(refusal))
    harness.text("Hello there. ")
    error = harness.last(m.ErrorMessage)
    assert (error.code, error.retry_after_ms) == ("system.engine_overloaded", 700)
    assert harness.core.contexts_open == 0
    assert not harness.pending


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
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.send(message)
    assert harness.last(m.ErrorMessage).code == code
    harness.send(m.End())
    harness.run(60)
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED


def test_text_after_end_is_refused():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.send(m.End())
    harness.text("more")
    assert harness.last(m.ErrorMessage).code == "client.context_ended"


def test_too_many_mistakes_close_the_session():
    harness = CoreHarness()
    for _ in range(200):
        harness.send(m.End(context="nope"))
    assert harness.closed == (1008, "client.abuse")


def test_resume_is_answered():
    harness = CoreHarness()
    harness.send(m.Resume(session="x", token="y"))
    assert harness.last(m.ResumeFailed).reason == "not_supported"


def test_state_is_sent_at_every_heartbeat():
    harness = CoreHarness()
    harness.send(m.Start())
    harness.run(16)
    assert [s.contexts for s in harness.of(m.State)] == [{"0": m.ContextState.WAITING_FOR_TEXT}] * 3


def test_a_failing_clause_ends_its_context_with_a_reason_and_no_other():
    harness = CoreHarness(auto=False)
    harness.send(m.Start(context="a"))
    harness.send(m.Start(context="b"))
    harness.text(SENTENCES, context="a")
    harness.text(SENTENCES, context="b")
    harness.send(m.End(context="b"))
    serial = harness.pending[0].serial
    harness.apply(harness.core.failed(serial, VoxwireError(ErrorCode.CLAUSE_FAILED, "nan"), harness.now))
    assert harness.last(m.ErrorMessage).context == "a"
    assert harness.last(m.Done) == m.Done(
        context="a",
        reason=m.DoneReason.ERROR,
        frames=0,
        samples=0,
        chars=len(SENTENCES),
        timings=m.PipelineTimes(synth_ms=0.0),
    )
    while harness.pending:
        harness.speak_next()
        harness.run(5)
    harness.run(20)
    assert harness.last(m.Done).context == "b"
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED


def test_audio_that_was_ready_before_a_failure_is_still_heard():
    harness = CoreHarness(auto=False)
    harness.text(SENTENCES)
    harness.speak_next()
    harness.run(0.6)
    assert harness.pending
    harness.apply(
        harness.core.failed(harness.pending[0].serial, VoxwireError(ErrorCode.CLAUSE_FAILED, "nan"), harness.now)
    )
    harness.run(10)
    assert harness.frames[-1].flags & 2
    assert harness.last(m.Done).reason is m.DoneReason.ERROR
    assert harness.last(m.Done).frames == len(harness.frames)


def test_an_underrun_that_the_server_caused_is_reported():
    harness = CoreHarness(auto=False)
    harness.text(SENTENCES)
    harness.speak_next()
    harness.run(5)
    harness.speak_next()
    assert [w.code for w in harness.of(m.WarningMessage)] == ["underrun"]
    assert [e for e in harness.effects if isinstance(e, fx.UnderrunBegan)]


def test_a_pause_in_the_text_is_no_underrun():
    harness = CoreHarness()
    harness.text("Hello there. ")
    harness.run(10)
    harness.text("And now the rest. ")
    harness.run(10)
    assert not harness.of(m.WarningMessage)


def test_frames_wait_while_the_socket_is_full():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.apply(harness.core.writable(False, harness.now))
    count = len(harness.frames)
    harness.run(3)
    assert len(harness.frames) == count
    harness.apply(harness.core.writable(True, harness.now))
    assert len(harness.frames) > count


def test_generation_stops_while_the_socket_is_full():
    harness = CoreHarness()
    harness.send(m.Start(pacing=m.PacingRequest(mode="burst")))
    harness.apply(harness.core.writable(False, harness.now))
    for _ in range(40):
        harness.text(SENTENCES)
    harness.run(60)
    assert sum(map(len, harness.spoken)) * SAMPLES_PER_CHAR / 24000 < 60


def test_draining_finishes_speech_and_takes_no_new_context():
    harness = CoreHarness()
    harness.text(SENTENCES)
    harness.send(m.End())
    harness.apply(harness.core.drain(30_000, harness.now))
    harness.send(m.Start(context="new"))
    assert harness.last(m.ErrorMessage).code == "server.draining"
    harness.run(29)
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED
    assert harness.closed[0] == 1012


def test_draining_ends_at_its_deadline():
    harness = CoreHarness()
    harness.text("word " * 2000)
    harness.apply(harness.core.drain(3_000, harness.now))
    harness.run(4)
    assert harness.closed[0] == 1012
    assert not harness.pipelines


def test_draining_does_not_wait_long_for_a_client_that_is_away():
    harness = CoreHarness(settings=SessionSettings(resume_window_ms=30_000))
    harness.text("word " * 2000)
    harness.send(m.End())
    harness.apply(harness.core.detached(harness.now))
    harness.run(1)
    harness.apply(harness.core.drain(30_000, harness.now))
    harness.run(3)
    assert not harness.core.closed
    harness.run(2)
    assert harness.core.closed
    assert not harness.pipelines


def test_draining_waits_for_a_client_that_comes_back():
    harness = CoreHarness(settings=SessionSettings(resume_window_ms=30_000))
    harness.text(SENTENCES)
    harness.send(m.End())
    harness.apply(harness.core.drain(30_000, harness.now))
    harness.apply(harness.core.detached(harness.now))
    harness.run(4)
    harness.apply(harness.core.attached(harness.now))
    harness.run(25)
    assert harness.last(m.Done).reason is m.DoneReason.COMPLETED
    assert harness.closed[0] == 1012


def test_an_idle_session_is_closed():
    harness = CoreHarness()
    harness.run(601)
    assert harness.closed == (1000, "client.idle")


def test_a_client_that_vanishes_leaves_nothing():
    harness = CoreHarness(auto=False)
    harness.text(SENTENCES)
    harness.apply(harness.core.disconnected())
    assert not harness.pending
    assert not harness.pipelines
    joined = sum(isinstance(e, fx.StreamStarted) for e in harness.effects)
    left = sum(isinstance(e, fx.StreamEnded) for e in harness.effects)
    assert joined == left


def test_a_flood_is_slowed_down_not_lost():
    harness = CoreHarness(settings=SessionSettings(messages_per_second=10, messages_burst=5))
    for i in range(10):
        harness.send(m.Ping(t=i))
    assert len(harness.of(m.Pong)) == 10
    assert harness.core.read_delay() == pytest.approx(0.5)


def test_text_left_without_an_end_is_spoken_after_a_long_while():
    harness = CoreHarness()
    harness.text("Hello there")
    harness.run(119)
    assert harness.spoken == []
    harness.run(2)
    assert harness.spoken == ["Hello there"]
    assert harness.last(m.WarningMessage).code == "text_idle"
