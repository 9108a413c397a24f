"""Deepgram's translators: the session messages for each client message, and the replies for each session message."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.deepgram.messages import AUDIO_BYTES_MAX, SpeakOptions, strip_controls
from voxwire_server.compat.deepgram.translator_v1 import AuraTranslator
from voxwire_server.compat.deepgram.translator_v2 import TURNS_MAX, FluxTranslator
from voxwire_server.compat.session import EncodedAudio, OutputFormat
from voxwire_server.compat.translator import Action, Close, Forward, Reply, StartContext, Translator

OPTIONS = SpeakOptions(
    m.Start(voice="tone/heart", speed=1.1, timings=()), OutputFormat(sample_rate=24000), "aura-x-en", "uuid"
)
CHARS_MAX = 1000


class Client:
    """A client with a translator of its own, and the actions of its last message."""

    def __init__(self, kind: type[AuraTranslator] | type[FluxTranslator]) -> None:
        self.translator: Translator = kind(OPTIONS, "request", CHARS_MAX)
        self.actions = list(self.translator.opened(0.0))

    def says(self, type: str, **fields: object) -> list[Action]:
        self.actions = list(self.translator.received(json.dumps({"type": type} | fields), 0.0))
        return self.actions

    def session(self, message: m.ServerMessage) -> list[Action]:
        self.actions = list(self.translator.message(message, 0.0))
        return self.actions

    def hears(self, context: str, samples: int, pts: int = 0) -> list[Action]:
        audio = EncodedAudio(context, bytes(2 * samples), pts, pts + samples, 24000)
        self.actions = list(self.translator.audio(audio, 0.0))
        return self.actions


def forwarded(actions: Iterable[Action]) -> list[object]:
    return [action.message for action in actions if isinstance(action, Forward)]


def replies(actions: Iterable[Action]) -> list[str]:
    """The types of the messages among some actions; "audio" for a binary message."""
    payloads = [action.payload for action in actions if isinstance(action, Reply)]
    return [payload["type"] if isinstance(payload, dict) else "audio" for payload in payloads]


def reply(actions: Iterable[Action], kind: str) -> dict:
    payloads = [action.payload for action in actions if isinstance(action, Reply)]
    return next(payload for payload in payloads if isinstance(payload, dict) and payload["type"] == kind)


def started(context: str) -> m.Started:
    audio = m.AudioInfo(codec="pcm_s16le", sample_rate=24000, frame_ms=20, frame_samples=480)
    return m.Started(context=context, number=0, voice="heart", engine="tone", audio=audio)


def done(context: str, reason: m.DoneReason = m.DoneReason.COMPLETED) -> m.Done:
    return m.Done(context=context, reason=reason, frames=0, samples=0, chars=0)


def failure(code: ErrorCode, context: str | None) -> m.ErrorMessage:
    return m.error_to_message(VoxwireError(code, "no"), context)


def cancelled(context: str, heard: str, unheard: str) -> m.Cancelled:
    return m.Cancelled(
        context=context,
        heard=m.Heard(pts=0, chars=len(heard), text=heard),
        unheard=m.Unheard(chars=len(unheard), text=unheard),
    )


@pytest.fixture
def aura() -> Client:
    return Client(AuraTranslator)


@pytest.fixture
def flux() -> Client:
    return Client(FluxTranslator)


@pytest.fixture(params=[AuraTranslator, FluxTranslator])
def either(request) -> Client:
    return Client(request.param)


# -- both -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("{", ErrorCode.MALFORMED_MESSAGE),
        ("[]", ErrorCode.MALFORMED_MESSAGE),
        ("{}", ErrorCode.MISSING_FIELD),
        ('{"type": 5}', ErrorCode.MISSING_FIELD),
        ('{"type": "Shout"}', ErrorCode.UNKNOWN_TYPE),
        ('{"type": "Speak"}', ErrorCode.MISSING_FIELD),
        ('{"type": "Speak", "text": 5}', ErrorCode.INVALID_FIELD),
        (json.dumps({"type": "Speak", "text": "x" * (CHARS_MAX + 1)}), ErrorCode.TEXT_TOO_LONG),
        (b"\x00", ErrorCode.UNEXPECTED_BINARY),
    ],
)
def test_an_invalid_message_is_refused_and_affects_nothing_else(either, raw, code):
    either.says("Speak", text="Hello")
    with pytest.raises(VoxwireError) as refused:
        list(either.translator.received(raw, 0.0))
    assert refused.value.code is code
    assert replies(either.translator.refused(refused.value, 0.0)) == ["Error"]
    assert forwarded(either.says("Speak", text=" there")) == [m.Text(context="c1", text=" there")]


def test_the_first_text_opens_a_context_and_further_text_is_forwarded_unchanged(either):
    begin, text = either.says("Speak", text="Hel")
    assert isinstance(begin, StartContext)
    assert (begin.start.context, begin.start.voice, begin.start.speed) == ("c1", "tone/heart", 1.1)
    assert begin.format == OPTIONS.format
    assert text == Forward(m.Text(context="c1", text="Hel"))
    assert either.says("Speak", text="lo ") == [Forward(m.Text(context="c1", text="lo "))]


def test_an_empty_text_opens_nothing(either):
    assert either.says("Speak", text="") == []


def test_long_audio_is_split_into_messages_of_whole_samples(either):
    either.says("Speak", text="Hello")
    either.session(started("c1"))
    parts = [action.payload for action in either.hears("c1", 100_000)]
    assert sum(map(len, parts)) == 200_000
    assert all(len(part) <= AUDIO_BYTES_MAX and len(part) % 2 == 0 for part in parts)


def test_a_refused_context_is_an_error_and_closes_the_connection(either):
    either.says("Speak", text="Hello")
    error, close_for = either.session(failure(ErrorCode.ENGINE_OVERLOADED, "c1"))
    assert replies([error]) == ["Error"]
    assert close_for.code == 1011
    assert "SERVICE_UNAVAILABLE" in close_for.reason


def test_a_text_that_is_too_long_is_an_error_and_the_connection_stays_open(either):
    either.says("Speak", text="Hello")
    either.session(started("c1"))
    actions = either.session(failure(ErrorCode.TEXT_BUFFER_FULL, "c1"))
    assert replies(actions) == ["Error"]
    assert len(actions) == 1


def test_failed_speech_closes_the_connection_after_its_audio(either):
    either.says("Speak", text="Hello")
    either.session(started("c1"))
    assert replies(either.session(failure(ErrorCode.ENGINE_FAILED, "c1"))) == ["Error"]
    assert replies(either.hears("c1", 480)) == ["audio"]
    [close_for] = either.session(done("c1", m.DoneReason.ERROR))
    assert close_for.code == 1011


def test_an_idle_session_ends_without_an_error(either):
    assert either.session(failure(ErrorCode.IDLE, None)) == []
    assert replies(either.session(failure(ErrorCode.ABUSE, None))) == ["Error"]


def test_a_close_without_speech_closes_at_once(either):
    assert either.says("Close")[-1] == Close()


def test_messages_after_a_close_are_ignored(either):
    either.says("Speak", text="Hello")
    either.says("Close")
    assert either.says("Speak", text="Hello") == []
    assert either.says("Flush") == []


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        (r'Take \{"word": "dupilumab", "pronounce": "duːˈpɪljuːmæb"\} daily.', "Take dupilumab daily."),
        (r'\{ "word":"a \"b\"" , "pronounce":"x" \}', 'a "b"'),
        (r"One\{pause:500ms\}two.", "One two."),
        (r"A \{brace\} stays.", r"A \{brace\} stays."),
        ("Nothing at all.", "Nothing at all."),
        ("\\{" * 5000, "\\{" * 5000),
    ],
)
def test_inline_controls_are_not_spoken(text, heard):
    assert strip_controls(text) == heard


# -- /v1/speak ---------------------------------------------------------------------------------------------------------


def test_aura_sends_its_metadata_first(aura):
    assert reply(aura.actions, "Metadata").keys() == {
        "type",
        "request_id",
        "model_name",
        "model_version",
        "model_uuid",
    }


def test_aura_answers_every_flush_once_and_in_order(aura):
    aura.says("Speak", text="One.")
    assert forwarded(aura.says("Flush")) == [m.Flush(context="c1")]
    aura.says("Speak", text="Two.")
    assert forwarded(aura.says("Flush")) == [m.Flush(context="c1")]
    aura.hears("c1", 480)
    assert reply(aura.session(m.Flushed(context="c1", seq=0)), "Flushed")["sequence_id"] == 0
    assert forwarded(aura.actions) == []
    assert reply(aura.session(m.Flushed(context="c1", seq=1)), "Flushed")["sequence_id"] == 1


def test_aura_opens_a_new_context_for_the_next_turn(aura):
    aura.says("Speak", text="One.")
    aura.says("Flush")
    assert forwarded(aura.session(m.Flushed(context="c1", seq=0))) == [m.Cancel(context="c1")]
    assert aura.session(done("c1", m.DoneReason.CANCELLED)) == []
    begin, text = aura.says("Speak", text="Two.")
    assert (begin.start.context, text.message.context) == ("c2", "c2")


def test_aura_keeps_text_that_came_after_a_flush(aura):
    aura.says("Speak", text="One.")
    aura.says("Flush")
    aura.says("Speak", text="Two")
    assert forwarded(aura.session(m.Flushed(context="c1", seq=0))) == []
    assert forwarded(aura.says("Speak", text=".")) == [m.Text(context="c1", text=".")]


def test_aura_answers_a_flush_of_nothing_at_once(aura):
    assert replies(aura.says("Flush")) == ["Flushed"]


def test_aura_sends_no_old_audio_after_a_clear(aura):
    aura.says("Speak", text="One. Two. Three.")
    aura.says("Flush")
    aura.session(started("c1"))
    assert replies(aura.hears("c1", 480)) == ["audio"]
    cleared = aura.says("Clear")
    assert forwarded(cleared) == [m.Cancel(context="c1")]
    assert replies(cleared) == ["Cleared"]
    assert aura.hears("c1", 480, 480) == []
    assert aura.session(m.Flushed(context="c1", seq=1)) == []
    assert aura.session(done("c1", m.DoneReason.CANCELLED)) == []
    assert aura.session(failure(ErrorCode.ENGINE_FAILED, "c1")) == []
    assert isinstance(aura.says("Speak", text="New.")[0], StartContext)


def test_aura_answers_a_clear_of_nothing(aura):
    assert replies(aura.says("Clear")) == ["Cleared"]


def test_aura_speaks_to_the_end_before_it_closes(aura):
    aura.says("Speak", text="One.")
    aura.says("Flush")
    assert forwarded(aura.says("Close")) == [m.End(context="c1")]
    assert replies(aura.session(m.Flushed(context="c1", seq=0))) == ["Flushed"]
    assert forwarded(aura.actions) == []
    assert aura.session(done("c1")) == [Close()]


# -- /v2/speak ---------------------------------------------------------------------------------------------------------


def speak_a_turn(flux: Client, context: str, text: str, samples: int) -> list[Action]:
    flux.says("Speak", text=text)
    flux.session(started(context))
    flux.hears(context, samples)
    flux.says("Flush")
    return flux.session(m.Flushed(context=context, seq=0))


def test_flux_reports_a_turn_from_its_start_to_its_end(flux):
    assert replies(flux.actions) == ["Connected"]
    flux.says("Speak", text="One two.")
    speech_id = reply(flux.session(started("c1")), "SpeechStarted")["speech_id"]
    assert replies(flux.hears("c1", 24000)) == ["audio"]
    assert forwarded(flux.says("Flush")) == [m.Flush(context="c1")]
    ended = flux.session(m.Flushed(context="c1", seq=0))
    assert replies(ended) == ["SpeechMetadata", "Flushed"]
    metadata = reply(ended, "SpeechMetadata")
    assert (metadata["speech_id"], metadata["audio_duration_ms"], metadata["input_character_count"]) == (
        speech_id,
        1000,
        8,
    )
    assert forwarded(ended) == [m.Cancel(context="c1")]


def test_flux_holds_the_next_turn_until_the_previous_one_has_ended(flux):
    flux.says("Speak", text="One.")
    flux.says("Flush")
    assert flux.says("Speak", text="Two") == []
    assert flux.says("Speak", text=".") == []
    assert flux.says("Flush") == []
    actions = flux.session(m.Flushed(context="c1", seq=0))
    begin = next(action for action in actions if isinstance(action, StartContext))
    assert begin.start.context == "c2"
    assert forwarded(actions) == [m.Cancel(context="c1"), m.Text(context="c2", text="Two."), m.Flush(context="c2")]


def test_flux_limits_the_text_that_waits(flux):
    flux.says("Speak", text="One.")
    flux.says("Flush")
    flux.says("Speak", text="x" * CHARS_MAX)
    with pytest.raises(VoxwireError, match="too much text"):
        flux.says("Speak", text="y")


def test_flux_limits_the_turns_that_wait(flux):
    for _ in range(TURNS_MAX):
        flux.says("Speak", text="x")
        flux.says("Flush")
    with pytest.raises(VoxwireError, match="turns wait"):
        flux.says("Speak", text="x")


def test_flux_reports_the_heard_text_by_the_clock_of_the_session(flux):
    speak_a_turn(flux, "c1", "One.", 24000)
    flux.says("Speak", text="Two three.")
    flux.session(started("c2"))
    flux.hears("c2", 48000)
    interrupt = flux.says("Interrupt", playback_offset={"type": "time_ms", "value": 1500})
    assert forwarded(interrupt) == [m.Cancel(context="c2", played_pts=12000)]
    assert replies(interrupt) == []
    assert flux.hears("c2", 480, 48000) == []
    assert flux.session(m.Flushed(context="c2", seq=5)) == []
    report = reply(flux.session(cancelled("c2", "Two", " three.")), "SpeechInterrupted")
    assert (report["audio_played_ms"], report["text_spoken"], report["text_remaining"]) == (1500, "Two", " three.")
    assert report["metadata"]["audio_duration_ms"] == 2000


def test_flux_reports_no_text_without_an_offset(flux):
    speak_a_turn(flux, "c1", "One.", 24000)
    flux.says("Speak", text="Two three.")
    flux.hears("c2", 12000)
    assert forwarded(flux.says("Interrupt")) == [m.Cancel(context="c2")]
    report = reply(flux.session(cancelled("c2", "Two", " three.")), "SpeechInterrupted")
    assert report["audio_played_ms"] == 1500
    assert "text_spoken" not in report


def test_flux_continues_its_clock_from_the_interrupt(flux):
    flux.says("Speak", text="One.")
    flux.hears("c1", 240_000)
    flux.says("Interrupt", playback_offset={"type": "time_ms", "value": 700})
    flux.session(cancelled("c1", "", "One."))
    flux.says("Speak", text="Two.")
    flux.hears("c2", 24000)
    stale = flux.says("Interrupt", playback_offset={"type": "time_ms", "value": 600})
    assert reply(stale, "Warning")["code"] == "INVALID_INTERRUPT_OFFSET"
    assert forwarded(stale) == []
    assert forwarded(flux.says("Interrupt", playback_offset={"value": 1200})) == [
        m.Cancel(context="c2", played_pts=12000)
    ]


def test_flux_drops_the_turns_that_wait_behind_an_interrupted_one_and_reports_their_text(flux):
    flux.says("Speak", text="One.")
    flux.says("Flush")
    flux.says("Speak", text=" Two.")
    flux.says("Interrupt", playback_offset={"type": "time_ms", "value": 0})
    assert flux.says("Speak", text="Three.") == []
    actions = flux.session(cancelled("c1", "", "One."))
    assert reply(actions, "SpeechInterrupted")["text_remaining"] == "One. Two."
    assert forwarded(actions) == [m.Text(context="c3", text="Three.")]


def test_flux_warns_where_there_is_nothing_to_do(flux):
    for kind in ("Flush", "Interrupt"):
        assert reply(flux.says(kind), "Warning")["code"] == "NO_ACTIVE_SPEECH"
    flux.says("Speak", text="One.")
    flux.says("Interrupt")
    assert reply(flux.says("Interrupt"), "Warning")["code"] == "INTERRUPT_IN_PROGRESS"


@pytest.mark.parametrize("offset", [5, {"value": -1}, {"value": "5"}, {"value": True}, {"type": "bytes", "value": 5}])
def test_flux_refuses_an_invalid_offset(flux, offset):
    flux.says("Speak", text="One.")
    with pytest.raises(VoxwireError, match="playback_offset"):
        flux.says("Interrupt", playback_offset=offset)


def test_flux_warns_of_a_turn_without_speech(flux):
    flux.says("Speak", text=" ")
    flux.says("Flush")
    ended = flux.session(m.Flushed(context="c1", seq=None))
    assert replies(ended) == ["Warning", "SpeechMetadata", "Flushed"]
    assert reply(ended, "SpeechMetadata")["audio_duration_ms"] == 0


def test_flux_uses_a_new_speed_from_the_next_turn_on(flux):
    flux.says("Speak", text="One.")
    assert reply(flux.says("Configure", speed=0.85), "ConfigureSuccess")["applied"] == {"speed": 0.85}
    flux.says("Flush")
    flux.session(m.Flushed(context="c1", seq=0))
    assert flux.says("Speak", text="Two.")[0].start.speed == 0.85


@pytest.mark.parametrize(
    ("speed", "code"),
    [
        (0.4, "SPEED_OUT_OF_RANGE"),
        ("fast", "SPEED_OUT_OF_RANGE"),
        (True, "SPEED_OUT_OF_RANGE"),
        (1.02, "SPEED_INCREMENT_INVALID"),
    ],
)
def test_flux_reports_why_a_speed_is_invalid(flux, speed, code):
    assert reply(flux.says("Configure", speed=speed), "ConfigureFailure")["code"] == code
    assert flux.says("Speak", text="One.")[0].start.speed == 1.1


def test_flux_speaks_to_the_end_before_it_closes_and_reports_the_totals(flux):
    flux.says("Speak", text="One.")
    flux.says("Flush")
    flux.says("Speak", text="Two.")
    flux.says("Close")
    flux.hears("c1", 24000)
    assert Close() not in flux.session(m.Flushed(context="c1", seq=0))
    assert forwarded(flux.actions)[-1] == m.Flush(context="c2")
    flux.hears("c2", 12000)
    ended = flux.session(m.Flushed(context="c2", seq=0))
    assert replies(ended) == ["SpeechMetadata", "Flushed", "SessionMetadata"]
    sums = reply(ended, "SessionMetadata")
    assert (sums["total_audio_duration_ms"], sums["total_input_character_count"]) == (1500, 8)
    assert ended[-1] == Close()
