"""A client whose connections drop, on virtual time: what is in flight is lost, and the client resumes its session.

The server side is the real one from `NativeHandler` down. A connection has a delay each way and delivers in order until
it is cut; the server notices the cut only a while later.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import zlib
from dataclasses import dataclass, field
from typing import Any

from support.session_sim import Sent, World
from voxwire_protocol import messages as m
from voxwire_server.session.core import SessionCore
from voxwire_server.session.driver import Driver, Resumable
from voxwire_server.session.resume import ReplayLog, ResumeTokens
from voxwire_server.transport.websocket import NativeHandler


class PlainCodec:
    """Messages as they are."""

    @staticmethod
    def decode_client(raw: Any, values_max: int) -> Any:
        del values_max
        return raw


@dataclass
class ResumableServer:
    """A server in a simulated world that takes connections: the `StreamHost` of their handlers."""

    world: World
    replay_bytes_max: int = 4 << 20
    replay_seconds: float = 600.0
    account: str = "client"
    contexts_max: int = 32
    _names: Any = field(default_factory=itertools.count)

    @property
    def sessions(self):
        return self.world.sessions

    @property
    def services(self):
        return self.world.services

    def admit_session(self, identity) -> None:
        """Every session is admitted."""

    def new_driver(self, sink) -> Driver:
        tokens = (f"token-{next(self._names)}" for _ in itertools.count())
        resume_tokens = ResumeTokens(lambda: next(tokens))
        world = self.world
        core = SessionCore(
            f"s{next(self._names)}", resume_tokens.current, world.settings, world.directory, lambda: 5, world.now
        )
        log = ReplayLog(self.replay_bytes_max, self.replay_seconds)
        return Driver(core, sink, self.services, Resumable(self.account, resume_tokens, log))


class Connection:
    """One connection. What either side sends arrives `delay` seconds later."""

    def __init__(self, server: ResumableServer, client: FlakyClient, delay: float) -> None:
        self.alive = True
        self.closed = asyncio.Event()
        self.close_reason = (1000, "")
        self.on_written = None
        self.close_sent: tuple[int, str] | None = None
        self._world, self._client, self._delay = server.world, client, delay
        self._down_at = self._up_at = server.world.now
        self.handler = NativeHandler(self, server.new_driver(self), PlainCodec(), server)
        self._up(self.handler.open)

    def send(self, message: m.ClientMessage) -> None:
        """From the client."""
        self._up(lambda: self.handler.receive(message))

    def cut(self, notice: float) -> None:
        """Lose it; the server learns of it after `notice` seconds."""
        self.alive = False
        self._world.at(self._world.now + notice, lambda: self.handler.disconnected(1006))

    def _up(self, action) -> None:
        self._up_at = max(self._up_at, self._world.now + self._delay)

        def arrive() -> None:
            if self.alive:
                action()

        self._world.at(self._up_at, arrive)

    def _down(self, thing) -> None:
        self._down_at = max(self._down_at, self._world.now + self._delay)

        def arrive() -> None:
            if self.alive:
                self._client.take(thing, self)

        self._world.at(self._down_at, arrive)

    # -- Sink -------------------------------------------------------------------------------------------------------

    def on_arrival(self, arrived) -> None:
        if arrived is not None:
            there_at = max(self._down_at, self._world.now + self._delay)
            self._world.at(there_at, lambda: self._up(arrived) if self.alive else None)

    def message(self, message: m.ServerMessage) -> None:
        self._down(message)

    def frames(self, block, start: int, stop: int) -> None:
        for i in range(start, stop):
            pts = block.first_pts + i * block.frame_samples
            self._down(
                Sent(
                    self._world.now,
                    block.context_number,
                    block.first_seq + i,
                    pts,
                    int(block.flags(i)),
                    block.payload(i),
                )
            )

    def close(self, code: int, reason: str) -> None:
        self.close_sent = (code, reason)

    def flush(self) -> None:
        pass

    def prefix(self, length: int) -> bytes:
        return b""


class FlakyClient:
    """A client that follows the protocol: it counts what it receives, resumes, and sends again what was lost."""

    def __init__(self, server: ResumableServer, *, delay: float = 0.02, counts: bool = True, acks: bool = True) -> None:
        self.server, self.delay, self.counts, self.acks = server, delay, counts, acks
        self.received: list[m.ServerMessage | Sent] = []
        self.count = 0
        self.sent: list[m.ClientMessage] = []
        self.session: str | None = None
        self.fresh_ready: m.Ready | None = None
        self.token = ""
        self.live = False
        self.resumes: list[m.Resumed | m.ResumeFailed] = []
        self.newest: dict[int, int] = {}
        self.names: dict[str, int] = {}
        self.connection = Connection(server, self, delay)

    def send(self, message: m.ClientMessage) -> None:
        """Send a message, now or when the connection is back."""
        self.sent.append(message)
        if self.live:
            self.connection.send(message)

    def drop(self, away: float, notice: float) -> None:
        """Lose the connection, and come back after a while."""
        if not self.connection.alive:
            return
        self.connection.cut(notice)
        self.live = False
        self.server.world.at(self.server.world.now + away, self._connect)

    def _connect(self) -> None:
        self.connection = Connection(self.server, self, self.delay)

    def take(self, thing: m.ServerMessage | Sent, connection: Connection) -> None:
        """Something arrived."""
        match thing:
            case m.Ready() if self.session is None:
                self.session, self.token, self.live = thing.session, thing.token, True
                for message in self.sent:
                    connection.send(message)
            case m.Ready():
                self.fresh_ready = thing
                contexts = {name: self.newest[number] for name, number in self.names.items() if number in self.newest}
                connection.send(
                    m.Resume(
                        session=self.session,
                        token=self.token,
                        received=self.count if self.counts else None,
                        contexts=contexts,
                    )
                )
            case m.Resumed():
                self.resumes.append(thing)
                self.token, self.live = thing.token, True
                for message in self.sent[thing.received :]:
                    connection.send(message)
            case m.ResumeFailed() if not self.count and self.fresh_ready is not None:
                # Nothing of what was sent had arrived when the connection dropped, so no session was kept.
                self.session, self.token, self.live = self.fresh_ready.session, self.fresh_ready.token, True
                for message in self.sent:
                    connection.send(message)
            case m.ResumeFailed():
                self.resumes.append(thing)
            case _:
                self.count += 1
                self.received.append(thing)
                self._note(thing)

    def _note(self, thing: m.ServerMessage | Sent) -> None:
        if isinstance(thing, m.Started):
            self.names[thing.context] = thing.number
        elif isinstance(thing, Sent):
            self.newest[thing.number] = thing.seq
            if self.acks and thing.seq % 10 == 9:
                for name in (name for name, number in self.names.items() if number == thing.number):
                    self.send(m.Ack(context=name, seq=thing.seq, played_pts=thing.pts))

    def stream(self) -> dict[str, dict[str, list[Any]]]:
        """What came of each context, by type, without what depends on timing.

        How far ahead of its audio a message comes depends on it; that none comes after its audio is checked here.
        """
        numbers = {number: name for name, number in self.names.items()}
        found: dict[str, dict[str, list[Any]]] = {}
        for each in self.received:
            name = numbers[each.number] if isinstance(each, Sent) else getattr(each, "context", None)
            if name is None or isinstance(each, m.Accepted | m.WarningMessage):
                continue
            of_context = found.setdefault(name, {"frames": []})
            frames = of_context["frames"]
            match each:
                case Sent():
                    frames.append((each.seq, each.pts, each.flags & 3, zlib.crc32(each.payload)))
                    continue
                case m.ClauseStarted():
                    assert all(pts < each.pts for _, pts, _, _ in frames[-1:])
                case m.Flushed():
                    assert len(frames) == (-1 if each.seq is None else each.seq) + 1
                case m.Done():
                    assert len(frames) == each.frames
                    each = dataclasses.replace(each, timings=None)
                case _:
                    pass
            of_context.setdefault(each.type, []).append(each)
        return found
