"""Real speech through a real server, heard by a speech recogniser."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from support.harvard_sentences import SENTENCES
from support.protocol_client import say, wire
from support.whisper import transcribe, word_error_rate
from voxwire_protocol import messages as m
from voxwire_protocol.codec import JSON, MSGPACK
from voxwire_server.engines.hibari import create
from voxwire_server.speech import Clause

TABLE = "I can help you book a table for two tonight at seven thirty."

BURST = m.PacingRequest(mode="burst")

PARAGRAPH = (
    "I can help you with that, of course. The first train leaves at 7:45, and it takes about an hour and a half. "
    "There is **one more** at nine, but it costs $12.50 extra; would you like it?\n\nLet me know. I'll wait."
)


@pytest.mark.speech
def test_text_in_pieces_of_three_characters_is_understood(host):
    heard = asyncio.run(say(host.url, TABLE, pieces=3, pacing=BURST))
    text = transcribe(heard.samples(), 24000)
    assert word_error_rate(TABLE, text) <= 1 / 13, text


@pytest.mark.speech
def test_the_word_error_rate_through_the_server_is_the_bare_engines(host):
    engine = create()
    engine.warm_up()
    bare, served = [], []
    for sentence in SENTENCES[:8]:
        clause = Clause(sentence, (0, len(sentence)), range(len(sentence)), "heart", "en-us", 1.0, 5)
        job, chunks = engine.prepare(clause), []
        while True:
            result = engine.step("speak", [job])[0]
            chunks.append(result.chunk.samples)
            if result.stage is None:
                break
        bare.append(word_error_rate(sentence, transcribe(np.concatenate(chunks), 24000)))
        heard = asyncio.run(say(host.url, sentence, pieces=4, pacing=BURST, seed=5))
        served.append(word_error_rate(sentence, transcribe(heard.samples(), 24000)))
    print(f"WER bare {np.mean(bare):.4f}, through the server {np.mean(served):.4f}")
    assert np.mean(served) <= np.mean(bare) + 0.01
    assert np.mean(bare) < 0.15


@pytest.mark.speech
@pytest.mark.parametrize(
    "audio",
    [
        m.AudioRequest(sample_rate=16000),
        m.AudioRequest(sample_rate=48000),
        m.AudioRequest(sample_rate=8000),
        m.AudioRequest(codec="mulaw"),
        m.AudioRequest(codec="alaw"),
        m.AudioRequest(codec="opus"),
        m.AudioRequest(codec="opus", sample_rate=48000, frame_ms=60, bitrate=32000),
    ],
    ids=str,
)
def test_every_codec_is_understood(host, audio):
    heard = asyncio.run(say(host.url, TABLE, pacing=BURST, audio=audio))
    format = heard.of(m.Started)[0].audio
    samples = decode(format, [frame.payload for frame in heard.frames()])
    assert len(samples) == len(heard.frames()) * format.frame_samples
    text = transcribe(samples, format.sample_rate)
    assert word_error_rate(TABLE, text) <= 2 / 13, text


def decode(format: m.AudioInfo, payloads: list[bytes]) -> np.ndarray:
    """Payloads as float32 samples."""
    if format.codec == "opus":
        from opuslib_next import Decoder

        decoder = Decoder(format.sample_rate, 1)
        pcm = b"".join(bytes(decoder.decode(payload, format.frame_samples)) for payload in payloads)
    elif format.codec == "pcm_s16le":
        pcm = b"".join(payloads)
    else:
        from voxwire_server.audio import samples as companding

        table = {}
        encode = companding.mulaw if format.codec == "mulaw" else companding.alaw
        levels = np.arange(-32768, 32768, dtype=np.int32)
        codes = encode((levels / 32768).astype(np.float32))
        for level, code in zip(levels.tolist(), codes.tolist(), strict=True):
            table.setdefault(code, level)
        return np.array([table[code] for code in b"".join(payloads)], np.float32) / 32768
    return np.frombuffer(pcm, "<i2").astype(np.float32) / 32768


def test_any_split_either_encoding_and_any_company_give_the_same_bytes(host):
    async def alone() -> bytes:
        return (await say(host.url, PARAGRAPH, pacing=BURST, seed=11)).pcm()

    async def noise(stop: asyncio.Event, i: int) -> None:
        async with wire(host.url) as client:
            await client.send(m.Start(seed=i), *(m.Text(text=PARAGRAPH) for _ in range(4)), m.End())
            reader = asyncio.create_task(client.until(m.Done))
            await stop.wait()
            await client.send(m.Cancel())
            await asyncio.wait_for(reader, 30)

    async def in_company() -> list[bytes]:
        stop = asyncio.Event()
        others = [asyncio.create_task(noise(stop, i)) for i in range(50)]
        await asyncio.sleep(1)
        try:
            return [
                (await say(host.url, PARAGRAPH, pieces=pieces, codec=codec, pacing=pacing, seed=11)).pcm()
                for pieces, codec, pacing in (
                    (1, JSON, BURST),
                    (3, MSGPACK, BURST),
                    (7, JSON, None),
                    (None, MSGPACK, None),
                )
            ]
        finally:
            stop.set()
            await asyncio.gather(*others)

    whole = asyncio.run(alone())
    assert len(whole) > 24000 * 2 * 10
    for other in asyncio.run(in_company()):
        assert other == whole


def test_words_are_timed_where_they_sound(host):
    heard = asyncio.run(say(host.url, PARAGRAPH, pieces=5, pacing=BURST, timings=("word", "phoneme")))
    timings = heard.of(m.Timing)
    words = [word for timing in timings for word in timing.words]
    assert [w.text for w in words][:4] == ["I", "can", "help", "you"]
    assert all(PARAGRAPH[slice(*w.chars)] == w.text for w in words)
    assert {"7:45", "one", "more", "$12.50"} <= {w.text for w in words}
    assert [w.pts for w in words] == sorted(w.pts for w in words)
    phonemes = [p for timing in timings for p in timing.phonemes]
    assert len(phonemes) > 100
    done = heard.of(m.Done)[0]
    assert max(p.end_pts for p in phonemes) <= done.samples
    samples = heard.samples()
    rms = [float(np.sqrt(np.mean(samples[w.pts : w.end_pts] ** 2))) for w in words]
    assert np.median(rms) > 5 * np.sqrt(np.mean(samples[: words[0].pts // 2] ** 2))
