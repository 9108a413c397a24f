"""What one client that means harm costs the others: the longest that the event loop is held, and whether they hear it.

    python bench/abuse.py [--only WORD ...] [--seconds 5] [--save bench/results/abuse.json]

A server with two API keys speaks hibari. With one key a listener hears one answer after the other at playout speed, and
a probe asks for a `pong` every 10 ms. With the other key, or without any, each attack runs in a process of its own for
`--seconds`. Beside each attack stand: the probe's longest answer, which is how long the loop was held at most; the same
in times of the quiet row; how near the listener, which plays on the first byte, came to running dry (above 0: for so
long it was dry); the underruns that the server counted; the server's CPU and memory; and what the attack met.

On a machine with two cores the attacker, the probe and the server share them: the quiet row and the row of a client
that only burns CPU say how much of a figure is the machine's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import uvloop

import vendor_attacks  # noqa: F401 - its attacks
from attacks import ATTACKS, Site
from host import Host, machine, serving
from load_client import Listener, Plan, percentile
from support.ports import free_port
from voxwire_server.ops.auth import generate_key, hash_key

PROBE_SECONDS = 0.01
WARM_SECONDS = 1.5


class Probe(Listener):
    """Asks for a pong every PROBE_SECONDS; `answers` are (when asked, seconds until answered)."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, 0, float("inf"))
        self.answers: list[tuple[float, float]] = []

    def _message(self, message: dict, now: float) -> None:
        match message["type"]:
            case "ready":
                self._ask()
            case "pong":
                asked = message["t"] / 1e6
                self.answers.append((asked, now - asked))
            case "error":
                self.errors.append(message["code"])

    def _ask(self) -> None:
        if not self.transport.is_closing():
            self._send({"type": "ping", "t": int(time.monotonic() * 1e6)})
            asyncio.get_running_loop().call_later(PROBE_SECONDS, self._ask)


@dataclass
class Row:
    """What one attack did. Milliseconds and megabytes."""

    attack: str
    hold_ms: float
    hold_p99_ms: float
    ratio: float
    dry_ms: float
    underruns: int
    cpu_seconds: float
    memory_mb: float
    met: str
    errors: list[str] = field(default_factory=list)


class DryListener(Listener):
    """A listener that notes when it ran dry, and for how long."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, 1, float("inf"))
        self.dry: list[tuple[float, float]] = []

    def _frame(self, now: float) -> None:
        turn = self._turn
        stalls = len(turn.stalls) if turn is not None else 0
        super()._frame(now)
        if turn is not None and len(turn.stalls) > stalls:
            self.dry.append((now, turn.stalls[-1]))

    def dry_seconds(self, since: float) -> float:
        """The longest that it was dry since then, still or again."""
        turn, now = self._turn, time.monotonic()
        waits = turn is not None and turn.first_at is not None and turn.text_at < since
        still = now - self._dry_at if waits else 0.0
        return max([still, *(seconds for at, seconds in self.dry if at >= since)])


def run_attack(name: str, site: Site, seconds: float, answer) -> None:
    """In a process of its own."""
    try:
        # websockets aborts transports that are closed already, on which those of asyncio in Python 3.11 raise.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            met = runner.run(ATTACKS[name](site, seconds))
    except BaseException as error:
        met = f"{type(error).__name__}: {error}"
    answer.put(str(met)[:200])


async def measure(name: str, host: Host, site: Site, plan: Plan, seconds: float, quiet: float) -> Row:
    """Run one attack beside a listener and a probe of another key."""
    loop = asyncio.get_running_loop()
    make = multiprocessing.get_context("spawn")
    _, probe = await loop.create_connection(lambda: Probe(plan), "127.0.0.1", site.port)
    _, listener = await loop.create_connection(lambda: DryListener(plan), "127.0.0.1", site.port)
    await asyncio.sleep(WARM_SECONDS)
    before = await asyncio.to_thread(host.metrics)
    cpu, memory, since = host.cpu_seconds(), host.memory(), time.monotonic()
    queue = make.Queue()
    process = make.Process(target=run_attack, args=(name, site, seconds, queue), daemon=True)
    process.start()
    met = await asyncio.to_thread(queue.get)
    await asyncio.sleep(1.0)
    # A loop that is still held is waited for: what it costs is the longest of all.
    waited = time.monotonic()
    while not probe.answers or time.monotonic() - probe.answers[-1][0] > 0.5:
        await asyncio.sleep(0.1)
        if time.monotonic() - waited > 120:
            met += " - the server did not come back"
            break
    seconds_by = [took for asked, took in probe.answers if asked >= since]
    dry = listener.dry_seconds(since)
    after = await asyncio.to_thread(host.metrics)
    listener._turn = None  # it writes no more
    for each in (probe, listener):
        each.transport.abort()
    process.terminate()
    longest = max(seconds_by, default=float("inf"))
    return Row(
        name,
        1000 * longest,
        1000 * percentile(seconds_by, 0.99),
        longest / quiet if quiet else 1.0,
        1000 * dry,
        int(after["voxwire_underruns_total"] - before["voxwire_underruns_total"]),
        host.cpu_seconds() - cpu,
        (host.memory() - memory) / 1e6,
        met,
        probe.errors + listener.errors,
    )


HEAD = (
    f"{'attack':44} {'hold ms':>8} {'p99':>6} {'x quiet':>8} {'dry ms':>7} {'underruns':>9} {'cpu s':>6} {'MB':>6}  met"
)


def shown(row: Row) -> str:
    """A row of the table."""
    return (
        f"{row.attack:44} {row.hold_ms:8.1f} {row.hold_p99_ms:6.1f} {row.ratio:8.1f} {row.dry_ms:7.1f} "
        f"{row.underruns:9d} {row.cpu_seconds:6.1f} {row.memory_mb:6.1f}  {row.met} {' '.join(row.errors[:3])}"
    )


async def run(names: list[str], seconds: float) -> list[Row]:
    """Measure attacks in turn, each on a server that the one before has used."""
    keys = {"listener": generate_key(), "attacker": generate_key()}
    settings = [f"auth.keys={','.join(f'{name}={hash_key(key)}' for name, key in keys.items())}"]
    settings += ["engines.enabled=hibari", "server.metrics_public=true"]
    wyoming_port = free_port()
    rows: list[Row] = []
    with serving(*settings, f"compat.wyoming_port={wyoming_port}") as host:
        site = Site(host.port, wyoming_port, keys["attacker"])
        plan = Plan(url_port=host.port, key=keys["listener"], rate=25.0)
        print(HEAD, flush=True)
        quiet = 0.0
        for name in names:
            row = await measure(name, host, site, plan, seconds, quiet)
            if name == "nothing":
                quiet = row.hold_ms / 1000
                row = replace(row, ratio=1.0)
            rows.append(row)
            print(shown(row), flush=True)
            if not host.process.is_running():
                print("the server is gone")
                break
    worst = sorted(rows, key=lambda row: -row.hold_ms)[:5]
    print("\nlongest holds:", ", ".join(f"{row.attack} {row.hold_ms:.0f} ms" for row in worst))
    print("median hold:", f"{statistics.median(row.hold_ms for row in rows):.1f} ms")
    return rows


def main() -> None:
    """Choose attacks and measure them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], help="attacks whose name holds one of these words")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--save", default="")
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    chosen = [name for name in ATTACKS if not given.only or any(word in name for word in given.only)]
    names = ["nothing", "a core burnt", *(name for name in chosen if name not in ("nothing", "a core burnt"))]
    if given.list:
        print("\n".join(names))
        return
    print(machine())
    rows = asyncio.run(run(names, given.seconds))
    if given.save:
        document = {"command": " ".join(["python", *sys.argv]), "machine": machine(), "seconds": given.seconds}
        document["rows"] = [asdict(row) for row in rows]
        Path(given.save).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
