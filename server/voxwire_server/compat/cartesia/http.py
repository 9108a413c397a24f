"""Cartesia's POST `/tts/bytes` and `/tts/sse`: the audio of one text as it is synthesised."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.cartesia.errors import error_event
from voxwire_server.compat.cartesia.formats import StreamFormat, raw_stream_format, split, stream_format
from voxwire_server.compat.cartesia.timestamps import TimedWord, WordTracker, phoneme_timestamps, word_timestamps
from voxwire_server.compat.cartesia.translator import CHUNK_BYTES_MAX, STATUS
from voxwire_server.compat.http import SpeechResponse, SpeechStream
from voxwire_server.compat.session import EncodedAudio
from voxwire_server.compat.voices import voice_of_model

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from starlette.responses import Response

    from voxwire_server.compat.cartesia.messages import BytesBody, SseBody
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call, NoFields


async def speak(host: CompatHost, call: Call[BytesBody, NoFields]) -> Response:
    """POST `/tts/bytes`."""
    format = stream_format(call.body.output_format)
    speech = await _open(host, call, format, ())
    return SpeechResponse(speech, _audio(speech, format), format.media_type, {"X-Request-Id": str(uuid4())})


async def speak_in_events(host: CompatHost, call: Call[SseBody, NoFields]) -> Response:
    """POST `/tts/sse`."""
    format = raw_stream_format(call.body.output_format)
    speech = await _open(host, call, format, call.body.timings())
    request_id = str(uuid4())
    headers = {"Cache-Control": "no-cache", "X-Request-Id": request_id}
    return SpeechResponse(
        speech, _server_sent(speech, _EventWriter(call.body, format), request_id), "text/event-stream", headers
    )


async def _open(
    host: CompatHost, call: Call[Any, NoFields], format: StreamFormat, timings: tuple[m.TimingKind, ...]
) -> SpeechStream:
    body: BytesBody = call.body
    if not body.transcript or body.transcript.isspace():
        raise VoxwireError(ErrorCode.INVALID_FIELD, "the transcript is empty", details={"field": "transcript"})
    start = body.start(voice_of_model(host, body.model_id, body.voice_id()), timings=timings)
    return await SpeechStream.open(host, call.request, body.transcript, start, format.session_format)


async def _audio(speech: SpeechStream, format: StreamFormat) -> AsyncGenerator[bytes, None]:
    audio = speech.audio()
    header = format.header
    try:
        async for payload in audio:
            yield header + format.encode(payload)
            header = b""
    finally:
        await audio.aclose()


async def _server_sent(speech: SpeechStream, writer: _EventWriter, request_id: str) -> AsyncGenerator[bytes, None]:
    events = speech.events()
    try:
        async for event in events:
            for fields in writer.events_of(event):
                yield _server_sent_event(fields)
    except VoxwireError as error:
        yield _server_sent_event(error_event(error, request_id) | writer.context_field)
        raise
    finally:
        await events.aclose()


def _server_sent_event(fields: dict[str, Any]) -> bytes:
    return f"event: {fields['type']}\ndata: ".encode() + orjson.dumps(fields) + b"\n\n"


class _EventWriter:
    """Makes the server-sent events of one speech."""

    def __init__(self, body: SseBody, format: StreamFormat) -> None:
        self.context_field: dict[str, Any] = {} if body.context_id is None else {"context_id": body.context_id}
        self._format = format
        self._add_timestamps = bool(body.add_timestamps)
        self._tracker = WordTracker()
        self._tracker.add(body.transcript)
        self._end_pts = 0

    def events_of(self, event: EncodedAudio | m.Timing | m.Done) -> Iterator[dict[str, Any]]:
        """The events for an event of the session."""
        match event:
            case EncodedAudio():
                self._end_pts = event.end_pts
                for part in split(self._format.encode(event.payload), CHUNK_BYTES_MAX):
                    yield self._event("chunk", data=base64.b64encode(part).decode(), step_time=0.0)
            case m.Timing():
                yield from self._words(self._tracker.add_timings(event.words))
                if event.phonemes:
                    fields = phoneme_timestamps(event.phonemes, self._format.session_format.sample_rate)
                    yield self._event("phoneme_timestamps", phoneme_timestamps=fields)
            case m.Done():
                yield from self._words(self._tracker.complete(self._tracker.chars, self._end_pts))
                yield self._event("done") | {"done": True}

    def _words(self, words: list[TimedWord]) -> Iterator[dict[str, Any]]:
        if words and self._add_timestamps:
            fields = word_timestamps(words, self._format.session_format.sample_rate)
            yield self._event("timestamps", word_timestamps=fields)

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "done": False, "status_code": STATUS} | fields | self.context_field
