"""A crowd on virtual time in front of a modelled GPU: who runs dry and who waits, by the order of the steps.

    python bench/scheduling.py [--sessions 250 500 …] [--seconds 16] [--save ….json] [--plot ….png]

Sessions, clause cutting, playout and scheduler are the server's own; only what Kokoro's three stages take on the device
is modelled (`support.gpu_model`), and the language models and users are made up (`support.llm_load_sim`). Nothing is
measured on a clock, so the same figures come out on any machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from load_client import percentile
from support import llm_load_sim
from support.gpu_model import Gpu
from support.llm_load_sim import Crowd
from voxwire_server.scheduling.policy import Order, Policy

SESSIONS = (250, 500, 700, 850, 1000, 1150, 1300, 1500)
ARRIVING_SECONDS, SINCE_SECONDS = 20.0, 26.0
STAGES = ("encode", "front", "generate")
COMPARED_AT = 1000
FED_UNDERRUNS_PER_MINUTE, FED_WAIT_SECONDS = 0.02, 0.25


@dataclass(frozen=True)
class Way:
    """One way to schedule; `most` is the largest crowd that it is tried with."""

    label: str
    policy: Policy
    colour: str
    admission: bool = False
    most: int = 1500


WAYS = {
    "deadline": Way("earliest deadline", Policy(), "tab:green"),
    "admission": Way("earliest deadline, admission on", Policy(), "black", admission=True),
    "unjoined": Way("earliest deadline, one bucket a batch", Policy(padding_share_max=0.0), "tab:olive"),
    "arrival": Way("first come, first served", Policy(order=Order.ARRIVAL), "tab:blue"),
    "throughput": Way("largest batch first", Policy(order=Order.THROUGHPUT), "tab:purple"),
    "single": Way("earliest deadline, no batching", Policy(batching=False), "tab:red", most=COMPARED_AT),
}


@dataclass(frozen=True)
class Run:
    """What one crowd went through. Times are seconds; `wait` is from a first clause's cut to its audio, `ttfa` from the
    first speakable text to the first audio frame. `use` is the share of the device's time that steps took."""

    way: str
    sessions: int
    seconds: float
    listener_minutes: float
    underruns_per_minute: float
    dry_share: float
    ttfa: dict[str, float]
    wait: dict[str, float]
    use: float
    rows: dict[str, float]
    padding: dict[str, float]
    prediction_error: dict[str, float]
    refused: int

    @property
    def fed(self) -> bool:
        """Whether everybody was fed in time."""
        return self.underruns_per_minute <= FED_UNDERRUNS_PER_MINUTE and self.wait["0.95"] <= FED_WAIT_SECONDS


def run(name: str, sessions: int, gpu: Gpu, seconds: float) -> Run:
    """Let a crowd talk."""
    way = WAYS[name]
    times = {"arriving": ARRIVING_SECONDS, "since": SINCE_SECONDS}
    crowd = Crowd(gpu, way.policy, sessions, admission=way.admission, **times)
    crowd.run(SINCE_SECONDS + seconds)
    heard, steps = crowd.counter, {stage: crowd.counted_steps(stage) for stage in STAGES}
    stats = {each.stage: each for each in crowd.scheduler.stats(crowd.now).stages}
    return Run(
        way=name,
        sessions=sessions,
        seconds=seconds,
        listener_minutes=round(heard.minutes, 1),
        underruns_per_minute=round(len(heard.underruns) / heard.minutes, 4),
        dry_share=round(sum(heard.underruns) / heard.minutes / 60, 5),
        ttfa=_quantiles(heard.ttfa),
        wait=_quantiles(heard.clause_waits),
        use=round(sum(step.seconds for step in crowd.counted_steps()) / seconds, 3),
        rows={stage: round(sum(s.rows for s in made) / len(made), 2) for stage, made in steps.items()},
        padding={
            stage: round(1 - sum(s.true for s in made) / sum(s.padded for s in made), 3)
            for stage, made in steps.items()
        },
        prediction_error={stage: round(stats[stage].prediction_error, 3) for stage in STAGES},
        refused=crowd.refused,
    )


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    return {str(share): round(percentile(list(seconds), share), 3) for share in (0.5, 0.95, 0.99)}


HEADER = (
    "sessions  way         heard/min  underruns/min  TTFA p50    p95   p99  wait p95   use  "
    "rows e/f/g      padding e/f/g"
)


def line(run: Run) -> str:
    """A run in one line; times in ms."""
    ttfa, wait = [round(1000 * run.ttfa[q]) for q in ("0.5", "0.95", "0.99")], round(1000 * run.wait["0.95"])
    rows = "/".join(f"{run.rows[stage]:.1f}" for stage in STAGES)
    padding = "/".join(f"{run.padding[stage]:.2f}" for stage in STAGES)
    refused = f"  refused {run.refused}" if run.refused else ""
    return (
        f"{run.sessions:8}  {run.way:10}  {run.listener_minutes:9}  {run.underruns_per_minute:13.3f}  {ttfa[0]:8}  "
        f"{ttfa[1]:5} {ttfa[2]:5} {wait:9}  {run.use:.2f}  {rows:14}  {padding}{refused}"
    )


def compare(runs: Sequence[Run]) -> dict[str, object]:
    """Every way against earliest deadline, at one crowd; and the largest crowd that each feeds."""
    at = max((r.sessions for r in runs if r.sessions <= COMPARED_AT), default=0)
    by_way = {r.way: r for r in runs if r.sessions == at}
    ours = by_way["deadline"]
    ratios = {
        name: {
            "underruns_a_minute_more": round(r.underruns_per_minute - ours.underruns_per_minute, 3),
            "ttfa_p95": round(r.ttfa["0.95"] / ours.ttfa["0.95"], 2),
            "first_clause_wait_p50": round(r.wait["0.5"] / ours.wait["0.5"], 2),
            "first_clause_wait_p95": round(r.wait["0.95"] / ours.wait["0.95"], 2),
            "heard": round(r.listener_minutes / ours.listener_minutes, 3),
        }
        for name, r in by_way.items()
        if name != "deadline"
    }
    fed = {name: max((r.sessions for r in runs if r.way == name and r.fed), default=0) for name in by_way}
    return {"sessions": at, "to_earliest_deadline": ratios, "largest_crowd_fed": fed}


PANELS = (
    ("underruns a minute of listening", lambda run: run.underruns_per_minute),
    ("first clause, from its cut to its audio, p95, ms", lambda run: 1000 * run.wait["0.95"]),
    ("rows a batch in generate", lambda run: run.rows["generate"]),
    ("speech heard, seconds a second", lambda run: 60 * run.listener_minutes / run.seconds),
)


def plot(runs: Sequence[Run], path: Path, title: str) -> None:
    """Draw it against the number of sessions."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(12, 8.5), sharex=True, layout="constrained")
    for axis, (label, value) in zip(axes.flat, PANELS, strict=True):
        for name, way in WAYS.items():
            own = sorted((run for run in runs if run.way == name), key=lambda run: run.sessions)
            points = [run.sessions for run in own], [value(run) for run in own]
            axis.plot(*points, "o--" if way.admission else "o-", markersize=4, color=way.colour, label=way.label)
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    axes[0, 0].set_yscale("symlog", linthresh=0.01)
    axes[0, 1].set_yscale("log")
    for axis in (axes[0, 0], *axes[1]):
        axis.set_ylim(bottom=0)
    for axis in axes[1]:
        axis.set_xlabel("sessions")
    axes[1, 0].legend(fontsize=9)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)


def constants(gpu: Gpu) -> dict[str, object]:
    """All that the figures depend on beside the server's own code."""
    names = ("TOKENS", "TOKENS_PER_SECOND", "FIRST_TOKEN_SECONDS", "PAUSE_SECONDS", "BARGE_IN_SHARE")
    crowd = {name.lower(): getattr(llm_load_sim, name) for name in names}
    return {"gpu": asdict(gpu), "crowd": crowd | {"arriving": ARRIVING_SECONDS, "counted_from": SINCE_SECONDS}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, nargs="+", default=SESSIONS)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=tuple(WAYS))
    parser.add_argument("--seconds", type=float, default=16.0)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    gpu, runs = Gpu(), []
    print(HEADER)
    for sessions in args.sessions:
        for name in args.ways:
            if sessions <= WAYS[name].most:
                runs.append(run(name, sessions, gpu, args.seconds))
                print(line(runs[-1]), flush=True)
    found = compare(runs) if "deadline" in args.ways else {}
    print(json.dumps(found, indent=1))
    if args.save:
        whole = {"model": constants(gpu), "comparison": found, "runs": [asdict(each) for each in runs]}
        args.save.write_text(json.dumps(whole, indent=1) + "\n")
    if args.plot:
        plot(runs, args.plot, "Conversations in front of a modelled GPU, by the order of its steps")


if __name__ == "__main__":
    main()
