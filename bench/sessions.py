"""The largest number of realtime sessions without an underrun: listeners speak without pause, on this machine.

    python bench/sessions.py [--codec opus] [--from 150 --step 50] [--seconds 20]

A session is safe when each first audio came within 0.5 s and no stall was longer than 10 ms (a player that starts on
the first byte). The whole text comes at once; with --rate it comes in tokens, and a first audio has 1 s, as the first
sentence takes its time to be written. What the bare engine could feed, its own x realtime in as many threads, is
measured before and after.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import threading
import time
from pathlib import Path

from host import OPEN_DOORS, machine, serving
from listener import TEXTS, Plan, Turn, listen, percentile

TTFA_SECONDS_MAX = 0.5
STALL_SECONDS = 0.01


def bare_times_realtime(threads: int, seconds: float = 4.0) -> float:
    """Seconds of audio that the engine alone makes in a second, in so many threads."""
    from voxwire_server.engines.hibari import create
    from voxwire_server.speech import Clause

    engine = create()
    engine.warm_up()
    made = [0.0] * threads
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        at = number
        while time.monotonic() < until:
            text = TEXTS[at % len(TEXTS)].split(". ")[at % 3] + "."
            at += 1
            job = engine.prepare(Clause(text, (0, len(text)), range(len(text)), "heart", "en-us", 1.0, at))
            stage: str | None = job.stage
            while stage is not None:
                result = engine.step(stage, [job])[0]
                made[number] += len(result.chunk.samples) / engine.info.sample_rate if result.chunk else 0.0
                stage = result.stage

    began = time.monotonic()
    workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(made) / (time.monotonic() - began)


def _listen(plan: Plan, sessions: int, seconds: float, ramp: float, out) -> None:
    import uvloop

    listeners = uvloop.run(listen(plan, sessions, seconds, ramp))
    out.send([(each.turns, each.errors, each.frames) for each in listeners])


def run_raw(sessions: int, seconds: float, plan: Plan) -> list[tuple[list[Turn], list[str], int]]:
    """What so many listeners heard, in a process of their own: each one's turns, errors and frames."""
    ours, theirs = multiprocessing.Pipe()
    ramp = max(4.0, sessions / 30)
    process = multiprocessing.get_context("fork").Process(target=_listen, args=(plan, sessions, seconds, ramp, theirs))
    process.start()
    heard: list[tuple[list[Turn], list[str], int]] = ours.recv()
    process.join()
    return heard


def run(port: int, sessions: int, seconds: float, plan: Plan) -> dict:
    """One run of so many listeners."""
    plan.url_port = port
    heard = run_raw(sessions, seconds, plan)
    turns = [turn for turns, _, _ in heard for turn in turns]
    ttfa = [turn.ttfa for turn in turns if turn.ttfa is not None]
    stalls = [stall for turn in turns for stall in turn.stalls if stall > STALL_SECONDS]
    unsafe = sum(
        1
        for turns, errors, _ in heard
        if errors
        or any(t.ttfa is None or t.ttfa > (2 if plan.rate else 1) * TTFA_SECONDS_MAX for t in turns)
        or any(stall > STALL_SECONDS for t in turns for stall in t.stalls)
    )
    server_ttfa = [turn.server_ttfa_ms for turn in turns if turn.server_ttfa_ms is not None]
    return {
        "sessions": sessions,
        "unsafe": unsafe,
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--codec", default="pcm_s16le")
    parser.add_argument("--from", dest="first", type=int, default=150)
    parser.add_argument("--step", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--most", type=int, default=600)
    parser.add_argument("--rate", type=float, default=0.0, help="tokens a second; 0: the whole text at once")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    print(machine())
    threads = multiprocessing.cpu_count()
    bare = bare_times_realtime(threads)
    print(f"bare engine, {threads} threads: {bare:.0f} x realtime")
    rows, best = [], 0
    with serving(*OPEN_DOORS, *args.set) as host:
        for sessions in range(args.first, args.most + 1, args.step):
            cpu = host.cpu_seconds()
            row = run(host.port, sessions, args.seconds, Plan(audio={"codec": args.codec}, rate=args.rate))
            row["server_cpu_ms_per_session_second"] = round(
                (host.cpu_seconds() - cpu) / max(1e-9, row["audio_seconds"]) * 1000, 2
            )
            row["memory_mb"] = round(host.memory() / 1e6)
            rows.append(row)
            print(json.dumps(row), flush=True)
            if row["unsafe"] > sessions * 0.02:
                break
            best = sessions if row["unsafe"] == 0 else best
    bare = (bare + bare_times_realtime(threads)) / 2
    summary = {
        "codec": args.codec,
        "safe_sessions": best,
        "bare_x_realtime": round(bare),
        "share": round(best / bare, 2),
    }
    print(json.dumps(summary))
    if args.save:
        args.save.write_text(
            json.dumps({"command": sys.argv, "machine": machine(), "rows": rows, "summary": summary}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
