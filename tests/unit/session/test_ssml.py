"""Pauses, marks, volume, speed and voices of SSML as they are heard: exact samples of the tone engine."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from support.async_tests import on_loop
from support.core_harness import CoreHarness
from support.in_process_app import running
from voxwire_protocol import messages as m
from voxwire_server.audio.samples import LIMIT_KNEE, amplified, pcm_s16le, silence
from voxwire_server.compat.session import CompatSession, EncodedAudio, OutputFormat
from voxwire_server.engines.tone import CHAR_SAMPLES, SAMPLE_RATE, ToneEngine, tones
from voxwire_server.session import effects as fx
from voxwire_server.session.clause_cutter import clause_seed
from voxwire_server.session.quotas import ClientIdentity
from voxwire_server.session.settings import ContextSpec, SessionSettings
from voxwire_server.session.styles import language_of, spoken_by, styled_speed
from voxwire_server.speech import Clause, Voice
from voxwire_server.text.controls import Style, VoiceWish, linear

SEED = 7


async def speak(text: str, *, pieces: int = 5, **start) -> tuple[NDArray[np.int16], list]:
    """The samples of an SSML text that came in pieces, and all events."""
    async with running() as app:
        session = CompatSession(app, ClientIdentity())
        wanted = {"format": "ssml", "timings": ("word",), "seed": SEED} | start
        session.start(m.Start(context="a", **wanted), OutputFormat(sample_rate=SAMPLE_RATE), paced=False)
        for at in range(0, len(text), pieces):
            session.forward(m.Text(context="a", text=text[at : at + pieces]))
        session.forward(m.End(context="a"))
        events = []
        while not (events and isinstance(events[-1], m.Done)):
            events.append(await session.next_event())
        session.disconnect()
    payload = b"".join(event.payload for event in events if isinstance(event, EncodedAudio))
    return np.frombuffer(payload, "<i2")[: events[-1].samples], events


def of(events: list, kind: type) -> list:
    return [event for event in events if isinstance(event, kind)]


def tone(
    text: str, index: int, *, speed: float = 1.0, gain: float = 1.0, voice: str = "tone-low", pause: float = 0.0
) -> NDArray[np.int16]:
    """What the tone engine makes of clause `index`, in its style."""
    clause = Clause(text, (0, 0), [0] * len(text), voice, "en-us", speed, clause_seed(SEED, index))
    return pcm_s16le(np.concatenate([amplified(tones(clause), gain), silence(pause, SAMPLE_RATE)]))


def quiet(seconds: float) -> NDArray[np.int16]:
    return pcm_s16le(silence(seconds, SAMPLE_RATE))


@on_loop
async def test_pauses_are_exactly_as_long_as_they_are_written():
    samples, events = await speak('Hi there.<break time="700ms"/> You.<break/><break strength="strong"/>')
    expected = [tone("Hi there.", 0, pause=0.7), tone("You.", 1, pause=0.5), quiet(1.0)]
    np.testing.assert_array_equal(samples, np.concatenate(expected))
    assert events[-1].reason is m.DoneReason.COMPLETED
    assert events[-1].samples == 13 * CHAR_SAMPLES + round(2.2 * SAMPLE_RATE)
    assert [clause.chars for clause in of(events, m.ClauseStarted)] == [(0, 30), (30, 43)]


@on_loop
async def test_a_context_of_nothing_but_a_pause_is_silence():
    samples, events = await speak('<speak><break time="250ms"/></speak>')
    np.testing.assert_array_equal(samples, quiet(0.25))
    assert events[-1].reason is m.DoneReason.COMPLETED
    assert not of(events, m.ClauseStarted)


@on_loop
async def test_a_pause_between_texts_is_heard_where_it_is_written():
    samples, _ = await speak('<break time="100ms"/>Hi.<break time="100ms"/><break time="200ms"/>You.')
    expected = [quiet(0.1), tone("Hi.", 1, pause=0.1), quiet(0.2), tone("You.", 3)]
    np.testing.assert_array_equal(samples, np.concatenate(expected))


@on_loop
async def test_volume_and_speed_are_those_of_the_stretch():
    text = (
        'One <prosody volume="+6dB">two</prosody> <prosody rate="fast">three</prosody> '
        '<prosody volume="silent">four</prosody>'
    )
    samples, _ = await speak(text)
    expected = [tone("One", 0), tone("two", 1, gain=linear(6)), tone("three", 2, speed=1.25), tone("four", 3, gain=0)]
    np.testing.assert_array_equal(samples, np.concatenate(expected))


@on_loop
async def test_voices_change_within_a_context():
    text = (
        'One <voice name="tone-high">two</voice> <voice name="missing">three</voice> <voice name="missing">four</voice>'
    )
    samples, events = await speak(text, voice="tone-low")
    expected = [tone("One", 0), tone("two", 1, voice="tone-high"), tone("three", 2), tone("four", 3)]
    np.testing.assert_array_equal(samples[: sum(map(len, expected[:3]))], np.concatenate(expected[:3]))
    assert [warning.code for warning in of(events, m.WarningMessage)] == ["ssml_unsupported"]


@on_loop
@pytest.mark.parametrize("pieces", [1, 7, 1000])
async def test_marks_come_before_their_audio_and_at_their_words(pieces):
    text = (
        '<mark name="a"/>Go from <mark name="b"/>here.<mark name="c"/><break time="1s"/><mark name="d"/> '
        'To <mark name="e"/>there<mark name="f"/>'
    )
    _, events = await speak(text, pieces=pieces)
    first = 13 * CHAR_SAMPLES
    second = first + SAMPLE_RATE
    assert [(mark.name, mark.pts) for mark in of(events, m.Mark)] == [
        ("a", 0),
        ("b", 8 * CHAR_SAMPLES),
        ("c", first),
        ("d", second),
        ("e", second + 3 * CHAR_SAMPLES),
        ("f", second + 8 * CHAR_SAMPLES),
    ]
    heard = 0
    for event in events:
        if isinstance(event, EncodedAudio):
            heard = event.end_pts
        elif isinstance(event, m.Mark):
            assert event.pts >= heard


@on_loop
async def test_a_mark_without_any_text_is_told():
    _, events = await speak('<mark name="only"/>')
    assert [(mark.name, mark.pts) for mark in of(events, m.Mark)] == [("only", 0)]
    assert events[-1].reason is m.DoneReason.NO_SPEAKABLE_TEXT


def test_a_mark_behind_an_utterance_is_told_before_its_answer():
    harness = CoreHarness()
    harness.send(m.Start(format="ssml"))
    harness.text("One.")
    harness.send(m.Flush())
    harness.run(60)
    harness.text('<mark name="late"/>')
    harness.send(m.Flush(id="x"))
    harness.run(1)
    late, flushed = harness.sent[-2:]
    assert (late.name, late.pts) == ("late", harness.frames[-1].pts + 480)
    assert flushed.id == "x"


@on_loop
async def test_words_are_shown_without_tags():
    _, events = await speak('Buy <emphasis>the</emphasis> <sub alias="World Wide Web">W3C</sub>&amp;Co. <break/>now')
    words = [word.text for timing in of(events, m.Timing) for word in timing.words]
    assert " ".join(words) == "Buy the W3C&Co. now"


@on_loop
async def test_the_same_ssml_in_any_pieces_sounds_the_same():
    text = '<p>Hello there, you.</p><p>How <emphasis>are</emphasis> you<break time="50ms"/> today?</p>'
    whole, _ = await speak(text, pieces=1000)
    for pieces in (1, 3):
        np.testing.assert_array_equal((await speak(text, pieces=pieces))[0], whole)


@on_loop
async def test_plain_text_has_pauses_too():
    samples, _ = await speak('Hi.<break time="500ms"/> You. [pause:1s] All.', format="text", pieces=1000)
    expected = [tone("Hi.", 0, pause=0.5), tone("You.", 1, pause=1.0), tone("All.", 2)]
    np.testing.assert_array_equal(samples, np.concatenate(expected))


# -- the session core -------------------------------------------------------------------------------------------------


def clauses(harness: CoreHarness) -> list[Clause]:
    return [each.spec.clause for each in harness.effects if isinstance(each, fx.Synthesise)]


def test_what_was_said_before_is_told_to_the_engine():
    harness = CoreHarness()
    harness.send(m.Start(format="ssml"))
    harness.text("One. <break/>Two<break/> three.")
    harness.send(m.Flush())
    harness.text("Four.")
    harness.send(m.End())
    harness.run(60)
    assert [(clause.text, clause.before) for clause in clauses(harness)] == [
        ("One.", ""),
        ("Two", "One."),
        ("three.", "One. Two"),
        ("Four.", ""),
    ]


def test_what_was_heard_of_a_text_with_pauses():
    harness = CoreHarness()
    harness.send(m.Start(format="ssml", pacing=m.PacingRequest(lead_ms=0)))
    text = '<break time="1s"/>Hello there.<break time="1s"/> And so on.'
    harness.text(text)
    harness.send(m.End())
    harness.run(0.5)
    assert isinstance(next(each for each in harness.effects if isinstance(each, fx.Silence)), fx.Silence)
    harness.run(0.7)
    harness.send(m.Cancel())
    cancelled = harness.last(m.Cancelled)
    assert text.startswith(cancelled.heard.text)
    assert cancelled.heard.chars <= text.index("And")


def test_a_context_without_ssml_reads_tags_as_before():
    harness = CoreHarness(settings=SessionSettings(breaks=()))
    harness.text('One <break time="1s"/><b>two</b> three [pause:1s] four.')
    harness.send(m.End())
    harness.run(60)
    assert " ".join(clause.text for clause in clauses(harness)) == "One two three [pause:1s] four."


# -- styles -----------------------------------------------------------------------------------------------------------


def spec_of(*voices: Voice) -> ContextSpec:
    harness = CoreHarness()
    harness.send(m.Start())
    (context,) = harness.core._contexts.by_name.values()
    engine = type(context.spec.engine)(name="e", sample_rate=24000, voices=voices, stages=context.spec.engine.stages)
    values = {name: getattr(context.spec, name) for name in context.spec.__slots__}
    return ContextSpec(
        **values | {"engine": engine, "voice": voices[0], "language": voices[0].languages[0], "speed": 1.5}
    )


ANN = Voice("ann", "e", ("en-us", "de"), gender="female")
BOB = Voice("bob", "e", ("en-gb",), gender="male")
CLO = Voice("clo", "e", ("fr", "en-us"), gender="female")


@pytest.mark.parametrize(
    ("style", "name", "language", "missing"),
    [
        (Style(), "ann", "en-us", False),
        (Style(voice=VoiceWish(("bob",))), "bob", "en-gb", False),
        (Style(voice=VoiceWish(("zed", "e/bob"))), "bob", "en-gb", False),
        (Style(voice=VoiceWish(("zed",))), "ann", "en-us", True),
        (Style(voice=VoiceWish(gender="male")), "bob", "en-gb", False),
        (Style(voice=VoiceWish(gender="female"), language="fr"), "clo", "fr", False),
        (Style(voice=VoiceWish(("zed",), "male")), "bob", "en-gb", True),
        (Style(language="de-AT"), "ann", "de", False),
        (Style(language="fr-FR"), "clo", "fr", False),
        (Style(language="ja"), "ann", "en-us", True),
        (Style(voice=VoiceWish(("bob",)), language="fr"), "bob", "en-gb", True),
    ],
)
def test_who_says_a_stretch(style, name, language, missing):
    found = spoken_by(spec_of(ANN, BOB, CLO), style)
    assert (found.voice.name, found.language, bool(found.missing)) == (name, language, missing)


def test_speeds_stay_within_what_engines_take():
    spec = spec_of(ANN)
    assert [styled_speed(spec, Style(rate=rate)) for rate in (1.0, 0.8, 4.0, 0.25)] == pytest.approx(
        [1.5, 1.2, 2.0, 0.5]
    )
    assert language_of(BOB, "en") == "en-gb"


def test_loud_samples_are_limited_softly():
    samples = np.array([-1, -0.5, -0.1, 0, 0.1, 0.39, 0.5, 1], np.float32)
    louder = amplified(samples, 2.0)
    assert louder.dtype == np.float32
    assert np.all(np.abs(louder) < 1)
    assert np.all(np.diff(louder) > 0)
    below = np.abs(samples) * 2 <= LIMIT_KNEE
    np.testing.assert_allclose(louder[below], samples[below] * 2)
    np.testing.assert_allclose(amplified(samples, 0.5), samples / 2)


@on_loop
async def test_pauses_alone_are_made_in_the_workers_and_never_by_the_engine(monkeypatch):
    prepared = []
    prepare = ToneEngine.prepare

    def noted(engine: ToneEngine, clause: Clause):
        prepared.append(clause.text)
        return prepare(engine, clause)

    monkeypatch.setattr(ToneEngine, "prepare", noted)
    samples, _ = await speak('<break time="10s"/>' * 3 + "Hi.")
    assert len(samples) == 30 * SAMPLE_RATE + 3 * CHAR_SAMPLES
    assert [text for text in prepared if text != "one"] == ["Hi."]
