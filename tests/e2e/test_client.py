"""The Python client against a real server."""

from __future__ import annotations

import asyncio
import queue
import threading
import wave

import pytest

from support.ports import free_port
from support.tcp_proxy import Proxy
from voxwire_client import Audio, ConnectionLost, Interrupted, Reconnected, VoxwireError, connect
from voxwire_client import sync as synchronous
from voxwire_client.playout_clock import PlayoutClock
from voxwire_client.wav import WavWriter, alaw_sample, mulaw_sample
from voxwire_protocol import messages as m

TEXT = "Hello there. This is the second sentence, and it is a bit longer than the first one was."


async def tokens(text: str = TEXT):
    for i in range(0, len(text), 4):
        yield text[i : i + 4]
        await asyncio.sleep(0)


def in_session(host, action, **options):
    async def run():
        async with connect(host.url, **options) as session:
            return await action(session)

    return asyncio.run(asyncio.wait_for(run(), 60))


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_tokens_go_in_and_frames_come_out(host, encoding):
    async def action(session):
        return [event async for event in session.speak(tokens(), voice="tone-low", pacing="burst")]

    events = in_session(host, action, encoding=encoding)
    audio = [event for event in events if isinstance(event, Audio)]
    assert isinstance(events[0], m.Started)
    assert isinstance(events[-1], m.Done)
    assert [a.seq for a in audio] == list(range(len(audio)))
    assert events[-1].frames == len(audio)
    words = [word.text for event in events if isinstance(event, m.Timing) for word in event.words]
    assert words == TEXT.split()


def test_many_utterances_share_a_connection(host):
    async def speak(session, text):
        return [event async for event in session.speak(text, voice="tone-low", pacing="burst")][-1]

    async def action(session):
        first = await speak(session, "One after another.")
        return [first, *await asyncio.gather(*(speak(session, f"At once, number {i}.") for i in range(8)))]

    assert all(done.reason is m.DoneReason.COMPLETED for done in in_session(host, action))


def test_barge_in_returns_what_was_heard(host):
    async def action(session):
        utterance = session.speak(TEXT, voice="tone-low")
        frames, report = 0, None
        async for event in utterance:
            if isinstance(event, Audio):
                frames += 1
                if frames == 45:
                    canceller = asyncio.create_task(utterance.cancel(played_pts=13 * 1440))
            if isinstance(event, m.Cancelled):
                report = event
        assert await canceller == report
        again = [event async for event in session.speak("Yes.", voice="tone-low")]
        return report, again[-1]

    report, after = in_session(host, action)
    assert report.heard.text == "Hello there."
    assert report.heard.text + report.unheard.text == TEXT
    assert after.reason is m.DoneReason.COMPLETED


def test_leaving_the_loop_stops_the_speech(host):
    async def action(session):
        async for event in session.speak(TEXT * 3, voice="tone-low"):
            if isinstance(event, Audio):
                break
        await asyncio.sleep(0.2)
        return [event async for event in session.speak("And on.", voice="tone-low", pacing="burst")][-1]

    assert in_session(host, action).reason is m.DoneReason.COMPLETED


def test_a_failing_token_source_is_reported_to_the_listener(host):
    async def broken():
        yield "Hello there. "
        raise RuntimeError("the model is gone")

    async def action(session):
        async for _ in session.speak(broken(), voice="tone-low"):
            pass

    with pytest.raises(RuntimeError, match="the model is gone"):
        in_session(host, action)


def test_errors_are_those_of_the_tree(host):
    async def action(session):
        async for _ in session.speak(TEXT, voice="nobody"):
            pass

    with pytest.raises(VoxwireError) as caught:
        in_session(host, action)
    assert caught.value.raw_code == "client.unknown_voice"
    assert "heart" in caught.value.details["voices"]
    assert caught.value.hint


def test_no_server_is_a_lost_connection():
    async def action():
        async with connect(f"ws://127.0.0.1:{free_port()}/v1/stream"):
            pass

    with pytest.raises(ConnectionLost):
        asyncio.run(action())


def test_text_can_be_written_by_hand(host):
    async def action(session):
        utterance = session.utterance(voice="tone-low", pacing="burst")
        await utterance.text("Hello ")
        await utterance.text("there", flush=True)
        await utterance.text("and bye")
        await utterance.flush("last")
        await utterance.end()
        return [event async for event in utterance]

    events = in_session(host, action)
    assert [e.id for e in events if isinstance(e, m.Flushed)] == [None, "last"]
    assert events[-1].chars == len("Hello thereand bye")


def test_hold_and_release_lose_nothing(host):
    async def action(session):
        utterance = session.speak(TEXT, voice="tone-low")
        seqs = []
        async for event in utterance:
            if isinstance(event, Audio):
                seqs.append(event.seq)
                if len(seqs) == 5:
                    await utterance.hold()
                    await asyncio.sleep(0.3)
                    await utterance.release()
        return seqs, utterance.done

    seqs, done = in_session(host, action)
    assert seqs == list(range(done.frames))


def test_the_synchronous_session_speaks_and_cancels(host):
    with synchronous.connect(host.url) as session:
        events = list(session.speak(iter(["Hel", "lo there."]), voice="tone-low", pacing="burst"))
        assert events[-1].reason is m.DoneReason.COMPLETED
        utterance = session.speak(TEXT, voice="tone-low")
        timer = threading.Timer(0.2, utterance.cancel)
        timer.start()
        assert list(utterance)[-1].reason is m.DoneReason.CANCELLED
        timer.join()


def test_a_narrow_link_gets_a_lower_bitrate_and_the_next_utterance_begins_with_it(host):
    """Opus at 32 kbit/s takes about 5.5 kB a second with its headers; the link carries 3.5."""

    async def action():
        async with Proxy(host.port) as proxy, connect(f"ws://127.0.0.1:{proxy.port}") as session:
            proxy.throttle(3500)
            bitrates = []
            for text in (TEXT, "And on."):
                utterance = session.speak(text, voice="tone-low", codec="opus", bitrate=32_000, adapt=True)
                seqs = [event.seq async for event in utterance if isinstance(event, Audio)]
                assert seqs == list(range(utterance.done.frames))
                bitrates.append(utterance.started.audio.bitrate)
            return bitrates

    first, second = asyncio.run(asyncio.wait_for(action(), 60))
    assert first == 32_000
    assert second < first


def test_the_synchronous_session_and_its_listener_survive_a_drop(host):
    async def cut_once(proxy, begun, port):
        async with proxy:
            port.put(proxy.port)
            await asyncio.to_thread(begun.wait)
            proxy.cut()
            await asyncio.to_thread(over.wait)

    port, begun, over = queue.Queue(), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(cut_once(Proxy(host.port), begun, port)))
    thread.start()
    told, frames = [], []
    try:
        with synchronous.connect(f"ws://127.0.0.1:{port.get(timeout=30)}", on_change=told.append) as session:
            for event in session.speak(TEXT, voice="tone-low"):
                if isinstance(event, Audio):
                    frames.append(event.seq)
                    begun.set()
    finally:
        begun.set()
        over.set()
        thread.join()
    assert [type(event) for event in told] == [Interrupted, Reconnected]
    assert told[1].resumed
    assert isinstance(event, m.Done)
    assert frames == list(range(event.frames))


def test_a_wav_file_has_what_was_said(host, tmp_path):
    path = tmp_path / "out.wav"

    async def action(session):
        done = None
        async for event in session.speak(TEXT, voice="tone-low", pacing="burst", codec="mulaw"):
            match event:
                case m.Started():
                    wav = WavWriter(str(path), event.audio.sample_rate, event.audio.codec)
                case Audio():
                    wav.write(event.payload)
                case m.Done():
                    done = event
        wav.close()
        return done

    done = in_session(host, action)
    with wave.open(str(path)) as file:
        assert file.getframerate() == 8000
        assert file.getnframes() == done.frames * 160
        assert len(set(file.readframes(4000))) > 10


def test_companding_is_g711s():
    assert [mulaw_sample(code) for code in (0x00, 0x80, 0xFF, 0x7F)] == [-32124, 32124, 0, 0]
    assert [alaw_sample(code) for code in (0xD5, 0x55, 0xAA, 0x2A)] == [8, -8, 32256, -32256]


def test_the_playout_clock_waits_where_audio_is_missing():
    clock = PlayoutClock(1000)
    assert clock.position(0.0) is None
    clock.received(500, 10.0)
    clock.start(10.0)
    assert clock.position(10.25) == 250
    assert clock.position(12.0) == 500
    clock.received(1500, 12.0)
    assert clock.position(12.125) == 625
    clock.pause(12.125)
    assert clock.position(20.0) == 625
    clock.resume(20.0)
    assert clock.position(20.125) == 750
    clock.played(650)
    assert clock.position(30.0) == 650
