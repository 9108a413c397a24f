"""Whether anything grows: very many short sessions of every kind, and what the server holds after each few thousand.

    python bench/soak.py [--sessions 50000] [--save bench/results/soak.json] [--plot bench/results/soak.png]

Sessions end cleanly, cancel, drop, drop and resume, read too slowly, talk nonsense (`tests/support/chaos_clients.py`).
Resident memory, threads, file handles, sessions, contexts and unfinished clauses are sampled all the while. At each of
`--rests` rests no session begins until the last has ended: what is held then is what the server holds for `RESIDENTS`
sessions that stay to the end, each with an open context.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from host import Host, machine, serving
from support.chaos_clients import Visitor, Visits
from support.raw_websocket import CLOSE, PING, PONG, frame

WINDOW_SECONDS = 2.0
SLOW_READER_SECONDS = 0.5

SETTINGS = (
    "engines.enabled=tone",
    "engines.default=tone",
    "scheduling.utilisation_max=100",
    "scheduling.queue_seconds_max=60",
    f"resume.window_seconds={WINDOW_SECONDS}",
    f"limits.slow_reader_seconds={SLOW_READER_SECONDS}",
)

RESIDENTS = 2

LEVELS = ("memory_mb", "threads", "handles", "sessions", "away", "contexts", "requests")


@dataclass(frozen=True, slots=True)
class Level:
    """What the server holds at one moment, after so many sessions."""

    seconds: float
    done: int
    memory_mb: float
    threads: int
    handles: int
    sessions: float
    away: float
    contexts: float
    requests: float
    listeners: float

    @property
    def quiet(self) -> bool:
        """Whether it holds no session but the residents'."""
        return not (self.away or self.requests or self.listeners) and self.sessions == self.contexts == RESIDENTS


def look(host: Host, began: float, done: int) -> Level:
    """What the server holds now."""
    found = host.metrics()
    process = host.process
    with process.oneshot():
        return Level(
            seconds=round(time.monotonic() - began, 1),
            done=done,
            memory_mb=round(process.memory_info().rss / 1e6, 2),
            threads=process.num_threads(),
            handles=process.num_fds(),
            sessions=found["voxwire_sessions"],
            away=found["voxwire_sessions_away"],
            contexts=found["voxwire_contexts"],
            requests=found["voxwire_clauses"],
            listeners=sum(v for k, v in found.items() if k.startswith("voxwire_engine_listeners{")),
        )


async def rest(host: Host, began: float, done: int, seconds: float = 30.0) -> Level:
    """Wait until the server holds no session, and look; gives what there is when that does not come."""
    until = time.monotonic() + seconds
    while True:
        level = await asyncio.to_thread(look, host, began, done)
        if level.quiet or time.monotonic() > until:
            await asyncio.sleep(1.0)  # the scrape's own connection, sockets that linger
            return await asyncio.to_thread(look, host, began, done)
        await asyncio.sleep(0.2)


async def sample(host: Host, began: float, visits: Visits, samples: list[Level], every: float) -> None:
    """Look every so often, until cancelled."""
    while True:
        samples.append(await asyncio.to_thread(look, host, began, visits.counts.total()))
        await asyncio.sleep(every)


async def reside(port: int) -> None:
    """A session with an open context, until cancelled."""
    resident = await Visitor.connect(port)
    resident.send({"type": "start", "context": "c"})
    while True:
        opcode, payload = await resident.read()
        assert opcode != CLOSE, payload
        if opcode == PING:
            resident.writer.write(frame(PONG, payload))


async def visit(visits: Visits, count: int, at_once: int) -> None:
    """So many visits, so many at once."""
    left = iter(range(count))

    async def visitor(left: Iterator[int]) -> None:
        for _ in left:
            await visits.one()

    await asyncio.gather(*(visitor(left) for _ in range(at_once)))


async def soak(host: Host, args: argparse.Namespace) -> tuple[list[Level], list[Level], Visits]:
    """Run it; gives the levels at rest, the samples between, and the visits."""
    visits = Visits(host.port, random.Random(1), window_seconds=WINDOW_SECONDS, slow_reader_seconds=SLOW_READER_SECONDS)
    began = time.monotonic()
    residents = [asyncio.create_task(reside(host.port)) for _ in range(RESIDENTS)]
    rests = [await rest(host, began, 0)]
    samples: list[Level] = []
    sampling = asyncio.create_task(sample(host, began, visits, samples, 2.0))
    for number in range(args.rests):
        await visit(visits, args.sessions // args.rests, args.at_once)
        rests.append(await rest(host, began, visits.counts.total()))
        level = rests[-1]
        print(json.dumps({**asdict(level), "unexpected": len(visits.unexpected)}), flush=True)
        if level.seconds * (number + 2) / (number + 1) > args.minutes * 60:
            print(f"stopped early: {args.minutes} minutes are over")
            break
    sampling.cancel()
    assert not any(each.done() for each in residents), "a resident was let go"
    for each in residents:
        each.cancel()
    return rests, samples, visits


def slope(levels: Sequence[Level], name: str) -> float:
    """Growth a thousand sessions by least squares."""
    xs = [level.done / 1000 for level in levels]
    ys = [float(getattr(level, name)) for level in levels]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((each - x) ** 2 for each in xs)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / spread if spread else 0.0


def summarise(rests: Sequence[Level], samples: Sequence[Level]) -> dict[str, dict[str, float]]:
    """Each level at the first rest after sessions and the last, its greatest value, and its growth in the second half
    of the rests: caches and allocators fill up in the first."""
    later = rests[len(rests) // 2 :]
    return {
        name: {
            "before": getattr(rests[0], name),
            "first_rest": getattr(rests[1], name),
            "end": getattr(rests[-1], name),
            "most": max(getattr(level, name) for level in [*rests, *samples]),
            "slope_per_1000": round(slope(later, name), 4),
        }
        for name in LEVELS
    }


def plot(rests: Sequence[Level], samples: Sequence[Level], path: Path, title: str) -> None:
    """Draw levels against sessions."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = (
        ("resident memory, MB", ("memory_mb",)),
        ("threads, file handles", ("threads", "handles")),
        ("sessions, contexts, requests", ("sessions", "contexts", "requests")),
    )
    figure, axes = plt.subplots(len(panels), 1, figsize=(9, 8), sharex=True, layout="constrained")
    for axis, (label, names) in zip(axes, panels, strict=True):
        for number, name in enumerate(names):
            colour = f"C{number}"
            xs, ys = [s.done for s in samples], [getattr(s, name) for s in samples]
            axis.plot(xs, ys, color=colour, alpha=0.35, linewidth=0.8)
            xs, ys = [r.done for r in rests], [getattr(r, name) for r in rests]
            axis.plot(xs, ys, "o-", color=colour, markersize=4, label=f"{name.removesuffix('_mb')}, at rest")
        axis.set_ylabel(label)
        axis.set_ylim(bottom=0)
        axis.legend(loc="center right", fontsize=8)
        axis.grid(alpha=0.3)
    axes[0].set_title(title)
    axes[-1].set_xlabel("sessions so far")
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=50_000)
    parser.add_argument("--rests", type=int, default=25)
    parser.add_argument("--at-once", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=20.0, help="stop at the rest that would end after so long")
    parser.add_argument("--save", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    import uvloop

    print(machine())
    with serving(*SETTINGS) as host:
        rests, samples, visits = uvloop.run(soak(host, args))
        cpu_seconds = host.cpu_seconds()
    summary = summarise(rests, samples)
    for name, row in summary.items():
        print(name, json.dumps(row))
    print("kinds", json.dumps(visits.counts))
    print("unexpected", len(visits.unexpected), visits.unexpected[:5])
    took = rests[-1].seconds
    total = visits.counts.total()
    print(f"{total} sessions in {took:.0f} s, {cpu_seconds / total * 1000:.2f} ms of the server's CPU each")
    if args.save:
        result = {
            "command": sys.argv,
            "machine": machine(),
            "settings": SETTINGS,
            "sessions": total,
            "seconds": took,
            "kinds": visits.counts,
            "unexpected": visits.unexpected[:100],
            "summary": summary,
            "rests": [asdict(level) for level in rests],
            "samples": [asdict(level) for level in samples],
        }
        args.save.write_text(json.dumps(result, indent=1) + "\n")
    if args.plot:
        plot(rests, samples, args.plot, f"{total} sessions in {took / 60:.0f} minutes, {machine()}")


if __name__ == "__main__":
    main()
