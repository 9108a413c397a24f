"""Two nodes behind HAProxy die and restart under listeners: how long until each hears speech again, and what silence.

    python bench/nodes.py [--listeners 50] [--rounds 5]

Each round kills a node (kill -9), freezes one (SIGSTOP), and restarts both one after the other, while all listen in
realtime. Every listener's text must have come whole. Wants HAProxy (`apt-get install haproxy`).
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

from host import OPEN_DOORS, machine
from support.failover_listeners import Hearing, Listener
from support.nodes import TONE, Cluster, Node, cluster

TEXT = "This is a sentence that somebody listens to. " * 8
ENGINES = {
    "tone": (TONE, "tone-low"),
    "hibari": (("engines.enabled=hibari", *OPEN_DOORS), "heart"),
}


async def restart(two: Cluster, node: Node) -> None:
    """Drain a node, and start it again."""
    node.drain()
    assert await node.until_gone() == 0
    node.start()
    await two.until_up()


async def disturbed(two: Cluster, count: int, voice: str, disturb: Callable[[], Awaitable[None]]) -> list[Hearing]:
    """What so many listeners hear of the same text while something happens."""
    listeners = [Listener(two.balancer.url) for _ in range(count)]

    async def hear(listener: Listener) -> None:
        await listener.hear(TEXT, voice=voice)

    async with asyncio.TaskGroup() as group:
        for listener in listeners:
            group.create_task(listener.stay(hear))
        await asyncio.gather(*(listener.until_frames(50) for listener in listeners))
        await disturb()
    hearings = [listener.heard[0] for listener in listeners]
    for hearing in hearings:
        words = [word.text.strip(".") for word in hearing.words]
        assert words == TEXT.replace(".", "").split(), "text was lost"
    return hearings


async def dies(two: Cluster, count: int, voice: str, end: Callable[[Node], None]) -> tuple[list[float], list[Hearing]]:
    """Seconds until each listener of a node that ended was spoken to again, and what all heard."""
    at = 0.0

    async def disturb() -> None:
        nonlocal at
        at = time.monotonic()
        end(two.a)

    hearings = await disturbed(two, count, voice, disturb)
    two.a.kill()
    two.a.start()
    await two.until_up()
    return [hearing.back_after(at) for hearing in hearings if hearing.begun_anew], hearings


def silence(hearings: list[Hearing]) -> str:
    """How many had nothing to play for a while, and the longest."""
    seconds = [hearing.silence_seconds() for hearing in hearings]
    return f"{sum(each > 0.02 for each in seconds):3d} of {len(seconds)} heard silence, {max(seconds):.3f} s at most"


async def measure(two: Cluster, count: int, voice: str, rounds: int) -> None:
    """Print a line for each kind of disturbance."""
    for title, end in (("kill -9", Node.kill), ("SIGSTOP", Node.freeze)):
        seconds: list[float] = []
        hearings: list[Hearing] = []
        for _ in range(rounds):
            back, heard = await dies(two, count, voice, end)
            seconds += back
            hearings += heard
        print(
            f"  {title}: {len(seconds)} listeners spoken to again after {statistics.median(seconds):.3f} s (median), "
            f"{max(seconds):.3f} s (the last); {silence(hearings)}",
            flush=True,
        )

    async def roll() -> None:
        for node in (two.a, two.b):
            await restart(two, node)

    hearings = [hearing for _ in range(rounds) for hearing in await disturbed(two, count, voice, roll)]
    anew = sum(hearing.begun_anew for hearing in hearings)
    print(f"  rolling restart: {anew} of {len(hearings)} texts were cut; {silence(hearings)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--listeners", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(machine())
    for engine, (settings, voice) in ENGINES.items():
        print(
            f"{engine}: {arguments.listeners} listeners, {arguments.rounds} rounds; nothing of the text lost",
            flush=True,
        )
        with cluster(*settings, "server.notice_seconds=1.5") as two:
            asyncio.run(measure(two, arguments.listeners, voice, arguments.rounds))


if __name__ == "__main__":
    main()
