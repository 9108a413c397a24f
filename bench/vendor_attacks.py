"""Attacks on vendors' endpoints, for `abuse.py`, entered in `attacks.ATTACKS`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import httpx
from websockets.exceptions import WebSocketException

from attacks import ATTACKS, Site, attack, drain
from support.hostile_texts import WHOLE, repeated


async def post(site: Site, path: str, seconds: float, **request) -> str:
    """One request again and again, its answers read to the end."""
    until, statuses = time.monotonic() + seconds, {}
    async with httpx.AsyncClient(base_url=site.http, headers=site.headers, timeout=seconds + 5) as client:
        while time.monotonic() < until:
            try:
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - time.monotonic()):
                    answer = await client.post(path, **request)
                    statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
            except (httpx.HTTPError, TimeoutError) as error:
                statuses[type(error).__name__] = statuses.get(type(error).__name__, 0) + 1
    return str(statuses)


def openai(text: str, **more: object) -> dict:
    """An OpenAI request for a text."""
    return {"json": {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "pcm"} | more}


for _name, _text in {"full stops": ".", "commas": ", ", "quotes": "> ", "comments": "<!-- ", "a dash": "a-"}.items():
    ATTACKS[f"OpenAI, 50,000 characters, {_name}"] = lambda site, seconds, text=_text: post(
        site, "/v1/audio/speech", seconds, **openai(repeated(text, 50_000))
    )
ATTACKS["OpenAI, a body of arrays"] = lambda site, seconds: post(
    site,
    "/v1/audio/speech",
    seconds,
    content=b'{"input":[' + b",".join([b"[]"] * 340_000) + b"]}",
    headers={"content-type": "application/json"},
)
ATTACKS["a form of ampersands"] = lambda site, seconds: post(
    site,
    "/inference_sft",
    seconds,
    content=b"&" * 1_000_000,
    headers={"content-type": "application/x-www-form-urlencoded"},
)
ATTACKS["a form of percents"] = lambda site, seconds: post(
    site,
    "/inference_sft",
    seconds,
    content=b"tts_text=" + b"%41" * 340_000,
    headers={"content-type": "application/x-www-form-urlencoded"},
)
ATTACKS["a multipart of line ends"] = lambda site, seconds: post(
    site,
    "/inference_sft",
    seconds,
    content=b'--x\r\nContent-Disposition: form-data; name="tts_text"\r\n\r\n' + b"\r\n-" * 330_000 + b"\r\n--x--\r\n",
    headers={"content-type": "multipart/form-data; boundary=x"},
)
ATTACKS["GPT-SoVITS, full stops"] = lambda site, seconds: post(
    site, "/tts", seconds, json={"text": repeated("."), "text_lang": "en", "voice": "heart"}
)
ATTACKS["CosyVoice, full stops"] = lambda site, seconds: post(
    site, "/inference_sft", seconds, data={"tts_text": repeated("."), "spk_id": "heart"}
)


async def vendor(site: Site, path: str, messages: list[str], seconds: float) -> str:
    """Messages on a vendor's WebSocket, then silence."""
    until, sent, ended = time.monotonic() + seconds, 0, ""
    try:
        async with site.socket(path) as ws:
            reader = asyncio.create_task(drain(ws))
            try:
                for message in messages:
                    await ws.send(message)
                    sent += 1
                    if time.monotonic() > until:
                        break
                await asyncio.sleep(max(0.0, until - time.monotonic()))
            finally:
                reader.cancel()
    except (WebSocketException, OSError) as error:
        ended = f", {type(error).__name__}: {error}"[:100]
    return f"{sent} messages{ended}"


DEEPGRAM = "/v1/speak?encoding=linear16&sample_rate=24000"
ELEVENLABS = "/v1/text-to-speech/heart/multi-stream-input?output_format=pcm_16000"
CARTESIA = "/tts/websocket?cartesia_version=2025-04-16"


def cartesia(text: str, *, context: str = "a", more: bool = True) -> str:
    """A generation request."""
    raw = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000}
    asked = {"model_id": "sonic-3", "voice": {"mode": "id", "id": "heart"}, "output_format": raw}
    return json.dumps(asked | {"transcript": text, "context_id": context, "continue": more})


ATTACKS["Deepgram, 60,000 Flush"] = lambda site, seconds: vendor(site, DEEPGRAM, ['{"type":"Flush"}'] * 60_000, seconds)
ATTACKS["Deepgram, garbage"] = lambda site, seconds: vendor(site, DEEPGRAM, ["{"] * 60_000, seconds)
for _name in ("full stops", "quotes", "comments, whole", "commas, whole", "strikes, whole"):
    _text = WHOLE[_name][:2000]
    ATTACKS[f"Deepgram, {_name}"] = lambda site, seconds, text=_text: vendor(
        site, DEEPGRAM, [json.dumps({"type": "Speak", "text": text})] * 10 + ['{"type":"Flush"}'], seconds
    )
    ATTACKS[f"ElevenLabs, {_name}"] = lambda site, seconds, text=WHOLE[_name]: vendor(
        site, ELEVENLABS, [json.dumps({"text": text, "context_id": "a", "flush": True})], seconds
    )
    ATTACKS[f"Cartesia, {_name}"] = lambda site, seconds, text=WHOLE[_name]: vendor(
        site, CARTESIA, [cartesia(text)], seconds
    )
ATTACKS["ElevenLabs, 20,000 single characters"] = lambda site, seconds: vendor(
    site, ELEVENLABS, [json.dumps({"text": ".", "context_id": "a"})] * 20_000, seconds
)
ATTACKS["Cartesia, 20,000 contexts"] = lambda site, seconds: vendor(
    site, CARTESIA, [cartesia("a", context=str(i)) for i in range(20_000)], seconds
)


@attack("Wyoming, full stops")
async def wyoming(site: Site, seconds: float) -> str:
    async with asyncio.timeout(seconds + 1):
        reader, writer = await asyncio.open_connection("127.0.0.1", site.wyoming_port)
        with contextlib.suppress(OSError, TimeoutError):
            writer.write(json.dumps({"type": "synthesize", "data": {"text": repeated(".")}}).encode() + b"\n")
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                async with asyncio.timeout(until - time.monotonic()):
                    if not await reader.read(1 << 16):
                        break
        writer.close()
    return ""
