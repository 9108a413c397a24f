"""A client on the move, on virtual time: its connections drop, what is on the way is lost, and it resumes.

The server side is the real one from `NativeHandler` down. A wire has a delay each way and delivers in order while it
lives; a cut loses what is in flight, and the server notices it only a while later.
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
from voxwire_server.session.replay import ReplayLog
from voxwire_server.session.resume_tokens import ResumeTokens
from voxwire_server.transport.websocket import NativeHandler


class Plain:
    """Messages as they are."""

    @staticmethod
    def decode_client(raw: Any, values_max: int) -> Any:
        del values_max
        return raw


@dataclass
class Site:
    """A server that takes connections in a world: the `StreamHost` of its conversations."""

    world: World
    replay_bytes_max: int = 4 << 20
    replay_seconds: float = 600.0
    identity: str = "phone"
    contexts_max: int = 32
    _names: Any = field(default_factory=itertools.count)

    @property
    def sessions(self):
        return self.world.sessions

    @property
    def services(self):
        return self.world.services

    def admit_session(self, caller) -> None:
        """Everybody gets a place."""

    def new_driver(self, sink) -> Driver:
        tokens = (f"token-{next(self._names)}" for _ in itertools.count())
        resume_tokens = ResumeTokens(lambda: next(tokens))
        world = self.world
        core = SessionCore(
            f"s{next(self._names)}", resume_tokens.current, world.settings, world.directory, lambda: 5, world.now
        )
        log = ReplayLog(self.replay_bytes_max, self.replay_seconds)
        return Driver(core, sink, self.services, Resumable(self.identity, resume_tokens, log))


class Wire:
    """One connection. What the server gathers leaves at once and arrives `delay` later."""

    def __init__(self, site: Site, phone: Phone, delay: float) -> None:
        self.alive = True
        self.closed = asyncio.Event()
        self.close_reason = (1000, "")
        self.on_written = None
        self.told: tuple[int, str] | None = None
        self._world, self._phone, self._delay = site.world, phone, delay
        self._down_at = self._up_at = site.world.now
        self.conversation = NativeHandler(self, site.new_driver(self), Plain(), site)
        self._up(self.conversation.open)

    def send(self, message: m.ClientMessage) -> None:
        """From the client."""
        self._up(lambda: self.conversation.receive(message))

    def cut(self, notice: float) -> None:
        """Lose it; the server learns of it after `notice` seconds."""
        self.alive = False
        self._world.at(self._world.now + notice, lambda: self.conversation.disconnected(1006))

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
                self._phone.take(thing, self)

        self._world.at(self._down_at, arrive)

    # -- the outlet -------------------------------------------------------------------------------------------------

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
        self.told = (code, reason)

    def flush(self) -> None:
        pass

    def prefix(self, length: int) -> bytes:
        return b""


class Phone:
    """A client that does what the protocol asks: counts, resumes, sends again."""

    def __init__(self, site: Site, *, delay: float = 0.02, counts: bool = True, acks: bool = True) -> None:
        self.site, self.delay, self.counts, self.acks = site, delay, counts, acks
        self.got: list[m.ServerMessage | Sent] = []
        self.count = 0
        self.said: list[m.ClientMessage] = []
        self.session: str | None = None
        self.fresh: m.Ready | None = None
        self.token = ""
        self.live = False
        self.resumes: list[m.Resumed | m.ResumeFailed] = []
        self.newest: dict[int, int] = {}
        self.names: dict[str, int] = {}
        self.wire = Wire(site, self, delay)

    def say(self, message: m.ClientMessage) -> None:
        """Send a message, now or when the connection is back."""
        self.said.append(message)
        if self.live:
            self.wire.send(message)

    def drop(self, away: float, notice: float) -> None:
        """Lose the connection, and come back after a while."""
        if not self.wire.alive:
            return
        self.wire.cut(notice)
        self.live = False
        self.site.world.at(self.site.world.now + away, self._connect)

    def _connect(self) -> None:
        self.wire = Wire(self.site, self, self.delay)

    def take(self, thing: m.ServerMessage | Sent, wire: Wire) -> None:
        """Something arrived."""
        match thing:
            case m.Ready() if self.session is None:
                self.session, self.token, self.live = thing.session, thing.token, True
                for message in self.said:
                    wire.send(message)
            case m.Ready():
                self.fresh = thing
                contexts = {name: self.newest[number] for name, number in self.names.items() if number in self.newest}
                wire.send(
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
                for message in self.said[thing.received :]:
                    wire.send(message)
            case m.ResumeFailed() if not self.count and self.fresh is not None:
                # Nothing of what was said had arrived when the connection dropped, so no session was kept.
                self.session, self.token, self.live = self.fresh.session, self.fresh.token, True
                for message in self.said:
                    wire.send(message)
            case m.ResumeFailed():
                self.resumes.append(thing)
            case _:
                self.count += 1
                self.got.append(thing)
                self._note(thing)

    def _note(self, thing: m.ServerMessage | Sent) -> None:
        if isinstance(thing, m.Started):
            self.names[thing.context] = thing.number
        elif isinstance(thing, Sent):
            self.newest[thing.number] = thing.seq
            if self.acks and thing.seq % 10 == 9:
                for name in (name for name, number in self.names.items() if number == thing.number):
                    self.say(m.Ack(context=name, seq=thing.seq, played_pts=thing.pts))

    def stream(self) -> dict[str, dict[str, list[Any]]]:
        """What came of each context, by type, without what time and luck decide.

        How far ahead of its audio a message comes is such a thing; that none comes after it is checked here.
        """
        numbers = {number: name for name, number in self.names.items()}
        found: dict[str, dict[str, list[Any]]] = {}
        for each in self.got:
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
