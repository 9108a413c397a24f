"""Serves Cartesia's HTTP endpoints: `/tts/bytes`, `/tts/sse` and the voices."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import orjson
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.cartesia.errors import error_event
from voxwire_server.compat.cartesia.formats import StreamFormat, raw_stream_format, split, stream_format
from voxwire_server.compat.cartesia.translator import (
    CHUNK_BYTES_MAX,
    STATUS,
    TimedWord,
    WordTracker,
    phoneme_timestamps,
    word_timestamps,
)
from voxwire_server.compat.host import unknown_voice, voice_of_model
from voxwire_server.compat.http import SpeechResponse, SpeechStream
from voxwire_server.compat.session import EncodedAudio
from voxwire_server.text.inline import CARTESIA

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from starlette.responses import Response

    from voxwire_server.compat.cartesia.messages import BytesBody, SseBody
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.operation import Call, NoFields
    from voxwire_server.speech import Voice

_GENDERS = {"female": "feminine", "male": "masculine"}
_CREATED_AT = "1970-01-01T00:00:00Z"
"""Clients require a date, and voices here have none."""


class VoicesQuery(BaseModel):
    """The page of the list, and its filters."""

    limit: Annotated[int, Field(ge=1, le=100)] = 100
    starting_after: str | None = None
    ending_before: str | None = None
    q: str = ""
    gender: str | None = None
    is_owner: bool | None = None


async def list_voices(host: CompatHost, call: Call[NoFields, VoicesQuery]) -> Response:
    """A page of the voices."""
    query = call.query
    found = [fields for fields in _all(host) if _matches(fields, query)]
    ids = [fields["id"] for fields in found]
    if query.ending_before is not None:
        stop = _index(ids, query.ending_before)
        start = max(0, stop - query.limit)
        more = start > 0
    else:
        start = 0 if query.starting_after is None else _index(ids, query.starting_after) + 1
        stop = min(len(ids), start + query.limit)
        more = stop < len(ids)
    following = ids[stop - 1] if more and query.ending_before is None else None
    return JSONResponse({"data": found[start:stop], "has_more": more, "next_page": following})


async def one_voice(host: CompatHost, call: Call[NoFields, NoFields]) -> Response:
    """One voice, by its name or an alias."""
    name = call.request.path_params["voice_id"]
    found = host.find_voice(name)
    if found is None:
        raise unknown_voice(host, name)
    return JSONResponse(_fields(found, name))


def _all(host: CompatHost) -> list[dict[str, Any]]:
    voices = [voice for engine in host.engines() for voice in engine.voices]
    return [_fields(voice, _id_of(host, voice)) for voice in voices]


def _id_of(host: CompatHost, voice: Voice) -> str:
    return voice.name if host.find_voice(voice.name) == voice else f"{voice.engine}/{voice.name}"


def _matches(fields: dict[str, Any], query: VoicesQuery) -> bool:
    if query.is_owner or query.gender not in (None, fields["gender"]):
        return False
    return query.q.lower() in f"{fields['id']} {fields['name']} {fields['description']}".lower()


def _index(ids: list[str], voice_id: str) -> int:
    """The index of a voice at which a page begins or ends.

    Raises:
        VoxwireError: client.invalid_field.
    """
    if voice_id not in ids:
        raise VoxwireError(
            ErrorCode.INVALID_FIELD, f"there is no voice {voice_id[:64]!r} in this list", details={"field": "page"}
        )
    return ids.index(voice_id)


def _fields(voice: Voice, voice_id: str) -> dict[str, Any]:
    return {
        "id": voice_id,
        "name": voice.name,
        "description": voice.description,
        "tagline": "",
        "language": voice.languages[0].split("-")[0],
        "locales": [{"locale": tag, "is_native": tag == voice.languages[0]} for tag in voice.languages],
        "gender": _GENDERS.get(voice.gender, voice.gender or None),
        "is_owner": False,
        "is_public": True,
        "access": "public",
        "visibility": "all",
        "created_at": _CREATED_AT,
    }


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
    return await SpeechStream.open(host, call.request, body.transcript, start, format.session_format, CARTESIA)


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
