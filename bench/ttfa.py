"""Time to first audio with N sessions speaking, against the bare engine's first clause, in one run.

    python bench/ttfa.py [--sessions 1 8 32 64] [--seconds 15]

Sessions take turns of some 10 s with a pause of up to 0.4 s, each begun at its own time; the whole text is sent at
once, so that only the server's time counts. "bare" is prepare and step of the same first clauses, alone in this
process, before and after. The client's TTFA includes two hops through loopback and the load generator's lateness.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from host import OPEN_DOORS, machine, serving
from load_client import TEXTS, Plan, percentile
from sessions import run_raw


def first_clauses() -> list[str]:
    """What the text intake makes the first clause of each text."""
    from voxwire_server.text.intake import TextIntake, Urgency

    clauses = []
    for text in TEXTS:
        intake = TextIntake("en-us")
        intake.feed(text)
        clause = intake.take(Urgency.RELAXED)
        assert clause is not None
        clauses.append(clause.text)
    return clauses


def bare_seconds(rounds: int = 20) -> list[float]:
    """Seconds from text to samples of each first clause, alone."""
    from voxwire_server.engines.hibari import create
    from voxwire_server.speech import Clause

    engine = create()
    engine.warm_up()
    taken = []
    for seed in range(rounds):
        for text in first_clauses():
            began = time.perf_counter()
            job = engine.prepare(Clause(text, (0, len(text)), range(len(text)), "heart", "en-us", 1.0, seed))
            engine.step("speak", [job])
            taken.append(time.perf_counter() - began)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, nargs="*", default=[1, 8, 32, 64])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    print(machine())
    bare = bare_seconds()
    rows = []
    with serving(*OPEN_DOORS) as host:
        for sessions in args.sessions:
            # Short texts give many turns.
            seconds = args.seconds * (3 if sessions == 1 else 1)
            plan = Plan(url_port=host.port, rate=0.0, texts=[text[: text.index(". ", 70) + 1] for text in TEXTS])
            turns = [turn for turns, _, _ in run_raw(sessions, seconds, plan) for turn in turns]
            client = [turn.ttfa for turn in turns if turn.ttfa is not None]
            server = [turn.server_ttfa_ms / 1000 for turn in turns if turn.server_ttfa_ms is not None]
            rows.append((sessions, len(turns), client, server))
    bare += bare_seconds()
    base = statistics.median(bare)
    print(f"bare engine, first clause: p50 {base * 1000:.1f} ms")
    print(
        f"{'sessions':>8} {'turns':>6} {'client p50':>11} {'p95':>7} {'server p50':>11} {'p95':>7} {'p50 / bare':>11}"
    )
    table = []
    for sessions, turns, client, server in rows:
        row = {
            "sessions": sessions,
            "turns": turns,
            "client_p50_ms": round(percentile(client, 0.5) * 1000, 1),
            "client_p95_ms": round(percentile(client, 0.95) * 1000, 1),
            "server_p50_ms": round(percentile(server, 0.5) * 1000, 1),
            "server_p95_ms": round(percentile(server, 0.95) * 1000, 1),
            "p50_to_bare": round(percentile(client, 0.5) / base, 2),
        }
        table.append(row)
        print(
            f"{sessions:8} {turns:6} {row['client_p50_ms']:11} {row['client_p95_ms']:7} {row['server_p50_ms']:11}"
            f" {row['server_p95_ms']:7} {row['p50_to_bare']:11}"
        )
    if args.save:
        result = {"command": sys.argv, "machine": machine(), "bare_p50_ms": round(base * 1000, 2), "rows": table}
        args.save.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
