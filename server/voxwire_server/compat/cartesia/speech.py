"""Serves POST `/tts/bytes` and `/tts/sse`: one text, its audio as it is made."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.cartesia.contexts import CHUNK_BYTES_MAX, STATUS
from voxwire_server.compat.cartesia.errors import error_event
from voxwire_server.compat.cartesia.formats import Sound, pieces, raw_sound, sound
from voxwire_server.compat.cartesia.voices import chosen_voice
from voxwire_server.compat.cartesia.words import TimedWord, Wording, phoneme_timestamps, word_timestamps
from voxwire_server.compat.session_stream import AudioPiece
from voxwire_server.compat.speech import Speech, SpeechResponse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from starlette.responses import Response

    from voxwire_server.compat.cartesia.messages import BytesBody, SseBody
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call, NoFields


async def speak(host: CompatHost, call: Call[BytesBody, NoFields]) -> Response:
    """Answer POST `/tts/bytes`."""
    found = sound(call.body.output_format)
    speech = await _begin(host, call, found, ())
    return SpeechResponse(speech, _audio(speech, found), found.media_type, {"X-Request-Id": str(uuid4())})


async def speak_in_events(host: CompatHost, call: Call[SseBody, NoFields]) -> Response:
    """Answer POST `/tts/sse`."""
    found = raw_sound(call.body.output_format)
    speech = await _begin(host, call, found, call.body.timings())
    request_id = str(uuid4())
    headers = {"Cache-Control": "no-cache", "X-Request-Id": request_id}
    return SpeechResponse(
        speech, _server_sent(speech, Events(call.body, found), request_id), "text/event-stream", headers
    )


async def _begin(
    host: CompatHost, call: Call[Any, NoFields], found: Sound, timings: tuple[m.TimingKind, ...]
) -> Speech:
    body: BytesBody = call.body
    if not body.transcript or body.transcript.isspace():
        raise VoxwireError(ErrorCode.INVALID_FIELD, "the transcript is empty", details={"field": "transcript"})
    start = body.start(chosen_voice(host, body.model_id, body.voice_id()), timings=timings)
    return await Speech.begin(host, call.request, body.transcript, start, found.request)


async def _audio(speech: Speech, found: Sound) -> AsyncGenerator[bytes, None]:
    audio = speech.audio()
    header = found.header
    try:
        async for payload in audio:
            yield header + found.encoded(payload)
            header = b""
    finally:
        await audio.aclose()


async def _server_sent(speech: Speech, events: Events, request_id: str) -> AsyncGenerator[bytes, None]:
    spoken = speech.events()
    try:
        async for event in spoken:
            for fields in events.of(event):
                yield _written(fields)
    except VoxwireError as error:
        yield _written(error_event(error, request_id) | events.named)
        raise
    finally:
        await spoken.aclose()


def _written(fields: dict[str, Any]) -> bytes:
    return f"event: {fields['type']}\ndata: ".encode() + orjson.dumps(fields) + b"\n\n"


class Events:
    """What is told of one speech, as events."""

    def __init__(self, body: SseBody, found: Sound) -> None:
        self.named: dict[str, Any] = {} if body.context_id is None else {"context_id": body.context_id}
        self._sound = found
        self._words_wanted = bool(body.add_timestamps)
        self._wording = Wording()
        self._wording.add(body.transcript)
        self._end_pts = 0

    def of(self, event: AudioPiece | m.Timing | m.Done) -> Iterator[dict[str, Any]]:
        """The events that something becomes."""
        match event:
            case AudioPiece():
                self._end_pts = event.end_pts
                for part in pieces(self._sound.encoded(event.payload), CHUNK_BYTES_MAX):
                    yield self._event("chunk", data=base64.b64encode(part).decode(), step_time=0.0)
            case m.Timing():
                yield from self._words(self._wording.time(event.words))
                if event.phonemes:
                    fields = phoneme_timestamps(event.phonemes, self._sound.request.sample_rate)
                    yield self._event("phoneme_timestamps", phoneme_timestamps=fields)
            case m.Done():
                yield from self._words(self._wording.settle(self._wording.chars, self._end_pts))
                yield self._event("done") | {"done": True}

    def _words(self, words: list[TimedWord]) -> Iterator[dict[str, Any]]:
        if words and self._words_wanted:
            yield self._event("timestamps", word_timestamps=word_timestamps(words, self._sound.request.sample_rate))

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "done": False, "status_code": STATUS} | fields | self.named
