"""Three times the callers that the server can feed: who gets in, who runs dry, how long others wait, what bulk does.

    python bench/overload.py [--times 3] [--seconds 40] [--save bench/results/overload.json] [--plot ….png]

One worker speaks. What it can feed is asked of the server: its own learned cost, after some turns. Then that many
callers times `--times` call for `--seconds`: each wants one answer after the other, on a connection of its own, and
plays on the first byte. Whoever is refused comes back after `retry_after_ms` and up to a quarter of it more. All the
while some readers have long texts spoken as bulk work.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

from host import Host, machine, serving
from load_client import TEXTS, Listener, Plan, Turn, percentile

SETTINGS = (
    "scheduling.cpu_workers=1",
    "server.sessions_max=5000",
    "limits.messages_per_second=100000",
    "limits.sessions_per_second=100000",
)
STALL_SECONDS = 0.01
JITTER = 0.25
BULK_AHEAD_SECONDS = 8.0
BULK_TEXTS = 24
ANSWER_CHARS = (60, 160)


@dataclass
class Wish:
    """An answer that somebody wants to hear. Times are seconds of the monotonic clock."""

    bulk: bool
    asked_at: float
    started_at: float | None = None
    over_at: float | None = None
    ttfa: float | None = None
    seconds: float = 0.0
    stalls: list[tuple[float, float]] = field(default_factory=list)
    refusals: list[tuple[float, str, int]] = field(default_factory=list)
    """When, which error, and the `retry_after_ms` that came with it."""
    problem: str = ""


class Caller(Listener):
    """One connection that wants one answer; asks again on it as told, and is over when it is turned away."""

    def __init__(self, plan: Plan, name: int, wish: Wish, text: str) -> None:
        super().__init__(plan, name, float("inf"))
        self.wish = wish
        self.retry_seconds: float | None = None
        self._text = text

    def _frame(self, now: float) -> None:
        stalls = len(self._turn.stalls) if self._turn is not None else 0
        super()._frame(now)
        if self._turn is not None and len(self._turn.stalls) > stalls and self._turn.stalls[-1] > STALL_SECONDS:
            self.wish.stalls.append((now, self._turn.stalls[-1]))

    def _message(self, message: dict, now: float) -> None:
        wish = self.wish
        match message["type"]:
            case "started":
                wish.started_at, name = now, message["context"]
                super()._message(message, now)
                self._send({"type": "text", "context": name, "text": self._text}, {"type": "end", "context": name})
            case "error":
                told = message.get("retry_after_ms")
                wish.refusals.append((now, message["code"], told or -1))
                wait = (told or 1000) / 1000 * (1 + self.random.random() * JITTER)
                if message["code"] == "system.engine_overloaded" and wish.started_at is None:
                    asyncio.get_running_loop().call_later(wait, self._next_turn)
                else:
                    self.retry_seconds = wait
                    self.transport.close()
            case _:
                super()._message(message, now)

    def _end_turn(self, wait: float) -> None:
        turn, wish = self._turn, self.wish
        assert turn is not None
        wish.ttfa, wish.seconds, self._turn = turn.ttfa, turn.seconds, None
        wait = 0.0 if wish.bulk else wait
        wish.over_at = time.monotonic() + wait
        asyncio.get_running_loop().call_later(wait, self.transport.close)

    def _next_turn(self) -> None:
        if self.transport.is_closing():
            return
        self._number += 1
        name, plan = str(self._number), self.plan
        start = {"type": "start", "context": name, "audio": plan.audio, "pacing": plan.pacing, "seed": self._number}
        if self.wish.bulk:
            start["priority"] = "bulk"
        self._send(start)
        self._turn = Turn(time.monotonic())


async def call(plan: Plan, name: int, begin: float, until: float, *, bulk: bool) -> list[Wish]:
    """Want one answer after the other between two moments; gives them all, the last of them heard to its end."""
    pick, wishes, loop = random.Random(name), [], asyncio.get_running_loop()
    await asyncio.sleep(max(0.0, begin - time.monotonic()))
    while time.monotonic() < until:
        text = pick.choice(TEXTS)
        text = " ".join([text] * BULK_TEXTS) if bulk else text[: text.rfind(" ", 0, pick.randint(*ANSWER_CHARS))] + "."
        wish = Wish(bulk, time.monotonic())
        wishes.append(wish)
        while wish.over_at is None:
            try:
                make = lambda wish=wish, text=text: Caller(plan, pick.randrange(1 << 30), wish, text)  # noqa: E731
                _, caller = await loop.create_connection(make, plan.url_host, plan.url_port)
            except OSError as error:
                wish.problem = str(error)
                break
            await caller.over
            if wish.over_at is None and caller.retry_seconds is None:
                wish.problem = wish.problem or "cut"
                break
            await asyncio.sleep(caller.retry_seconds or 0.0)
            if time.monotonic() > until + 60:
                break
        await asyncio.sleep(pick.uniform(0.5, 2.0))
    return wishes


async def crowd(port: int, callers: int, readers: int, seconds: float) -> list[Wish]:
    """Readers first, then callers as well, over `seconds`."""
    now = time.monotonic()
    begin, until = now + BULK_AHEAD_SECONDS, now + BULK_AHEAD_SECONDS + seconds
    live = Plan(url_port=port)
    slow = Plan(url_port=port, pacing={"mode": "burst"}, audio={"sample_rate": 16000})
    pick = random.Random(7)
    calls = [call(live, i, begin + pick.uniform(0, 5), until, bulk=False) for i in range(callers)]
    calls += [call(slow, 100_000 + i, now, begin, bulk=True) for i in range(readers)]
    return [wish for wishes in await asyncio.gather(*calls) for wish in wishes]


def _crowd(port: int, callers: int, readers: int, seconds: float, out) -> None:
    import uvloop

    out.send(uvloop.run(crowd(port, callers, readers, seconds)))


def is_ready(host: Host) -> bool:
    """What a load balancer's probe gets."""
    try:
        urllib.request.urlopen(f"{host.http}/ready", timeout=5).close()
    except urllib.error.HTTPError:
        return False
    return True


def look(host: Host) -> dict[str, float]:
    """The server's own view."""
    found = host.metrics()
    kept = {
        "listeners": "voxwire_engine_listeners",
        "contexts": "voxwire_contexts",
        "load": "voxwire_executor_load",
        "audio_seconds": "voxwire_engine_audio_seconds_total",
        "realtime_factor": "voxwire_engine_realtime_factor",
        "underruns": "voxwire_underruns_total",
    }
    row = {name: sum(v for k, v in found.items() if k.split("{")[0] == metric) for name, metric in kept.items()}
    return {"at": time.monotonic(), "ready": is_ready(host), "loop_seconds": host.loop_seconds(), **row}


def run(host: Host, callers: int, readers: int, seconds: float) -> tuple[list[Wish], list[dict]]:
    """The crowd in a process of its own, the server looked at meanwhile."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_crowd, args=(host.port, callers, readers, seconds, theirs)
    )
    process.start()
    samples = []
    while not ours.poll(0.5):
        samples.append(look(host))
    wishes: list[Wish] = ours.recv()
    process.join()
    for _ in range(30):  # until it is ready again
        samples.append(look(host))
        if samples[-1]["ready"]:
            break
        time.sleep(0.5)
    return wishes, samples


def learn_capacity(host: Host, share: float) -> float:
    """How many listeners the server's model would let in once it has spoken some turns."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_crowd, args=(host.port, 20, 0, 3.0, theirs))
    process.start()
    ours.recv()
    process.join()
    return share / look(host)["realtime_factor"]


def summarise(wishes: Sequence[Wish]) -> dict[str, object]:
    """What became of the wishes of one class."""
    granted = [wish for wish in wishes if wish.started_at is not None]
    waits = [wish.started_at - wish.asked_at for wish in granted if wish.started_at is not None]
    refusals = [refusal for wish in wishes for refusal in wish.refusals]
    told = [ms for _, _, ms in refusals]
    ttfa = [wish.ttfa for wish in granted if wish.ttfa is not None]
    return {
        "wanted": len(wishes),
        "granted": len(granted),
        "granted_at_once": sum(not wish.refusals for wish in granted),
        "never_granted": len(wishes) - len(granted),
        "refusals": Counter(code for _, code, _ in refusals),
        "refusals_without_retry": sum(ms < 0 for ms in told),
        "retry_ms": [min(told, default=0), round(percentile(told, 0.5)) if told else 0, max(told, default=0)],
        "get_in_seconds": {str(p): round(percentile(waits, p), 2) for p in (0.5, 0.95, 1.0)},
        "ttfa_seconds": {str(p): round(percentile(ttfa, p), 3) for p in (0.5, 0.95, 1.0)},
        "ran_dry": sum(bool(wish.stalls) for wish in granted),
        "stalls": sum(len(wish.stalls) for wish in granted),
        "longest_stall_ms": round(max((s for wish in granted for _, s in wish.stalls), default=0.0) * 1000),
        "audio_seconds": round(sum(wish.seconds for wish in granted)),
        "problems": Counter(wish.problem for wish in wishes if wish.problem),
    }


def waiting(wishes: Sequence[Wish], at: float) -> tuple[int, int]:
    """How many wait to be let in at a moment, and how many are speaking."""
    wait = sum(wish.asked_at <= at and (wish.started_at is None or wish.started_at > at) for wish in wishes)
    heard = sum(
        wish.started_at is not None and wish.started_at <= at and (wish.over_at is None or wish.over_at > at)
        for wish in wishes
    )
    return wait, heard


def plot(wishes: Sequence[Wish], samples: Sequence[dict], capacity: float, path: Path, title: str) -> None:
    """Draw it over time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    began = samples[0]["at"]
    times = [row["at"] - began for row in samples]
    callers = [wish for wish in wishes if not wish.bulk]
    readers = [wish for wish in wishes if wish.bulk]
    figure, (who, told, bulk) = plt.subplots(3, 1, figsize=(10, 9), sharex=True, layout="constrained")

    counts = [waiting(callers, row["at"]) for row in samples]
    who.stackplot(
        times,
        [heard for _, heard in counts],
        [wait for wait, _ in counts],
        labels=["listening", "refused, waiting to come back"],
        colors=["tab:green", "tab:orange"],
        alpha=0.6,
    )
    who.axhline(capacity, color="black", linestyle="--", linewidth=1, label="what the model says one worker can feed")
    for number, (at, _) in enumerate(stall for wish in callers for stall in wish.stalls):
        who.axvline(at - began, color="red", linewidth=0.8, label=None if number else "somebody ran dry")
    who.set_ylabel("callers")

    for code, colour in (("system.engine_overloaded", "tab:blue"), ("server.overloaded", "tab:red")):
        points = [(at - began, ms / 1000) for w in callers for at, c, ms in w.refusals if c == code]
        told.scatter(*zip(*points, strict=True) if points else ([], []), s=6, color=colour, label=f"told by {code}")
    points = [(w.started_at - began, w.started_at - w.asked_at) for w in callers if w.started_at and w.refusals]
    told.scatter(
        *zip(*points, strict=True) if points else ([], []), s=14, marker="x", color="tab:green", label="got in after"
    )
    told.set_ylabel("seconds")

    ends = [(w.started_at, w.over_at) for w in readers if w.started_at and w.over_at]
    bulk.plot(times, [sum(a <= row["at"] < b for a, b in ends) for row in samples], label="bulk texts under way")
    bulk.plot(times, [100 * min(row["load"], 1.5) for row in samples], color="grey", label="load by the model, %")
    rate = [
        0.0,
        *((b["audio_seconds"] - a["audio_seconds"]) / (b["at"] - a["at"]) for a, b in pairwise(samples)),
    ]
    bulk.plot(times, rate, color="tab:purple", linewidth=0.8, label="audio made, seconds a second (bulk too)")
    low = [not row["ready"] for row in samples]
    bulk.fill_between(
        times, 0, 1, where=low, transform=bulk.get_xaxis_transform(), color="red", alpha=0.12, label="/ready says 503"
    )
    bulk.set_xlabel("seconds")
    for axis in (who, told, bulk):
        axis.legend(loc="upper right", fontsize=8)
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0)
    who.set_title(title)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=float, default=3.0)
    parser.add_argument("--seconds", type=float, default=45.0)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--utilisation", type=float, default=0.9)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--save", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    print(machine())
    with serving(*SETTINGS, f"scheduling.utilisation_max={args.utilisation}", *args.set) as host:
        capacity = learn_capacity(host, args.utilisation)
        callers = round(args.times * capacity)
        print(f"the model says {capacity:.0f} listeners; {callers} callers and {args.readers} readers come")
        wishes, samples = run(host, callers, args.readers, args.seconds)
        capacity = args.utilisation / samples[-1]["realtime_factor"]
    summary = {
        "callers": summarise([wish for wish in wishes if not wish.bulk]),
        "readers": summarise([wish for wish in wishes if wish.bulk]),
        "capacity": round(capacity),
        "most_listening": max(row["listeners"] for row in samples),
        "not_ready_seconds": round(
            sum(b["at"] - a["at"] for a, b in pairwise(samples) if not a["ready"]),
            1,
        ),
        "ready_again": samples[-1]["ready"],
        "server_underruns": samples[-1]["underruns"],
    }
    print(json.dumps(summary, indent=1))
    if args.save:
        result = {
            "command": sys.argv,
            "machine": machine(),
            "settings": SETTINGS,
            "summary": summary,
            "samples": samples,
            "wishes": [asdict(wish) for wish in wishes],
        }
        args.save.write_text(json.dumps(result) + "\n")
    if args.plot:
        title = f"{callers} callers at a server for {capacity:.0f}, {machine()}"
        plot(wishes, samples, capacity, args.plot, title)


if __name__ == "__main__":
    main()
