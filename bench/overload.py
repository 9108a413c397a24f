"""Three times the clients that the server can serve: admissions, underruns, waits of refused clients, bulk.

    python bench/overload.py [--times 3] [--seconds 40] [--save bench/results/overload.json] [--plot ….png]

The server has one worker. Its capacity is derived from its own learned cost, after some turns. Then that many clients
times `--times` come for `--seconds`: each wants one answer after the other, on a connection of its own, and plays from
the first byte. A refused client retries after `retry_after_ms` and up to a quarter of it more. Meanwhile some readers
have long texts spoken as bulk.
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
class Answer:
    """An answer that a client wants to hear. Times are seconds of the monotonic clock."""

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


class RetryingClient(Listener):
    """One connection for one answer. It retries on it as told, and ends when the session is refused."""

    def __init__(self, plan: Plan, name: int, answer: Answer, text: str) -> None:
        super().__init__(plan, name, float("inf"))
        self.answer = answer
        self.retry_seconds: float | None = None
        self._text = text

    def _frame(self, now: float) -> None:
        stalls = len(self._turn.stalls) if self._turn is not None else 0
        super()._frame(now)
        if self._turn is not None and len(self._turn.stalls) > stalls and self._turn.stalls[-1] > STALL_SECONDS:
            self.answer.stalls.append((now, self._turn.stalls[-1]))

    def _message(self, message: dict, now: float) -> None:
        answer = self.answer
        match message["type"]:
            case "started":
                answer.started_at, name = now, message["context"]
                super()._message(message, now)
                self._send({"type": "text", "context": name, "text": self._text}, {"type": "end", "context": name})
            case "error":
                retry_ms = message.get("retry_after_ms")
                answer.refusals.append((now, message["code"], retry_ms or -1))
                wait = (retry_ms or 1000) / 1000 * (1 + self.random.random() * JITTER)
                if message["code"] == "system.engine_overloaded" and answer.started_at is None:
                    asyncio.get_running_loop().call_later(wait, self._next_turn)
                else:
                    self.retry_seconds = wait
                    self.transport.close()
            case _:
                super()._message(message, now)

    def _end_turn(self, wait: float) -> None:
        turn, answer = self._turn, self.answer
        assert turn is not None
        answer.ttfa, answer.seconds, self._turn = turn.ttfa, turn.seconds, None
        wait = 0.0 if answer.bulk else wait
        answer.over_at = time.monotonic() + wait
        asyncio.get_running_loop().call_later(wait, self.transport.close)

    def _next_turn(self) -> None:
        if self.transport.is_closing():
            return
        self._number += 1
        name, plan = str(self._number), self.plan
        start = {"type": "start", "context": name, "audio": plan.audio, "pacing": plan.pacing, "seed": self._number}
        if self.answer.bulk:
            start["priority"] = "bulk"
        self._send(start)
        self._turn = Turn(time.monotonic())


async def ask(plan: Plan, name: int, begin: float, until: float, *, bulk: bool) -> list[Answer]:
    """Request one answer after the other from `begin` until `until`. Returns them; the last is played to its end."""
    pick, answers, loop = random.Random(name), [], asyncio.get_running_loop()
    await asyncio.sleep(max(0.0, begin - time.monotonic()))
    while time.monotonic() < until:
        text = pick.choice(TEXTS)
        text = " ".join([text] * BULK_TEXTS) if bulk else text[: text.rfind(" ", 0, pick.randint(*ANSWER_CHARS))] + "."
        answer = Answer(bulk, time.monotonic())
        answers.append(answer)
        while answer.over_at is None:
            try:
                make = lambda answer=answer, text=text: RetryingClient(plan, pick.randrange(1 << 30), answer, text)  # noqa: E731
                _, client = await loop.create_connection(make, plan.url_host, plan.url_port)
            except OSError as error:
                answer.problem = str(error)
                break
            await client.over
            if answer.over_at is None and client.retry_seconds is None:
                answer.problem = answer.problem or "cut"
                break
            await asyncio.sleep(client.retry_seconds or 0.0)
            if time.monotonic() > until + 60:
                break
        await asyncio.sleep(pick.uniform(0.5, 2.0))
    return answers


async def run_clients(port: int, clients: int, readers: int, seconds: float) -> list[Answer]:
    """Readers first, then clients as well, for `seconds`."""
    now = time.monotonic()
    begin, until = now + BULK_AHEAD_SECONDS, now + BULK_AHEAD_SECONDS + seconds
    live = Plan(url_port=port)
    slow = Plan(url_port=port, pacing={"mode": "burst"}, audio={"sample_rate": 16000})
    pick = random.Random(7)
    calls = [ask(live, i, begin + pick.uniform(0, 5), until, bulk=False) for i in range(clients)]
    calls += [ask(slow, 100_000 + i, now, begin, bulk=True) for i in range(readers)]
    return [answer for answers in await asyncio.gather(*calls) for answer in answers]


def _client_process(port: int, clients: int, readers: int, seconds: float, out) -> None:
    import uvloop

    out.send(uvloop.run(run_clients(port, clients, readers, seconds)))


def is_ready(host: Host) -> bool:
    """Whether `/ready` answers 200, as a load balancer polls it."""
    try:
        urllib.request.urlopen(f"{host.http}/ready", timeout=5).close()
    except urllib.error.HTTPError:
        return False
    return True


def look(host: Host) -> dict[str, float]:
    """The server's metrics."""
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


def run(host: Host, clients: int, readers: int, seconds: float) -> tuple[list[Answer], list[dict]]:
    """Run the clients in a process of their own, and sample the server's metrics meanwhile."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_client_process, args=(host.port, clients, readers, seconds, theirs)
    )
    process.start()
    samples = []
    while not ours.poll(0.5):
        samples.append(look(host))
    answers: list[Answer] = ours.recv()
    process.join()
    for _ in range(30):  # until it is ready again
        samples.append(look(host))
        if samples[-1]["ready"]:
            break
        time.sleep(0.5)
    return answers, samples


def learn_capacity(host: Host, share: float) -> float:
    """How many streams the server's model would admit after some turns."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_client_process, args=(host.port, 20, 0, 3.0, theirs))
    process.start()
    ours.recv()
    process.join()
    return share / look(host)["realtime_factor"]


def summarise(answers: Sequence[Answer]) -> dict[str, object]:
    """The figures of the answers of one class."""
    admitted = [answer for answer in answers if answer.started_at is not None]
    waits = [answer.started_at - answer.asked_at for answer in admitted if answer.started_at is not None]
    refusals = [refusal for answer in answers for refusal in answer.refusals]
    retries_ms = [ms for _, _, ms in refusals]
    ttfa = [answer.ttfa for answer in admitted if answer.ttfa is not None]
    return {
        "wanted": len(answers),
        "granted": len(admitted),
        "granted_at_once": sum(not answer.refusals for answer in admitted),
        "never_granted": len(answers) - len(admitted),
        "refusals": Counter(code for _, code, _ in refusals),
        "refusals_without_retry": sum(ms < 0 for ms in retries_ms),
        "retry_ms": [
            min(retries_ms, default=0),
            round(percentile(retries_ms, 0.5)) if retries_ms else 0,
            max(retries_ms, default=0),
        ],
        "get_in_seconds": {str(p): round(percentile(waits, p), 2) for p in (0.5, 0.95, 1.0)},
        "ttfa_seconds": {str(p): round(percentile(ttfa, p), 3) for p in (0.5, 0.95, 1.0)},
        "ran_dry": sum(bool(answer.stalls) for answer in admitted),
        "stalls": sum(len(answer.stalls) for answer in admitted),
        "longest_stall_ms": round(max((s for answer in admitted for _, s in answer.stalls), default=0.0) * 1000),
        "audio_seconds": round(sum(answer.seconds for answer in admitted)),
        "problems": Counter(answer.problem for answer in answers if answer.problem),
    }


def waiting(answers: Sequence[Answer], at: float) -> tuple[int, int]:
    """How many answers wait for admission at a moment, and how many are being spoken."""
    wait = sum(answer.asked_at <= at and (answer.started_at is None or answer.started_at > at) for answer in answers)
    heard = sum(
        answer.started_at is not None and answer.started_at <= at and (answer.over_at is None or answer.over_at > at)
        for answer in answers
    )
    return wait, heard


def plot(answers: Sequence[Answer], samples: Sequence[dict], capacity: float, path: Path, title: str) -> None:
    """Draw it over time."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    began = samples[0]["at"]
    times = [row["at"] - began for row in samples]
    interactive = [answer for answer in answers if not answer.bulk]
    readers = [answer for answer in answers if answer.bulk]
    figure, (streams, retries, bulk) = plt.subplots(3, 1, figsize=(10, 9), sharex=True, layout="constrained")

    counts = [waiting(interactive, row["at"]) for row in samples]
    streams.stackplot(
        times,
        [heard for _, heard in counts],
        [wait for wait, _ in counts],
        labels=["listening", "refused, waiting to come back"],
        colors=["tab:green", "tab:orange"],
        alpha=0.6,
    )
    streams.axhline(capacity, color="black", linestyle="--", linewidth=1, label="capacity of one worker by the model")
    for number, (at, _) in enumerate(stall for answer in interactive for stall in answer.stalls):
        streams.axvline(at - began, color="red", linewidth=0.8, label=None if number else "underrun")
    streams.set_ylabel("clients")

    for code, colour in (("system.engine_overloaded", "tab:blue"), ("server.overloaded", "tab:red")):
        points = [(at - began, ms / 1000) for w in interactive for at, c, ms in w.refusals if c == code]
        retries.scatter(
            *zip(*points, strict=True) if points else ([], []), s=6, color=colour, label=f"refused with {code}"
        )
    points = [(w.started_at - began, w.started_at - w.asked_at) for w in interactive if w.started_at and w.refusals]
    retries.scatter(
        *zip(*points, strict=True) if points else ([], []), s=14, marker="x", color="tab:green", label="admitted after"
    )
    retries.set_ylabel("seconds")

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
    for axis in (streams, retries, bulk):
        axis.legend(loc="upper right", fontsize=8)
        axis.grid(alpha=0.3)
        axis.set_ylim(bottom=0)
    streams.set_title(title)
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
        clients = round(args.times * capacity)
        print(f"capacity by the model: {capacity:.0f} streams; {clients} clients and {args.readers} readers come")
        answers, samples = run(host, clients, args.readers, args.seconds)
        capacity = args.utilisation / samples[-1]["realtime_factor"]
    summary = {
        "callers": summarise([answer for answer in answers if not answer.bulk]),
        "readers": summarise([answer for answer in answers if answer.bulk]),
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
            "answers": [asdict(answer) for answer in answers],
        }
        args.save.write_text(json.dumps(result) + "\n")
    if args.plot:
        title = f"{clients} clients at a server for {capacity:.0f}, {machine()}"
        plot(answers, samples, capacity, args.plot, title)


if __name__ == "__main__":
    main()
