"""The names of ElevenLabs' audio formats."""

from __future__ import annotations

import pytest

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.containers import Container
from voxwire_server.compat.elevenlabs.formats import format_names, output_format


@pytest.mark.parametrize(
    ("name", "codec", "rate", "container", "bitrate"),
    [
        ("pcm_16000", "pcm_s16le", 16_000, Container.RAW, None),
        ("pcm_48000", "pcm_s16le", 48_000, Container.RAW, None),
        ("ulaw_8000", "mulaw", 8000, Container.RAW, None),
        ("alaw_8000", "alaw", 8000, Container.RAW, None),
        ("wav_44100", "pcm_s16le", 44_100, Container.WAV, None),
        ("mp3_22050_32", "pcm_s16le", 22_050, Container.MP3, 32_000),
        ("mp3_44100", "pcm_s16le", 44_100, Container.MP3, None),
        ("opus_48000_64", "pcm_s16le", 48_000, Container.OGG_OPUS, 64_000),
    ],
)
def test_a_name_holds_codec_rate_and_bit_rate(name, codec, rate, container, bitrate) -> None:
    format = output_format(name)
    assert (format.codec, format.sample_rate, format.container, format.bitrate) == (codec, rate, container, bitrate)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "pcm",
        "pcm_",
        "pcm_11025",
        "pcm_32000",
        "ulaw_16000",
        "mp3_22050_33",
        "pcm_16000_32",
        "flac_48000",
        "x" * 5000,
    ],
)
def test_an_unknown_format_is_refused_with_the_list_of_known_ones(name) -> None:
    with pytest.raises(VoxwireError) as refused:
        output_format(name)
    assert refused.value.code is ErrorCode.UNSUPPORTED_AUDIO
    assert "pcm_24000" in refused.value.details["formats"]


def test_every_listed_format_is_accepted() -> None:
    for name in format_names():
        output_format(name)
