"""Visemes of real servers: never later than their audio, with the phonemes, whatever happens on the way."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from support.harvard_sentences import SENTENCES
from support.no_timing_engine import install
from support.server import serving
from support.tcp_proxy import Proxy
from support.visemes import Mouth
from voxwire_client import Audio, Done, Flushed, Reconnected, Started, Timing, connect
from voxwire_protocol.visemes import PP, SIL, dominant
from voxwire_server.text.phoneme_visemes import visemes_of

TEXT = "Peter and Bob move five big maps. Maybe the smooth river, above the farm, has a problem."
SEED = 7
SHAPES = {
    "pcm": {},
    "8 kHz": {"codec": "mulaw"},
    "48 kHz": {"sample_rate": 48000},
    "odd rate, long frames": {"sample_rate": 22050, "frame_ms": 60},
    "opus": {"codec": "opus", "sample_rate": 16000},
    "fast": {"speed": 1.6},
    "slow": {"speed": 0.6},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """All engines, and one that gives no alignment."""
    env = install(tmp_path_factory.mktemp("plugin"))
    enabled = "engines.enabled=hibari,tone,tone-frames,mute"
    with serving(enabled, "scheduling.utilisation_max=100", "server.drain_seconds=0", env=env) as running:
        yield running


def play(action, seconds=60):
    async def run():
        async with asyncio.timeout(seconds):
            return await action()

    return asyncio.run(run())


def heard(port, text=TEXT, **options):
    """The events of one answer."""

    async def action():
        options.setdefault("pacing", "burst")
        async with connect(f"ws://127.0.0.1:{port}") as session:
            said = session.speak(text, seed=SEED, timings=["word", "phoneme", "viseme"], **options)
            return [event async for event in said]

    return play(action)


def visemes(events):
    return [each for event in events if isinstance(event, Timing) for each in event.visemes]


def phonemes(events):
    return [each for event in events if isinstance(event, Timing) for each in event.phonemes]


def mouth_of(events):
    mouth = Mouth()
    mouth.add(visemes(events))
    return mouth


def assert_in_time(events):
    """Every keyframe came before the frame that holds its pts, and after those that its message follows."""
    assert isinstance(events[-1], Done)
    frame_samples = next(event for event in events if isinstance(event, Started)).audio.frame_samples
    sent_pts, last_pts, seen = 0, 0, 0
    for event in events:
        if isinstance(event, Audio):
            assert event.pts == sent_pts
            sent_pts += frame_samples
        elif isinstance(event, Timing):
            for each in event.visemes:
                assert each.pts >= sent_pts
                assert each.pts >= last_pts
                last_pts = each.pts
                seen += 1
    assert seen
    assert last_pts <= sent_pts


def assert_whole(events):
    """The weights add up at every moment, all closures are there with the phonemes, and the mouth ends closed."""
    mouth, end_pts = mouth_of(events), events[-1].frames * frame_samples(events)
    weights = mouth.sampled(np.arange(0, end_pts, 97))
    assert np.abs(weights.sum(axis=1) - 1).max() < 0.002
    closures = [p for p in phonemes(events) if visemes_of(p.ipa).closure]
    assert closures
    for phoneme in closures:
        ((shape, _),) = visemes_of(phoneme.ipa).poses[0]
        length = phoneme.end_pts - phoneme.pts
        assert mouth.weights(phoneme.pts)[shape] == 1.0
        assert mouth.weights(phoneme.pts + length * 3 // 4)[shape] == 1.0
    assert mouth.weights(end_pts)[SIL] == 1.0


def frame_samples(events):
    return next(event for event in events if isinstance(event, Started)).audio.frame_samples


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("voice", ["heart", "tone-low"])
def test_keyframes_come_before_their_audio_in_bursts(server, voice, shape):
    events = heard(server.port, voice=voice, **SHAPES[shape])
    assert_in_time(events)
    assert_whole(events)


def test_an_engine_that_speaks_codec_frames_has_them_in_time_too():
    with serving(
        "engines.enabled=tone-frames", "engines.default=tone-frames", "scheduling.utilisation_max=100"
    ) as frames:
        events = heard(frames.port, voice="tone-low")
    assert_in_time(events)
    assert_whole(events)


def test_every_closure_of_twenty_sentences_is_reached_at_its_phonemes_first_sample(server):
    """The timing error is none: the plateau begins at the phoneme's own pts, in the order of the phonemes."""
    for sentence in SENTENCES:
        events = heard(server.port, sentence, voice="heart")
        assert_in_time(events)
        mouth = mouth_of(events)
        told = [p for p in phonemes(events) if visemes_of(p.ipa).closure]
        met = []
        for at in sorted({v.pts for v in visemes(events)}):
            shape = dominant(mouth.weights(at))
            if shape.id in (1, 2) and mouth.weights(at)[shape.id] == 1.0 and (not met or met[-1][0] != at):
                met.append((at, shape.id))
        begun = [(p.pts, visemes_of(p.ipa).poses[0][0][0]) for p in told]
        assert set(begun) <= set(met), sentence
        for phoneme in told:
            before = max(0, phoneme.pts - 24)
            shape = visemes_of(phoneme.ipa).poses[0][0][0]
            joined = any(other.end_pts >= before and other is not phoneme for other in told if other.pts < phoneme.pts)
            assert joined or mouth.weights(before)[shape] < 1.0, "it is not held before its time"


def test_utterances_of_one_context_each_end_closed(server):
    async def action():
        async with (
            connect(f"ws://127.0.0.1:{server.port}") as session,
            session.context(voice="heart", seed=SEED, timings=["phoneme", "viseme"], pacing="burst") as spoken,
        ):
            for sentence in SENTENCES[:3]:
                await spoken.text(sentence)
                await spoken.flush()
            await spoken.end()
            return [event async for event in spoken]

    events = play(action)
    assert_in_time(events)
    assert_whole(events)
    mouth = mouth_of(events)
    size = frame_samples(events)
    ends = [(event.seq + 1) * size for event in events if isinstance(event, Flushed)]
    assert len(ends) == 3
    assert all(mouth.weights(end - 1)[SIL] == 1.0 for end in ends)


def test_a_mouth_that_a_clause_left_open_closes_when_the_end_comes_alone(server):
    """The last words are spoken before anyone knows that they are the last; the end has no text of its own."""

    async def action():
        async with (
            connect(f"ws://127.0.0.1:{server.port}") as session,
            session.context(voice="tone-low", timings=["viseme"], pacing="burst") as spoken,
        ):
            await spoken.text("Aaaa aaaa aaaa aaaa aaaa, ")
            events = []
            async for event in spoken:
                events.append(event)
                if isinstance(event, Audio) and event.seq == 0:
                    await spoken.end()
            return events

    events = play(action)
    assert_in_time(events)
    assert mouth_of(events).weights(visemes(events)[-1].pts)[SIL] == 1.0


def test_holding_and_releasing_delays_keyframes_with_their_audio(server):
    async def action():
        async with (
            connect(f"ws://127.0.0.1:{server.port}") as session,
            session.context(voice="heart", seed=SEED, timings=["phoneme", "viseme"], lead_ms=100) as spoken,
        ):
            await spoken.text(TEXT)
            await spoken.end()
            events = []
            async for event in spoken:
                events.append(event)
                if isinstance(event, Audio) and event.seq in (10, 60):
                    await spoken.hold()
                    assert (await session.ping()) >= 0
                    await spoken.release()
            return events

    events = play(action)
    assert_in_time(events)
    assert_whole(events)


@pytest.mark.parametrize("voice", ["heart", "tone-low"])
def test_a_resumed_session_hears_the_same_keyframes(server, voice):
    async def action(cuts):
        async with Proxy(server.port) as proxy:
            proxy.cut_each(*cuts)
            async with connect(f"ws://127.0.0.1:{proxy.port}") as session:
                said = session.speak(TEXT, voice=voice, seed=SEED, timings=["phoneme", "viseme"], pacing="burst")
                return [event async for event in said], proxy.cuts

    calm, _ = play(lambda: action([]))
    events, cuts = play(lambda: action([(None, 4000), (None, 3000), (None, 60_000), (None, 100_000)]))
    assert cuts >= 3
    assert all(event.resumed for event in events if isinstance(event, Reconnected))
    assert visemes(events) == visemes(calm)
    assert_in_time(events)
    assert_whole(events)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_engine_without_alignment_moves_the_mouth_by_its_sound(server, shape):
    events = heard(server.port, voice="mute", **SHAPES[shape])
    assert phonemes(events) == []
    assert_in_time(events)
    mouth, size = mouth_of(events), frame_samples(events)
    end_pts = events[-1].frames * size
    weights = mouth.sampled(np.arange(0, end_pts, 97))
    assert np.abs(weights.sum(axis=1) - 1).max() < 0.002
    assert weights[:, SIL].min() < 0.2
    assert mouth.weights(end_pts)[SIL] == 1.0


def test_lips_that_meet_are_mostly_heard(server):
    """The same audio with and without alignment; the voice is the one that the guess was fitted to."""
    closures = met = 0
    for sentence in SENTENCES[:6]:
        told, guessed = heard(server.port, sentence, voice="heart"), heard(server.port, sentence, voice="mute")
        mouth = mouth_of(guessed)
        for phoneme in phonemes(told):
            if visemes_of(phoneme.ipa).closure:
                weights = mouth.sampled(np.arange(phoneme.pts - 480, phoneme.end_pts + 480, 120))
                closures += 1
                met += bool((weights[:, PP] + weights[:, PP + 1]).max() >= 0.5)
    assert closures >= 15
    assert met >= closures * 0.6


def test_nobody_pays_who_did_not_ask(server):
    async def action():
        async with connect(f"ws://127.0.0.1:{server.port}") as session:
            return [event async for event in session.speak(TEXT, voice="heart", pacing="burst")]

    assert visemes(play(action)) == []
