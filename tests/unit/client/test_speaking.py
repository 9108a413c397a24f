"""A session against a scripted server: text goes out as the protocol wants it, events come in as they were said."""

from __future__ import annotations

import asyncio

import msgpack
import pytest

from support.scripted_server import FRAME_SAMPLES, LIMITS, Peer, done, play, scripted, started
from voxwire_client import (
    Audio,
    ConnectionLost,
    ErrorCode,
    VoxwireError,
    connect,
    context_lifecycle,
    resumable_connection,
    text_sender,
)
from voxwire_protocol import messages as m
from voxwire_protocol.audio import is_audio_frame
from voxwire_protocol.codec import JSON, MSGPACK
from voxwire_protocol.errors import CloseCode

WORDS = m.Timing(context="a", words=(m.WordTiming(text="Hi", chars=(0, 2), pts=0, end_pts=900),))
CLAUSE = m.ClauseStarted(context="a", chars=(0, 3), pts=0)


async def pieces(*texts):
    for text in texts:
        await asyncio.sleep(0)
        yield text


def serve_and(script, action, **options):
    """Run `action(session)` against `script(peer)`."""

    async def run():
        async with scripted(script, **options) as url, connect(url, reconnect=False) as session:
            return await action(session)

    return play(run)


async def everything(utterance, got=None):
    got = [] if got is None else got
    async for event in utterance:
        got.append(event)
    return got


@pytest.mark.parametrize(("encoding", "codec"), [("json", JSON), ("msgpack", MSGPACK)])
def test_events_come_in_the_order_in_which_they_were_sent(encoding, codec):
    async def script(peer: Peer):
        assert peer.codec is codec
        await peer.start(number=7)
        await peer.until(m.End)
        await peer.send(CLAUSE, WORDS)
        await peer.frames(7, 2)
        await peer.send(m.Flushed(context="a", id="x", seq=1), done("a", frames=2))

    async def action():
        async with scripted(script) as url, connect(url, encoding=encoding) as session:
            return await everything(session.speak("Hi.", context="a"))

    got = play(action)
    kinds = [m.Started, m.ClauseStarted, m.Timing, Audio, Audio, m.Flushed, m.Done]
    assert [type(event) for event in got] == kinds
    assert (got[4].seq, got[4].pts, got[4].end_pts) == (1, FRAME_SAMPLES, 2 * FRAME_SAMPLES)
    assert (got[4].codec, got[4].sample_rate, len(got[4].payload)) == ("pcm_s16le", 24000, 2 * FRAME_SAMPLES)


def test_options_become_a_start():
    async def script(peer: Peer):
        start = await peer.start()
        assert start == m.Start(
            context="a",
            voice="heart",
            speed=1.5,
            audio=m.AudioRequest(codec="opus", sample_rate=48000, bitrate=16000),
            timings=("word", "phoneme"),
            pacing=m.PacingRequest(mode="burst", lead_ms=100),
            seed=4,
            lexicon={"kubectl": "kube control", "Nguyen": m.Pronunciation(ipa="wɪn"), "C": m.Pronunciation(ipa="siː")},
            lexicons=("streets",),
        )
        await peer.until(m.End)
        await peer.send(done("a"))

    async def action(session):
        await everything(
            session.speak(
                "Hi.",
                context="a",
                voice="heart",
                speed=1.5,
                audio=m.AudioRequest(codec="opus", sample_rate=24000),
                sample_rate=48000,
                bitrate=16000,
                timings=["word", "phoneme"],
                pacing="burst",
                lead_ms=100,
                seed=4,
                lexicon={"kubectl": "kube control", "Nguyen": m.Pronunciation(ipa="wɪn"), "C": {"ipa": "siː"}},
                lexicons=["streets"],
            )
        )

    serve_and(script, action)


def test_texts_are_numbered_and_come_whole():
    async def script(peer: Peer):
        start = await peer.start()
        await peer.until(m.End)
        texts = [each for each in peer.received if isinstance(each, m.Text)]
        assert [(text.seq, text.text) for text in texts] == [(0, "Hel"), (1, "lo "), (2, "there.")]
        await peer.send(done(start.context))

    async def action(session):
        return await everything(session.speak(pieces("Hel", "", "lo ", None, "there.")))

    assert serve_and(script, action)[-1].reason is m.DoneReason.COMPLETED


def test_a_long_text_is_sent_in_pieces_that_the_server_takes():
    text = "".join(chr(0x41 + i % 26) for i in range(199))

    async def script(peer: Peer):
        start = await peer.start()
        await peer.until(m.End)
        texts = [each.text for each in peer.received if isinstance(each, m.Text)]
        assert "".join(texts) == text
        assert max(map(len, texts)) <= LIMITS.text_chars_max
        await peer.send(done(start.context))

    serve_and(script, lambda session: everything(session.speak(text)))


def test_text_waits_while_the_server_has_enough_and_goes_on_where_it_was_refused():
    """Of three pieces of 100 characters the third is too much: it is sent alone, and again until it is taken."""

    async def script(peer: Peer):
        start = await peer.start()
        for seq in range(2):
            text = await peer.expect(m.Text)
            assert text.seq == seq
            await peer.accept(text, 100 * (seq + 1))
        for _ in range(3):
            assert (await peer.expect(m.Text)).seq == 2
            await peer.refuse(ErrorCode.TEXT_BUFFER_FULL, start.context, retry_after_ms=1)
        last = await peer.expect(m.Text)
        assert last.seq == 2
        await peer.accept(last, 300)
        await peer.expect(m.End)
        await peer.send(done(start.context, chars=300))

    assert serve_and(script, lambda session: everything(session.speak("x" * 300)))[-1].chars == 300


def test_text_flows_freely_again_once_clauses_have_been_spoken():
    async def script(peer: Peer):
        await peer.start()
        for seq in range(2):
            await peer.expect(m.Text)
            await peer.send(m.Accepted(context="a", text_seq=seq, chars=100 * (seq + 1)))
        await peer.send(m.ClauseStarted(context="a", chars=(0, 200), pts=0))
        await peer.frames(0, 1)
        # Neither of these is acknowledged, and both come.
        await peer.expect(m.Text)
        await peer.expect(m.Text)
        await peer.send(done("a"))

    async def action(session):
        spoken = session.context(context="a")
        await spoken.text("x" * 200)
        async for event in spoken:
            if isinstance(event, Audio):
                break
        await spoken.text("y" * 200)
        return await everything(spoken)

    assert isinstance(serve_and(script, action)[-1], m.Done)


def test_text_that_was_interrupted_while_it_waited_is_not_lost():
    async def script(peer: Peer):
        await peer.start()
        text = await peer.expect(m.Text)
        await peer.accept(text, 100)
        second = await peer.expect(m.Text)
        assert (second.seq, second.text) == (1, "y" * 100)
        await peer.accept(second, 200)
        third = await peer.expect(m.Text)
        assert (third.seq, third.text) == (2, "z" * 100)
        await peer.refuse(ErrorCode.TEXT_BUFFER_FULL, "a", retry_after_ms=1)
        interrupt.set()
        again = third
        while again.seq == 2:
            await peer.accept(again, 300)
            again = await peer.expect(m.Text)
        assert (again.seq, again.text) == (3, "!")
        await peer.accept(again, 301)
        await peer.send(done("a"))

    interrupt = asyncio.Event()

    async def action(session):
        spoken = session.context(context="a")
        await spoken.text("x" * 100)
        await spoken.text("y" * 100)
        writer = asyncio.create_task(spoken.text("z" * 100))
        await interrupt.wait()
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        await spoken.text("!")
        await everything(spoken)
        return spoken.text_so_far

    assert serve_and(script, action) == "x" * 100 + "y" * 100 + "z" * 100 + "!"


def test_a_refused_start_is_raised_and_its_text_opens_nothing():
    """A text on a name that is not open opens it: what went out before the refusal is cancelled and never heard."""

    async def script(peer: Peer):
        await peer.expect(m.Start)
        await peer.expect(m.Text)
        await peer.refuse(ErrorCode.UNKNOWN_VOICE, "a", details={"voices": ["heart"]})
        await peer.send(started("a", number=3))
        await peer.frames(3, 2)
        await peer.until(m.Cancel)
        await peer.cancelled("a")
        # The pong that answers the ping behind `cancel` ends it; then the name is free.
        await peer.start(number=4)
        await peer.frames(4, 1)
        await peer.until(m.End)
        await peer.send(done("a", frames=1))

    async def action(session):
        with pytest.raises(VoxwireError) as caught:
            await everything(session.speak(pieces("Hi ", "you."), voice="nobody", context="a"))
        assert caught.value.details == {"voices": ["heart"]}
        return await everything(session.speak("Hi.", context="a"))

    assert [type(event) for event in serve_and(script, action)] == [m.Started, Audio, m.Done]


def test_little_is_sent_before_the_start_is_granted():
    async def script(peer: Peer):
        await peer.expect(m.Start)
        for seq in range(text_sender.PIPELINED_TEXTS_MAX):
            assert (await peer.expect(m.Text)).seq == seq
        reached.set()
        await seen.wait()
        await peer.send(started("a"))
        assert (await peer.expect(m.Text)).seq == text_sender.PIPELINED_TEXTS_MAX
        await peer.until(m.End)
        await peer.send(done("a"))

    reached, seen = asyncio.Event(), asyncio.Event()

    async def action(session):
        utterance = session.speak(["x"] * 40, context="a")
        listener = asyncio.create_task(everything(utterance))
        await reached.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(utterance.text_so_far) == text_sender.PIPELINED_TEXTS_MAX + 1, (
            "one piece waits, and no more are drawn"
        )
        seen.set()
        return await listener

    serve_and(script, action)


def test_an_engine_that_fails_is_raised_after_the_audio_that_was_ready():
    async def script(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.refuse(ErrorCode.CLAUSE_FAILED, "a")
        await peer.frames(0, 3)
        await peer.send(done("a", m.DoneReason.ERROR, frames=3))

    async def action(session):
        got = []
        utterance = session.speak("Hi.", context="a")
        with pytest.raises(VoxwireError) as caught:
            await everything(utterance, got)
        assert caught.value.code is ErrorCode.CLAUSE_FAILED
        assert utterance.done.reason is m.DoneReason.ERROR
        return got

    assert [type(event) for event in serve_and(script, action)] == [m.Started, Audio, Audio, Audio]


def test_text_written_by_hand_learns_that_the_engine_failed():
    async def script(peer: Peer):
        await peer.start()
        await peer.expect(m.Text)
        await peer.refuse(ErrorCode.ENGINE_FAILED, "a")
        await peer.send(done("a", m.DoneReason.ERROR))

    async def action(session):
        spoken = session.context(context="a")
        await spoken.text("Hi.")
        with pytest.raises(VoxwireError):
            await everything(spoken)
        with pytest.raises(VoxwireError) as caught:
            await spoken.text("More.")
        assert caught.value.code is ErrorCode.ENGINE_FAILED

    serve_and(script, action)


def test_messages_of_later_versions_are_ignored():
    async def script(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.socket.send(msgpack.packb({"type": "applause", "context": "a"}))
        await peer.socket.send(b"\x02new kind of binary")
        await peer.socket.send(b"")
        await peer.send(done("a"))

    assert len(serve_and(script, lambda session: everything(session.speak("Hi.", context="a")))) == 2


def test_audio_of_unknown_contexts_is_ignored():
    async def script(peer: Peer):
        await peer.start(number=1)
        await peer.frames(9, 1)
        await peer.send(m.Timing(context="other"), done("other"))
        await peer.until(m.End)
        await peer.send(done("a"))

    assert len(serve_and(script, lambda session: everything(session.speak("Hi.", context="a")))) == 2


def test_several_utterances_are_kept_apart():
    async def script(peer: Peer):
        names = {}
        for _ in range(3):
            start = await peer.until(m.Start)
            names[start.context] = len(names)
            await peer.send(started(start.context, names[start.context]))
        for seq in range(4):
            for number in names.values():
                await peer.frames(number, number + 1, first_seq=seq * (number + 1))
        for name, number in names.items():
            await peer.send(done(name, frames=4 * (number + 1)))

    async def action(session):
        return await asyncio.gather(*(everything(session.speak("Hi.", context=name)) for name in "abc"))

    for events in serve_and(script, action):
        audio = [event.seq for event in events if isinstance(event, Audio)]
        assert audio == list(range(events[-1].frames))


def test_a_slow_listener_holds_back_itself_alone(monkeypatch):
    monkeypatch.setattr(context_lifecycle, "EVENTS_HOLD", 10)
    monkeypatch.setattr(context_lifecycle, "EVENTS_RELEASE", 4)

    async def script(peer: Peer):
        await peer.start(number=0)
        await peer.frames(0, 12)
        hold = await peer.expect(m.Hold)
        assert hold.context == "slow"
        held.set()
        await peer.start(number=1)
        await peer.frames(1, 1)
        await peer.until(m.End)
        await peer.send(done("quick", frames=1))
        assert (await peer.expect(m.Release)).context == "slow"
        await peer.frames(0, 3, first_seq=12)
        await peer.send(done("slow", frames=15))

    held = asyncio.Event()

    async def action(session):
        slow = session.context(context="slow")
        await slow.open()
        await held.wait()
        assert isinstance((await everything(session.speak("Hi.", context="quick")))[-1], m.Done)
        return [event.seq async for event in slow if isinstance(event, Audio)]

    assert serve_and(script, action) == list(range(15))


def test_events_that_are_not_taken_out_are_bounded(monkeypatch):
    monkeypatch.setattr(context_lifecycle, "EVENTS_MAX", 50)

    async def script(peer: Peer):
        await peer.start()
        await peer.frames(0, 60)
        await peer.until(m.Cancel)
        await peer.cancelled("a")
        over.set()

    over = asyncio.Event()

    async def action(session):
        spoken = session.context(context="a")
        await spoken.open()
        await over.wait()
        # What was said before the pong has been taken.
        await session.ping()
        with pytest.raises(VoxwireError) as caught:
            await everything(spoken)
        assert caught.value.code is ErrorCode.SLOW_READER

    serve_and(script, action)


def test_acks_say_what_was_received_and_played(monkeypatch):
    monkeypatch.setattr(resumable_connection, "ACK_SECONDS", 0.001)

    async def script(peer: Peer):
        await peer.start()
        await peer.frames(0, 3)
        while m.Ack(context="a", seq=2, played_pts=700) not in peer.received:
            message = peer.codec.decode_client(await peer.socket.recv())
            peer.received.append(message)
        acks = [each for each in peer.received if isinstance(each, m.Ack)]
        assert len(acks) == len(set(acks)), "nothing is said twice"
        await peer.send(done("a", frames=3))

    async def action(session):
        spoken = session.context(context="a")
        async for event in spoken:
            if isinstance(event, Audio) and event.seq == 2:
                spoken.playout.played(700)

    serve_and(script, action)


def test_events_from_before_the_connection_was_lost_still_come():
    async def script(peer: Peer):
        await peer.start()
        await peer.frames(0, 2)
        await peer.refuse(ErrorCode.ABUSE)
        await peer.socket.close(CloseCode.POLICY, ErrorCode.ABUSE.value)

    async def action(session):
        got = []
        with pytest.raises(ConnectionLost) as caught:
            await everything(session.context(context="a"), got)
        assert caught.value.code == CloseCode.POLICY
        assert caught.value.error.code is ErrorCode.ABUSE
        assert not caught.value.retryable
        assert session.closed
        with pytest.raises(ConnectionLost):
            await everything(session.speak("More."))
        assert (await session.wait_closed()) is caught.value
        return got

    assert [type(event) for event in serve_and(script, action)] == [m.Started, Audio, Audio]


def test_a_restart_can_be_retried():
    async def script(peer: Peer):
        await peer.send(m.Draining(deadline_ms=1000))
        await peer.socket.close(CloseCode.RESTART, "the server is going away")

    async def action(session):
        lost = await session.wait_closed()
        assert session.draining == m.Draining(deadline_ms=1000)
        return lost

    assert serve_and(script, action).retryable


def test_a_connection_with_invalid_messages_is_closed():
    async def script(peer: Peer):
        await peer.start()
        await peer.socket.send(b"\x81\xa4type\x07")
        await peer.socket.wait_closed()
        assert peer.socket.close_code == CloseCode.INVALID_DATA

    async def action(session):
        with pytest.raises(ConnectionLost) as caught:
            await everything(session.context())
        assert caught.value.code == CloseCode.INVALID_DATA

    serve_and(script, action)


def test_a_silent_server_is_noticed():
    async def script(peer: Peer):
        await peer.start()
        await peer.silence()

    async def action(session):
        with pytest.raises(ConnectionLost, match="does not answer"):
            await everything(session.context())

    serve_and(script, action, heartbeat_ms=5)


def test_a_server_that_answers_pings_is_not_left():
    beats = []

    async def script(peer: Peer):
        start = await peer.start()
        while len(beats) < 5:
            message = peer.codec.decode_client(await peer.socket.recv())
            beats.append(message)
            await peer.send(m.Pong(t=message.t, server_ms=0))
        await peer.send(done(start.context))

    assert isinstance(serve_and(script, lambda s: everything(s.context()), heartbeat_ms=100)[-1], m.Done)


def test_closing_the_session_ends_its_utterances():
    async def script(peer: Peer):
        await peer.start()
        await peer.frames(0, 1)

    async def action(session):
        heard = asyncio.Event()

        async def listen():
            async for event in session.context():
                if isinstance(event, Audio):
                    heard.set()

        listener = asyncio.create_task(listen())
        await heard.wait()
        await session.close()
        with pytest.raises(ConnectionLost) as caught:
            await listener
        assert caught.value.code == CloseCode.NORMAL

    serve_and(script, action)


def test_a_ping_is_answered():
    async def script(peer: Peer):
        await peer.until(m.Start)

    async def action(session):
        took_ms = await session.ping()
        await session.context().open()
        return took_ms

    assert serve_and(script, action) >= 0


def test_states_are_kept():
    async def script(peer: Peer):
        await peer.start()
        await peer.send(m.State(contexts={"a": m.ContextState.SPEAKING}), done("a"))

    async def action(session):
        await everything(session.context(context="a"))
        return session.states

    assert serve_and(script, action) == {"a": m.ContextState.SPEAKING}


def test_the_time_to_first_audio_counts_from_the_first_text():
    async def script(peer: Peer):
        await peer.start()
        await peer.until(m.End)
        await peer.frames(0, 1)
        await peer.send(done("a", frames=1))

    async def action(session):
        utterance = session.speak("Hi.", context="a")
        assert utterance.ttfa_client_ms is None
        await everything(utterance)
        return utterance.ttfa_client_ms

    assert serve_and(script, action) > 0


def test_is_audio_frame_and_maps_never_collide():
    assert not is_audio_frame(b"\x81\xa4type")
    assert resumable_connection.is_map(b"\x81")
    assert resumable_connection.is_map(b"\xde\x00\x00")
    assert not resumable_connection.is_map(b"\x01")
    assert not resumable_connection.is_map(b"")
