"""Plays the server's part of the vectors that are scripts, on loopback: the case is named in the URL's query.

A client's acks and pings are no part of a script: they are counted, answered, and left out otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from support import vectors
from support.vector_scripts import FRAME_SAMPLES
from voxwire_protocol import messages as m
from voxwire_protocol.audio import AudioFrame, Flag, pack_frame
from voxwire_protocol.codec import JSON, MSGPACK, codec_for, server_message, to_map

SECONDS_MAX = 20
SERVERS = frozenset({"connect", "say", "come", "frames", "drop", "pause"})
"""The server's steps; the others are the client's."""
OPTIONAL = {"text": {"seq"}, "resume": {"contexts", "text_seq"}}
"""Fields that a client may leave out."""


def load(file: str) -> list[dict[str, Any]]:
    """The scripts of a file."""
    scripts: list[dict[str, Any]] = json.loads((vectors.DIRECTORY / file).read_text(encoding="utf-8"))
    return scripts


class Case:
    """One script, played on one connection after another."""

    def __init__(self, script: dict[str, Any]) -> None:
        self.problem: str | None = None
        self.finished = False
        self._steps = deque(step for step in script["steps"] if step["step"] in SERVERS)
        self._names: dict[str, str] = {}
        self._seeds: dict[str, int | None] = {}
        self._said: list[bool] = []
        """Of each message of the session: whether the script knows it."""
        self._lost_from: int | None = None
        self._numbers: dict[int, str] = {}
        self._sent: dict[str, int] = {}
        """How many frames were sent of a context, by the client's name of it."""

    async def connected(self, socket: ServerConnection) -> None:
        """Play the script up to the end of this connection."""
        try:
            async with asyncio.timeout(SECONDS_MAX):
                await self._play(socket)
        except (AssertionError, ConnectionClosed, TimeoutError) as error:
            self.problem = self.problem or f"{type(error).__name__} {error} before {list(self._steps)[:2]}"
            await socket.close(1000)

    async def _play(self, socket: ServerConnection) -> None:
        assert self._steps, "the script is over"
        step = self._steps.popleft()
        assert step["step"] == "connect", "another connection was not expected"
        query = parse_qs(urlsplit(socket.request.path).query) if socket.request else {}
        assert query.get("resume") == ([step["resume"]] if step["resume"] else None), query
        while self._steps and self._steps[0]["step"] != "connect":
            step = self._steps.popleft()
            await getattr(self, f"_{step['step']}")(socket, step)
        self.finished = not self._steps
        if self.finished:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self._next(socket)

    # -- what the client says -----------------------------------------------------------------------------------------

    async def _next(self, socket: ServerConnection) -> dict[str, Any]:
        while True:
            codec = codec_for(socket.subprotocol or "") or JSON
            said = to_map(codec.decode_client(await socket.recv()))
            if said["type"] == "ping":
                await socket.send(codec.encode(m.Pong(t=said["t"], server_ms=0)))
            if said["type"] not in ("ack", "ping"):
                return said
            if said["type"] == "ack":
                self._acknowledged(said)
            self._said.append(False)

    def _acknowledged(self, ack: dict[str, Any]) -> None:
        sent = self._sent.get(ack["context"], 0)
        assert ack.get("seq", -1) < sent, f"{ack}, and {sent} frames were sent"
        assert ack.get("played_pts", 0) <= sent * FRAME_SAMPLES, f"{ack}, and {sent} frames were sent"

    async def _say(self, socket: ServerConnection, step: dict[str, Any]) -> None:
        wanted = step["message"]
        said = await self._next(socket)
        if said["type"] != "resume":
            if step["lost"] and self._lost_from is None:
                self._lost_from = len(self._said)
            self._said.append(True)
        if "context" in wanted:
            self._names.setdefault(wanted["context"], said["context"])
        compare(self._actual(wanted), said)
        if said["type"] == "start":
            seed = said.get("seed")
            assert self._seeds.setdefault(said["context"], seed) == seed, "another seed"

    def _actual(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message with the client's own names of contexts."""
        named = dict(message)
        if "context" in message:
            named["context"] = self._names[message["context"]]
        for key in ("contexts", "text_seq"):
            if isinstance(message.get(key), dict):
                named[key] = {self._names[name]: value for name, value in message[key].items()}
        return named

    # -- what the server says -----------------------------------------------------------------------------------------

    async def _come(self, socket: ServerConnection, step: dict[str, Any]) -> None:
        message = self._actual(step["message"])
        if message["type"] in ("resumed", "state"):
            message["received"] = self._received(message["received"])
        if message["type"] == "resume_failed":
            self._said, self._lost_from, self._sent = [], None, {}
        if message["type"] == "started":
            self._numbers[message["number"]] = message["context"]
        codec = codec_for(socket.subprotocol or "") or JSON
        await socket.send(codec.encode(server_message(message)))

    def _received(self, count: int) -> int:
        """A count of the script's, with the acks and pings that came between; what is lost is forgotten."""
        if self._lost_from is not None:
            del self._said[self._lost_from :]
            self._lost_from = None
        known = sum(self._said)
        assert known == count, f"the script says {count}, and {known} came"
        return len(self._said)

    async def _frames(self, socket: ServerConnection, step: dict[str, Any]) -> None:
        for index in range(step["count"]):
            seq = step["first_seq"] + index
            flags = Flag.FIRST if seq == 0 else Flag(0)
            flags |= Flag.LAST if step["last"] and index == step["count"] - 1 else Flag(0)
            flags |= Flag.REPLAYED if step["replayed"] else Flag(0)
            payload = (step["value"] + index).to_bytes(2, "little") * FRAME_SAMPLES
            context = self._numbers[step["number"]]
            self._sent[context] = max(self._sent.get(context, 0), seq + 1)
            await socket.send(pack_frame(AudioFrame(step["number"], seq, seq * FRAME_SAMPLES, payload, flags)))

    async def _pause(self, _: ServerConnection, step: dict[str, Any]) -> None:
        await asyncio.sleep(step["ms"] / 1000)

    async def _drop(self, socket: ServerConnection, step: dict[str, Any]) -> None:
        # What the client says meanwhile is lost on it, too.
        if self._lost_from is None:
            self._lost_from = len(self._said)
        await socket.close(step["code"])


def compare(wanted: dict[str, Any], said: dict[str, Any]) -> None:
    """A message must be what the script says; of a `start` only what the script names counts."""
    optional = OPTIONAL.get(wanted["type"], set())
    for name, value in wanted.items():
        if name in optional and not said.get(name):
            continue
        if isinstance(value, dict) and wanted["type"] == "start":
            found = {key: said.get(name, {}).get(key) for key in value}
        else:
            found = said.get(name)
        assert found == value, f"{name} must be {value!r}, not {found!r}, in {said}, where {wanted} was due"
    if wanted["type"] != "start":
        more = said.keys() - wanted.keys() - optional
        assert not more, f"{sorted(more)} in {said}, where {wanted} was due"


@contextlib.asynccontextmanager
async def playing(scripts: list[dict[str, Any]]) -> AsyncIterator[tuple[str, dict[str, Case]]]:
    """Serve scripts; yields the URL, to which `?case=` and the number of a script are added, and the cases by it."""
    cases = {str(number): Case(script) for number, script in enumerate(scripts)}

    async def handle(socket: ServerConnection) -> None:
        query = parse_qs(urlsplit(socket.request.path if socket.request else "").query)
        await cases[query["case"][0]].connected(socket)

    subprotocols: Any = [JSON.subprotocol, MSGPACK.subprotocol]
    async with serve(handle, "127.0.0.1", 0, subprotocols=subprotocols, compression=None, close_timeout=2) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/stream", cases
