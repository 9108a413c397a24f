"""Cartesia's translator: the session messages for each client message, and the replies for each session message."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable

import numpy as np
import pytest

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.containers import Container
from voxwire_server.compat.cartesia.errors import http_error
from voxwire_server.compat.cartesia.formats import raw_stream_format, stream_format
from voxwire_server.compat.cartesia.messages import DELAY_MS_DEFAULT, RequestedFormat
from voxwire_server.compat.cartesia.translator import CHUNK_BYTES_MAX, EXPIRY_SECONDS, CartesiaTranslator
from voxwire_server.compat.session import EncodedAudio
from voxwire_server.compat.translator import Action, Forward, Reply, StartContext

RAW = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000}


def find_voice(model: str | None, voice: str | None) -> str | None:
    if model == "no-such-model":
        raise VoxwireError(ErrorCode.INVALID_FIELD, "there is no such model", details={"models": ["sonic*"]})
    return voice


class Client:
    """A client with a translator of its own."""

    def __init__(self) -> None:
        self.translator = CartesiaTranslator(find_voice, "request")
        self.now = 0.0
        assert not list(self.translator.opened(0.0))

    def says(self, transcript: str, *, more: bool = True, context: str | None = "a", **fields: object) -> list[Action]:
        message = {"model_id": "sonic-3", "voice": {"mode": "id", "id": "heart"}, "output_format": RAW}
        message |= {"transcript": transcript, "continue": more, "context_id": context}
        return self.sends(message | fields)

    def sends(self, message: object) -> list[Action]:
        return list(self.translator.received(json.dumps(message), self.now))

    def session(self, message: m.ServerMessage) -> list[dict]:
        return replies(self.translator.message(message, self.now))

    def hears(self, payload: bytes, context: str = "c1", pts: int = 0) -> list[dict]:
        audio = EncodedAudio(context, payload, pts, pts + len(payload) // 2, 24000)
        return replies(self.translator.audio(audio, self.now))


def forwarded(actions: Iterable[Action]) -> list[object]:
    return [action.message for action in actions if isinstance(action, Forward)]


def replies(actions: Iterable[Action]) -> list[dict]:
    return [action.payload for action in actions if isinstance(action, Reply) and isinstance(action.payload, dict)]


def context_start(actions: Iterable[Action]) -> StartContext:
    (action,) = (action for action in actions if isinstance(action, StartContext))
    return action


def flushes(actions: Iterable[Action]) -> list[m.Flush]:
    return [message for message in forwarded(actions) if isinstance(message, m.Flush)]


def texts(actions: Iterable[Action]) -> list[str]:
    return [message.text for message in forwarded(actions) if isinstance(message, m.Text)]


def done(context: str = "c1", reason: m.DoneReason = m.DoneReason.COMPLETED) -> m.Done:
    return m.Done(context=context, reason=reason, frames=0, samples=0, chars=0)


def word(text: str, start: int, pts: int) -> m.WordTiming:
    return m.WordTiming(text=text, chars=(start, start + len(text)), pts=pts, end_pts=pts + 4800)


@pytest.fixture
def client() -> Client:
    return Client()


# -- contexts ---------------------------------------------------------------------------------------------------------


def test_the_first_message_opens_a_context_with_its_settings(client):
    actions = client.says("Hello ", language="en", generation_config={"speed": 1.5}, add_timestamps=True)
    start = context_start(actions).start
    assert (start.voice, start.language, start.speed, start.timings) == ("heart", "en", 1.5, ("word",))
    assert texts(actions) == ["Hello "]
    assert not any(isinstance(action, StartContext) for action in client.says("there."))


def test_a_message_without_continue_ends_its_context_and_done_is_the_last_message(client):
    actions = client.sends(
        {"transcript": "Hi.", "context_id": "a", "model_id": "sonic", "voice": "heart", "output_format": RAW}
    )
    assert forwarded(actions)[-1] == m.End(context="c1")
    (answer,) = client.session(done())
    assert (answer["type"], answer["context_id"], answer["done"]) == ("done", "a", True)
    assert answer["status_code"]


def test_an_id_can_be_used_again_once_its_context_is_done(client):
    client.says("One.", more=False)
    with pytest.raises(VoxwireError) as refused:
        client.says("Two.")
    assert (refused.value.code, refused.value.context) == (ErrorCode.CONTEXT_ENDED, "a")
    client.session(done())
    assert context_start(client.says("Two.")).start.context == "c2"


def test_contexts_are_independent(client):
    client.says("One ", context="a")
    assert texts(client.says("two ", context="b")) == ["two "]
    assert [reply["context_id"] for reply in client.hears(b"\0\0", "c2")] == ["b"]


def test_a_cancelled_context_sends_nothing_and_its_id_can_be_used_again(client):
    client.says("One ", more=True)
    actions = client.sends({"context_id": "a", "cancel": True})
    assert forwarded(actions) == [m.Cancel(context="c1")]
    assert not replies(actions)
    assert not client.hears(b"\0\0")
    assert not client.session(done(reason=m.DoneReason.CANCELLED))
    assert context_start(client.says("Two ")).start.context == "c2"


def test_cancelling_an_unknown_context_is_no_error(client):
    assert client.sends({"context_id": "nobody", "cancel": True}) == []


def test_a_context_without_an_id_gets_one(client):
    client.says("Hi.", more=False, context=None)
    (answer,) = client.session(done())
    assert answer["context_id"]
    with pytest.raises(VoxwireError):
        client.says("Hi ", context=None)


def test_an_inactive_context_expires(client):
    client.says("Hi. ", max_buffer_delay_ms=0)
    client.now = EXPIRY_SECONDS + 1
    assert m.End(context="c1") in forwarded(client.translator.tick(client.now))


# -- text -------------------------------------------------------------------------------------------------------------


def test_without_buffer_delay_messages_are_flushed_and_separated_by_spaces(client):
    first = client.says("One two.", max_buffer_delay_ms=0)
    assert len(flushes(first)) == 1
    assert texts(client.says("Three.", max_buffer_delay_ms=0)) == [" Three."]
    assert texts(client.says(" Four. ", max_buffer_delay_ms=0)) == [" Four. "]
    assert texts(client.says("Five.", max_buffer_delay_ms=0)) == ["Five."]


def test_tokens_are_joined_without_spaces(client):
    assert texts(client.says("Hel") + client.says("lo,") + client.says(" you")) == ["Hel", "lo,", " you"]


def test_no_space_is_added_in_scripts_without_spaces(client):
    client.says("你好。", max_buffer_delay_ms=0)
    assert texts(client.says("再见。", max_buffer_delay_ms=0)) == ["再见。"]


@pytest.mark.parametrize("delay_ms", [None, 1000])
def test_text_is_flushed_after_the_buffer_delay(client, delay_ms):
    fields = {} if delay_ms is None else {"max_buffer_delay_ms": delay_ms}
    assert not flushes(client.says("Hello", **fields))
    due = client.translator.due
    assert due == pytest.approx((delay_ms or DELAY_MS_DEFAULT) / 1000)
    assert not flushes(client.translator.tick(due - 0.1))
    assert len(flushes(client.translator.tick(due))) == 1
    assert not flushes(client.translator.tick(due + 1))


def test_a_flush_is_answered_with_its_number_after_its_audio(client):
    (first,) = flushes(client.says("One. ", flush=True))
    (second,) = flushes(client.says("", flush=True))
    assert client.hears(b"\0\0")[0]["flush_id"] == 1
    (answer,) = client.session(m.Flushed(context="c1", id=first.id))
    assert (answer["type"], answer["flush_id"], answer["flush_done"], answer["done"]) == ("flush_done", 1, True, False)
    assert client.hears(b"\0\0")[0]["flush_id"] == 2
    (answer,) = client.session(m.Flushed(context="c1", id=second.id))
    assert answer["flush_id"] == 2


def test_a_flush_that_the_client_did_not_ask_for_is_not_answered(client):
    (flush,) = flushes(client.says("One.", max_buffer_delay_ms=0))
    assert not client.session(m.Flushed(context="c1", id=flush.id))
    assert not client.session(m.Flushed(context="c1"))


# -- audio and times --------------------------------------------------------------------------------------------------


def test_audio_is_split_into_chunks_that_every_client_accepts(client):
    client.says("Hi. ")
    payload = bytes(range(256)) * 1024
    found = client.hears(payload)
    assert b"".join(base64.b64decode(chunk["data"]) for chunk in found) == payload
    assert all(len(base64.b64decode(chunk["data"])) <= CHUNK_BYTES_MAX for chunk in found)
    assert all(chunk["type"] == "chunk" and chunk["done"] is False and chunk["status_code"] for chunk in found)


def test_words_are_reported_as_they_were_sent_in_seconds_of_the_context(client):
    client.says('"Hello," she said. ', add_timestamps=True)
    (answer,) = client.session(m.Timing(context="c1", words=(word("Hello", 1, 2400), word("she", 9, 9600))))
    assert answer["type"] == "timestamps"
    assert answer["word_timestamps"]["words"] == ['"Hello,"', "she"]
    assert answer["word_timestamps"]["start"] == [0.1, 0.4]
    assert answer["word_timestamps"]["end"] == [0.3, 0.6]


def test_words_without_sound_are_reported_before_the_end(client):
    client.says("Hi 🙂", add_timestamps=True, more=False)
    client.session(m.Timing(context="c1", words=(word("Hi", 0, 0),)))
    *rest, last = client.session(done())
    assert [answer["word_timestamps"]["words"] for answer in rest] == [["🙂"]]
    assert last["type"] == "done"


def test_phonemes_have_a_message_of_their_own(client):
    client.says("Hi. ", add_phoneme_timestamps=True)
    phoneme = m.PhonemeTiming(ipa="h", pts=0, end_pts=1200)
    (answer,) = client.session(m.Timing(context="c1", phonemes=(phoneme,)))
    assert answer["type"] == "phoneme_timestamps"
    assert answer["phoneme_timestamps"] == {"phonemes": ["h"], "start": [0.0], "end": [0.05]}


# -- formats ----------------------------------------------------------------------------------------------------------


def format_of(container: str, encoding: str | None, sample_rate: int, bit_rate: int | None = None) -> RequestedFormat:
    return RequestedFormat(container=container, encoding=encoding, sample_rate=sample_rate, bit_rate=bit_rate)


def test_floats_are_converted_from_the_sessions_samples():
    found = raw_stream_format(format_of("raw", "pcm_f32le", 44_100))
    samples = np.array([0, 16384, -32768], "<i2")
    assert found.session_format.codec == "pcm_s16le"
    assert np.frombuffer(found.encode(samples.tobytes()), "<f4").tolist() == [0.0, 0.5, -1.0]


@pytest.mark.parametrize(("encoding", "codec", "silence"), [("pcm_mulaw", "mulaw", 0xFF), ("pcm_alaw", "alaw", 0xD5)])
def test_g711_is_available_at_every_rate(encoding, codec, silence):
    assert raw_stream_format(format_of("raw", encoding, 8000)).session_format.codec == codec
    found = raw_stream_format(format_of("raw", encoding, 16_000))
    assert found.session_format.codec == "pcm_s16le"
    assert found.encode(bytes(4)) == bytes([silence, silence])


def test_containers_are_those_of_the_vendor():
    assert stream_format(format_of("wav", "pcm_s16le", 24_000)).session_format.container is Container.WAV
    floats = stream_format(format_of("wav", "pcm_f32le", 44_100))
    assert (floats.header[:4], floats.header[20], floats.media_type) == (b"RIFF", 3, "audio/wav")
    mp3 = stream_format(format_of("mp3", None, 44_100, 64_000))
    assert (mp3.session_format.container, mp3.session_format.bitrate, mp3.media_type) == (
        Container.MP3,
        64_000,
        "audio/mpeg",
    )


@pytest.mark.parametrize(
    "wrong",
    [
        format_of("raw", "pcm_s16le", 11_025),
        format_of("raw", "opus", 24_000),
        format_of("raw", None, 24_000),
        format_of("flac", "pcm_s16le", 24_000),
        format_of("mp3", None, 44_100, 1),
        format_of("wav", "pcm_mulaw", 16_000),
    ],
)
def test_other_formats_are_refused(wrong):
    with pytest.raises(VoxwireError) as refused:
        stream_format(wrong)
    assert refused.value.code is ErrorCode.UNSUPPORTED_AUDIO


# -- errors -----------------------------------------------------------------------------------------------------------


def refusal(client: Client, raw: str | bytes) -> dict:
    with pytest.raises(VoxwireError) as refused:
        client.translator.received(raw, 0.0)
    (answer,) = replies(client.translator.refused(refused.value, 0.0))
    return answer


@pytest.mark.parametrize("raw", ["{", "[]", b"\xff", '{"transcript": 3, "context_id": "a"}', '{"cancel": true}'])
def test_an_invalid_message_is_an_error_and_affects_no_other_context(client, raw):
    client.says("One ", context="b")
    answer = refusal(client, raw)
    assert (answer["type"], answer["done"], answer["status_code"]) == ("error", False, 400)
    assert "context_id" in answer
    assert client.hears(b"\0\0")


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"voice": {"mode": "embedding", "embedding": [0.5]}}, 400),
        ({"model_id": "no-such-model"}, 404),
        ({"output_format": RAW | {"container": "mp3"}}, 400),
        ({"max_buffer_delay_ms": 6000}, 400),
    ],
)
def test_the_error_of_a_context_that_can_not_be_opened_has_its_id(client, wrong, status):
    message = {"transcript": "Hi.", "continue": True, "context_id": "a", "voice": "heart", "output_format": RAW}
    answer = refusal(client, json.dumps(message | wrong))
    assert (answer["context_id"], answer["status_code"]) == ("a", status)
    assert context_start(client.says("Hi."))


def test_an_error_of_the_session_ends_its_context(client):
    client.says("Hi. ")
    error = VoxwireError(ErrorCode.UNKNOWN_VOICE, "there is no voice", details={"voices": ["heart"]})
    actions = list(client.translator.message(m.error_to_message(error, "c1"), 0.0))
    (answer,) = replies(actions)
    assert (answer["context_id"], answer["error_code"], answer["status_code"]) == ("a", "voice_not_found", 404)
    assert "heart" in answer["message"]
    assert forwarded(actions) == [m.Cancel(context="c1")]
    assert not client.session(done(reason=m.DoneReason.ERROR))


def test_a_context_that_fails_sends_an_error_in_place_of_done(client):
    client.says("Hi.", more=False)
    (answer,) = client.session(done(reason=m.DoneReason.ERROR))
    assert (answer["type"], answer["done"], answer["status_code"]) == ("error", False, 500)


def test_an_error_over_http_has_the_same_fields():
    answer = http_error(VoxwireError(ErrorCode.NOT_AUTHENTICATED, "an API key is needed"))
    body = json.loads(answer.body)
    assert answer.status_code == 401
    assert set(body) == {"error_code", "title", "message", "status_code", "request_id"}
