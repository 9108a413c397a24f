from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from voxwire_protocol import JSON, MSGPACK, Codec, ErrorCode, ProtocolError, VoxwireError, codec_for
from voxwire_protocol import messages as m

EVERY = [*m.CLIENT_MESSAGES, *m.SERVER_MESSAGES]


@pytest.mark.parametrize("type_", EVERY)
def test_the_checked_fields_are_the_fields_there_are(type_: type[Any]) -> None:
    checked = {**m.CLIENT_MESSAGES, **m.SERVER_MESSAGES}[type_]
    fields = {field.name: field for field in dataclasses.fields(type_)}
    assert set(checked) == set(fields)
    for name, field in fields.items():
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        assert checked[name].required is not has_default, name


def test_types_are_unique() -> None:
    assert len({type_.type for type_ in EVERY}) == len(EVERY)


def test_codecs_are_found_by_subprotocol() -> None:
    assert codec_for("voxwire.v1.json") is JSON
    assert codec_for("voxwire.v1.msgpack") is MSGPACK
    assert codec_for("voxwire.v2.json") is None


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
@pytest.mark.parametrize(
    ("message", "field"),
    [
        (m.Text(text="\ud83d"), "text"),
        (m.Start(voice="a\udc00"), "voice"),
        (m.Resume(session="s", token="t", contexts={"\ud83d": 1}), "contexts"),
        (m.Flush(id="\ud83d", context="0"), "id"),
        (m.Start(seed=1 << 64), "seed"),
        (m.ErrorMessage(code="x", message="\ud83d", retryable=False), "message"),
        (m.ErrorMessage(code="x", message="x", retryable=False, details={"a": {"b": "\ud83d"}}), "details.a.b"),
    ],
)
def test_fields_that_can_not_be_encoded_are_refused_by_name(codec: Codec, message: Any, field: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        codec.encode(message)
    assert caught.value.code is ErrorCode.INVALID_FIELD
    assert caught.value.details["field"] == field


@pytest.mark.parametrize("codec", m.RATES)
def test_every_rate_of_every_codec_is_possible_at_twenty_milliseconds(codec: m.Codec) -> None:
    for rate in m.RATES[codec]:
        assert m.AudioFormat(codec=codec, sample_rate=rate).frame_samples == rate // 50


@pytest.mark.parametrize(
    ("audio", "field"),
    [
        ({"codec": "opus", "sample_rate": 44100}, "audio.sample_rate"),
        ({"codec": "mulaw", "sample_rate": 16000}, "audio.sample_rate"),
        ({"codec": "pcm_s16le", "sample_rate": 12000}, "audio.sample_rate"),
        ({"codec": "pcm_s16le", "sample_rate": 22050, "frame_ms": 10}, "audio.frame_ms"),
        ({"codec": "pcm_s16le", "bitrate": 24000}, "audio.bitrate"),
    ],
)
def test_audio_that_does_not_go_together_is_refused_by_name(audio: dict[str, Any], field: str) -> None:
    with pytest.raises(VoxwireError) as caught:
        m.AudioRequest(**audio).resolve(sample_rate=24000, bitrate=24000)
    assert caught.value.code is ErrorCode.UNSUPPORTED_AUDIO
    assert caught.value.details["field"] == field


@pytest.mark.parametrize(
    ("codec", "engine_rate", "rate", "bitrate"),
    [
        (None, 24000, 24000, None),
        ("pcm_s16le", 22050, 22050, None),
        ("pcm_s16le", 32000, 44100, None),
        ("pcm_s16le", 96000, 48000, None),
        ("opus", 22050, 24000, 24000),
        ("opus", 44100, 48000, 24000),
        ("mulaw", 24000, 8000, None),
        ("alaw", 24000, 8000, None),
    ],
)
def test_what_a_client_leaves_open_is_the_engine_s_rate_or_the_next_above(
    codec: m.Codec | None, engine_rate: int, rate: int, bitrate: int | None
) -> None:
    chosen = m.AudioRequest(codec=codec).resolve(sample_rate=engine_rate, bitrate=24000)
    assert chosen == m.AudioFormat(codec=codec or "pcm_s16le", sample_rate=rate, bitrate=bitrate)


def test_pacing_is_filled_in() -> None:
    assert m.PacingRequest().resolve(lead_ms=500) == m.Pacing(mode="realtime", lead_ms=500)
    assert m.PacingRequest(mode="burst", lead_ms=0).resolve(lead_ms=500) == m.Pacing(mode="burst", lead_ms=0)
