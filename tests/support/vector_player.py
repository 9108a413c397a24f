"""Plays the client's part of the vectors that are scripts with the Python client, as programs beside the others do.

A client's answer to a script: {"listeners": {context: {kind: […]}}, "reports": […], "cancels": […], "error"}; the error
is a text, or null.
"""

from __future__ import annotations

import asyncio
from typing import Any

from support.vector_server import SERVERS
from voxwire_client import Audio, Context, Interrupted, Reconnected, Session, connect
from voxwire_protocol import messages as m

SECONDS_MAX = 8
"""A script that takes longer has failed."""


class Listener:
    """Reads the events of one context, and keeps them as the vectors have them."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.got: dict[str, Any] = {
            kind: [] for kind in ("audio", "clauses", "words", "flushed", "dropped", "reconnected", "anew", "done")
        }
        self._changed = asyncio.Event()
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self.context:
            self._take(event)
            self._changed.set()

    def _take(self, event: Any) -> None:
        got = self.got
        match event:
            case Audio():
                got["audio"].append([event.seq, event.pts, int.from_bytes(event.payload[:2], "little")])
            case m.ClauseStarted():
                got["clauses"].append([*event.chars, event.pts])
            case m.Timing():
                got["words"] += [[word.text, *word.chars, word.pts, word.end_pts] for word in event.words]
            case m.Flushed():
                got["flushed"].append([event.id, event.seq])
            case Interrupted():
                got["dropped"].append(event.reason.code)
            case Reconnected():
                self._reconnected(event)
            case m.Done():
                got["done"] = [event.reason.value, event.frames, event.samples, event.chars]
            case _:
                pass

    def _reconnected(self, event: Reconnected) -> None:
        got, pts = self.got, event.pts
        got["reconnected"].append(event.resumed)
        if pts is not None:
            got["anew"].append([pts, event.chars])
            got["clauses"] = [clause for clause in got["clauses"] if clause[2] < pts]
            got["words"] = [word for word in got["words"] if word[3] < pts]

    async def wait(self, kind: str, count: int) -> None:
        """Wait until so many of a kind have come."""
        while len(self.got[kind]) < count:
            if self.task.done():
                self.task.result()
            self._changed.clear()
            await self._changed.wait()


class Player:
    """One script on one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.listeners: dict[str, Listener] = {}
        self.reports: list[dict[str, Any]] = []
        self.cancels: list[dict[str, Any]] = []

    def listener(self, name: str) -> Listener:
        """The listener of a context, which begins with the first step of it."""
        if name not in self.listeners:
            self.listeners[name] = Listener(self._session.context(context=name))
        return self.listeners[name]

    async def play(self, step: dict[str, Any]) -> None:
        """Do one step; those of the server's are not for this side."""
        if step["step"] in SERVERS:
            return
        listener = self.listener(step["context"])
        context = listener.context
        match step["step"]:
            case "write":
                await context.text(step["text"])
            case "flush":
                await context.flush(step["id"])
            case "end":
                await context.end()
            case "retract":
                assert await context.retract(step["from_char"]) == step["left"]
            case "wait":
                await listener.wait(step["kind"], step["count"])
            case "report":
                heard = context.heard(step["played_pts"])
                self.reports.append({"heard": heard_map(heard), "text": context.text_so_far})
            case "cancel":
                cancelled = await context.cancel(played_pts=step["played_pts"])
                unheard = {"chars": cancelled.unheard.chars, "text": cancelled.unheard.text}
                self.cancels.append({"heard": heard_map(cancelled.heard), "unheard": unheard})


def heard_map(heard: m.Heard) -> dict[str, Any]:
    """As in the protocol."""
    found: dict[str, Any] = {"pts": heard.pts, "chars": heard.chars, "text": heard.text}
    return found if heard.word is None else {**found, "word": heard.word}


async def answer(url: str, script: dict[str, Any]) -> dict[str, Any]:
    """What the Python client makes of a script."""
    async with connect(url) as session:
        player = Player(session)
        error = None
        try:
            async with asyncio.timeout(SECONDS_MAX):
                for step in script["steps"]:
                    await player.play(step)
                await finish(player, script)
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
        listeners = {name: listener.got for name, listener in player.listeners.items()}
        for listener in player.listeners.values():
            listener.task.cancel()
            await asyncio.gather(listener.task, return_exceptions=True)
        return {"listeners": listeners, "reports": player.reports, "cancels": player.cancels, "error": error}


async def finish(player: Player, script: dict[str, Any]) -> None:
    """Wait for the ends that the script tells of."""
    for name, got in script["listeners"].items():
        if "done" in got:
            await player.listener(name).wait("done", 1)


async def answers(url: str, scripts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the Python client makes of each script."""
    return [await answer(f"{url}?case={number}", script) for number, script in enumerate(scripts)]
