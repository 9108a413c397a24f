"""The largest number of realtime sessions without an underrun on this machine, and what the bare model would feed.

    python bench/sessions.py [--codec opus] [--from 150 --step 50] [--seconds 20]
    python bench/sessions.py --engine kokoro [--loads 0.8 0.9 1.0] [--seconds 40]

A session is safe when each first audio came in time and no stall was longer than 10 ms (a player that starts on the
first byte). The whole text comes at once; with --rate it comes in tokens, and a first audio has twice the time, as the
first sentence takes its time to be written.

**Many sessions** (hibari): listeners who are spoken to without pause, more and more of them. In time is 0.5 s.

**Few sessions** (an engine that feeds a handful): whole listeners are too coarse a measure, so the load is what grows.
Just before each run the bare model is measured: the same engine and texts, sentence by sentence, in as many threads as
the server has for it, while the server is idle. A load of 0.9 then is as many listeners as it takes, each spoken to a
like share of the time (--duty, about a half, as in a conversation), that together they want 0.9 of the seconds of
speech a second which the bare model made. They start evenly spread, so it is capacity that is measured and not how
chance piles up. The bare model is measured again after each run. `fed` is the speech that arrived while all listeners
were there, as a share of the bare model's mean before and after; what the result names is the largest load at which
every session was safe, `fed` in that run, and the sessions, beside the bare model's own number for the same duty.

In time is three times the bare model's own first clause, or 0.5 s if that is more: on a CPU Kokoro takes longer than
0.5 s for it with nobody else there. One share is its own step, two are for the steps it finds under way and in front.

Admission is off, as it would refuse what is to be seen to fail. --admission runs once more at the load 1.5 with
admission as it comes: how many it admits, and whether those are safe.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from dataclasses import replace
from pathlib import Path

from engine_baseline import EngineBaseline, Measured, engine_baseline
from host import OPEN_DOORS, Host, machine, serving
from load_client import TEXTS, Plan, Turn, listen, percentile

TTFA_SECONDS_MAX = 0.5
FIRST_CLAUSES_MAX = 3.0
STALL_SECONDS = 0.01
ADMISSION_LOAD = 1.5

Heard = list[tuple[list[Turn], list[str], int]]


def _listen(plan: Plan, sessions: int, seconds: float, ramp: float, out) -> None:
    import uvloop

    listeners = uvloop.run(listen(plan, sessions, seconds, ramp))
    out.send([(each.turns, each.errors, each.frames) for each in listeners])


def run_raw(sessions: int, seconds: float, plan: Plan, ramp: float = 0.0) -> Heard:
    """What so many listeners heard, in a process of their own: each one's turns, errors and frames."""
    ours, theirs = multiprocessing.Pipe()
    ramp = ramp or max(4.0, sessions / 30)
    process = multiprocessing.get_context("fork").Process(target=_listen, args=(plan, sessions, seconds, ramp, theirs))
    process.start()
    heard: Heard = ours.recv()
    process.join()
    return heard


def run(port: int, sessions: int, seconds: float, plan: Plan, *, ramp: float = 0.0, ttfa_max: float = 0.0) -> dict:
    """One run of so many listeners."""
    plan.url_port = port
    return judged(run_raw(sessions, seconds, plan, ramp), (2 if plan.rate else 1) * (ttfa_max or TTFA_SECONDS_MAX))


def judged(heard: Heard, ttfa_max: float) -> dict:
    """What listeners heard, as figures; who heard a stall, an error or a late first word was not safe."""
    turns = [turn for turns, _, _ in heard for turn in turns]
    ttfa = [turn.ttfa for turn in turns if turn.ttfa is not None]
    stalls = [stall for turn in turns for stall in turn.stalls if stall > STALL_SECONDS]
    late = [any(t.ttfa is None or t.ttfa > ttfa_max for t in turns) for turns, _, _ in heard]
    stalled = [any(stall > STALL_SECONDS for t in turns for stall in t.stalls) for turns, _, _ in heard]
    refused = [bool(errors) for _, errors, _ in heard]
    server_ttfa = [turn.server_ttfa_ms for turn in turns if turn.server_ttfa_ms is not None]
    return {
        "sessions": len(heard),
        "unsafe": sum(map(any, zip(late, stalled, refused, strict=True))),
        "late_sessions": sum(late),
        "turns": len(turns),
        "stalls": len(stalls),
        "worst_stall_ms": round(max(stalls, default=0.0) * 1000, 1),
        "audio_seconds": round(sum(t.seconds for t in turns), 1),
        "ttfa_p50_ms": round(percentile(ttfa, 0.5) * 1000, 1),
        "ttfa_p95_ms": round(percentile(ttfa, 0.95) * 1000, 1),
        "server_ttfa_p95_ms": round(percentile(server_ttfa, 0.95), 1),
        "errors": sum(len(errors) for _, errors, _ in heard),
        "first_error": next((errors[0] for _, errors, _ in heard if errors), None),
    }


class Search:
    """Runs against one server, each between two measurements of the bare model."""

    def __init__(self, args: argparse.Namespace, alone: EngineBaseline, plan: Plan) -> None:
        self._args = args
        self._alone = alone
        self._plan = plan
        self._last = self._measure()
        self.rows: list[dict] = []

    @property
    def last(self) -> Measured:
        """The bare model when it was last measured."""
        return self._last

    def try_sessions(self, host: Host, sessions: int) -> dict:
        """Listeners who are spoken to without pause."""
        return self._row(host, sessions, self._plan, 0.0, TTFA_SECONDS_MAX, {})

    def try_load(self, host: Host, load: float) -> dict:
        """Listeners who want this share of what the bare model makes."""
        wanted = load * self._last.times_realtime
        sessions = max(1, round(wanted / self._args.duty))
        duty = min(1.0, wanted / sessions)
        # All have begun when the first begins its second turn.
        ramp = _speech_seconds(self._plan) / duty * (sessions - 1) / sessions + 1.0
        ttfa_max = max(TTFA_SECONDS_MAX, FIRST_CLAUSES_MAX * self._last.first_clause_seconds)
        more = {"load": load, "duty": round(duty, 3), "ttfa_max_ms": round(ttfa_max * 1000)}
        return self._row(host, sessions, replace(self._plan, duty=duty, pause=0.0), ramp, ttfa_max, more)

    def _row(self, host: Host, sessions: int, plan: Plan, ramp: float, ttfa_max: float, more: dict) -> dict:
        before, cpu = self._last, host.cpu_seconds()
        plan.url_port = host.port
        heard = run_raw(sessions, self._args.seconds, plan, ramp)
        row = more | judged(heard, (2 if plan.rate else 1) * ttfa_max)
        spent = host.cpu_seconds() - cpu
        row["server_cpu_ms_per_session_second"] = round(spent / max(1e-9, row["audio_seconds"]) * 1000, 2)
        row["memory_mb"] = round(host.memory() / 1e6)
        self._last = self._measure()
        own = (before.times_realtime + self._last.times_realtime) / 2
        fed = sum(turn.counted_seconds for turns, _, _ in heard for turn in turns) / self._args.seconds
        row |= {"x_realtime": round(fed, 3), "bare_x_realtime": round(own, 3), "fed": round(fed / own, 3)}
        if plan.duty:
            row["bare_sessions"] = round(own / plan.duty, 2)
        self.rows.append(row)
        print(json.dumps(row), flush=True)
        return row

    def _measure(self) -> Measured:
        found = self._alone.measure(self._args.bare_seconds)
        first = 1000 * found.first_clause_seconds
        print(f"bare, {found.threads} threads: {found.times_realtime:.2f} x realtime, first clause {first:.0f} ms")
        return found


def _speech_seconds(plan: Plan) -> float:
    """About how long a text is spoken."""
    return sum(map(len, plan.texts)) / len(plan.texts) / 16.0


def search_sessions(search: Search, host: Host, args: argparse.Namespace) -> dict:
    """More and more listeners until more than one in fifty is not safe."""
    best = 0
    for sessions in range(args.first, args.most + 1, args.step):
        row = search.try_sessions(host, sessions)
        if row["unsafe"] > sessions * 0.02:
            break
        best = sessions if row["unsafe"] == 0 else best
    own = sum(row["bare_x_realtime"] for row in search.rows) / len(search.rows)
    return {"safe_sessions": best, "bare_x_realtime": round(own), "share": round(best / own, 2)}


def search_load(search: Search, host: Host, args: argparse.Namespace) -> dict:
    """From a load in the middle up while all are safe, or down until they are."""
    loads = sorted(args.loads)
    at = (len(loads) - 1) // 2
    best: dict = {}
    going = 0
    while 0 <= at < len(loads):
        row = search.try_load(host, loads[at])
        way = 1 if row["unsafe"] == 0 else -1
        best = row if way > 0 else best
        if going and way != going:
            break
        going = way
        at += way
    named = ("load", "fed", "sessions", "duty", "bare_sessions", "bare_x_realtime", "ttfa_p50_ms", "ttfa_p95_ms")
    return {key: best.get(key) for key in named}


def main() -> None:
    args = arguments()
    print(machine())
    plan = Plan(audio={"codec": args.codec}, rate=args.rate, texts=TEXTS)
    engine = (f"engines.enabled={args.engine}", f"engines.default={args.engine}")
    result: dict = {"command": sys.argv, "machine": machine(), "engine": args.engine, "codec": args.codec}
    with engine_baseline(args.engine, plan.texts) as alone:
        search = Search(args, alone, plan)
        result["rows"] = search.rows
        with serving(*OPEN_DOORS, *engine, *args.set) as host:
            found = search_load(search, host, args) if args.loads else search_sessions(search, host, args)
            result["summary"] = {"engine": args.engine, "codec": args.codec} | found
            print(json.dumps(result["summary"]), flush=True)
        if args.admission:
            with serving(*engine, *args.set) as host:
                result["admission"] = search.try_load(host, ADMISSION_LOAD)
    if args.save:
        args.save.write_text(json.dumps(result, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("hibari", "kokoro", "kokoro-torch", "kokoro-onnx"), default="hibari")
    parser.add_argument("--codec", default="pcm_s16le")
    parser.add_argument("--from", dest="first", type=int, default=150)
    parser.add_argument("--step", type=int, default=50)
    parser.add_argument("--most", type=int, default=600)
    parser.add_argument("--loads", type=float, nargs="*", help="shares of the bare model; default of Kokoro's engines")
    parser.add_argument("--duty", type=float, default=0.5, help="about the share of the time a listener is spoken to")
    parser.add_argument("--admission", action="store_true", help="once more with admission on")
    parser.add_argument("--seconds", type=float, help="of each run, after all have begun")
    parser.add_argument("--bare-seconds", type=float, help="of each measurement of the bare model")
    parser.add_argument("--rate", type=float, default=0.0, help="tokens a second; 0: the whole text at once")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    few = args.engine != "hibari"
    if few and args.loads is None:
        args.loads = [0.8, 0.9, 0.95, 1.0]
    args.seconds = args.seconds or (40.0 if few else 20.0)
    args.bare_seconds = args.bare_seconds or (10.0 if few else 4.0)
    return args


if __name__ == "__main__":
    main()
