"""Hundreds of sessions on virtual time with a modelled GPU: underruns and waits, by the order of the steps.

    python bench/scheduling.py [--sessions 250 500 …] [--seconds 16] [--save ….json] [--plot ….png]

Sessions, clause cutting, playout and scheduler are the server's own; the times of Kokoro's three stages on the device
are modelled (`support.gpu_model`), and language models and users are simulated (`support.llm_load_sim`). Nothing is
measured on a clock, so the figures are the same on any machine.
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
from support.llm_load_sim import ConversationLoad
from voxwire_server.scheduling.policy import Order, Policy

SESSIONS = (250, 500, 700, 850, 1000, 1150, 1300, 1500)
ARRIVING_SECONDS, SINCE_SECONDS = 20.0, 26.0
STAGES = ("encode", "front", "generate")
COMPARED_AT = 1000
SERVED_UNDERRUNS_PER_MINUTE_MAX, SERVED_WAIT_SECONDS_MAX = 0.02, 0.25


@dataclass(frozen=True)
class Variant:
    """One variant to schedule; `sessions_max`: the largest number of sessions that it is run with."""

    label: str
    policy: Policy
    colour: str
    admission: bool = False
    sessions_max: int = 1500


VARIANTS = {
    "deadline": Variant("earliest deadline", Policy(), "tab:green"),
    "admission": Variant("earliest deadline, admission on", Policy(), "black", admission=True),
    "unjoined": Variant("earliest deadline, one bucket a batch", Policy(padding_share_max=0.0), "tab:olive"),
    "arrival": Variant("first come, first served", Policy(order=Order.ARRIVAL), "tab:blue"),
    "throughput": Variant("largest batch first", Policy(order=Order.THROUGHPUT), "tab:purple"),
    "single": Variant("earliest deadline, no batching", Policy(batching=False), "tab:red", sessions_max=COMPARED_AT),
}


@dataclass(frozen=True)
class Run:
    """The figures of one run. Times are seconds; `wait` is from a first clause's submission to its audio, `ttfa` from
    the first speakable text to the first audio frame. `use` is the share of the device's time that steps took."""

    variant: str
    sessions: int
    seconds: float
    listener_minutes: float
    underruns_per_minute: float
    waiting_share: float
    ttfa: dict[str, float]
    wait: dict[str, float]
    use: float
    rows: dict[str, float]
    padding: dict[str, float]
    prediction_error: dict[str, float]
    refused: int

    @property
    def served(self) -> bool:
        """Whether all sessions were served in time."""
        return (
            self.underruns_per_minute <= SERVED_UNDERRUNS_PER_MINUTE_MAX
            and self.wait["0.95"] <= SERVED_WAIT_SECONDS_MAX
        )


def run(name: str, sessions: int, gpu: Gpu, seconds: float) -> Run:
    """Run a variant with that many sessions."""
    variant = VARIANTS[name]
    times = {"arriving": ARRIVING_SECONDS, "since": SINCE_SECONDS}
    load = ConversationLoad(gpu, variant.policy, sessions, admission=variant.admission, **times)
    load.run(SINCE_SECONDS + seconds)
    heard, steps = load.counter, {stage: load.counted_steps(stage) for stage in STAGES}
    stats = {each.stage: each for each in load.scheduler.stats(load.now).stages}
    return Run(
        variant=name,
        sessions=sessions,
        seconds=seconds,
        listener_minutes=round(heard.minutes, 1),
        underruns_per_minute=round(len(heard.underruns) / heard.minutes, 4),
        waiting_share=round(sum(heard.underruns) / heard.minutes / 60, 5),
        ttfa=_quantiles(heard.ttfa),
        wait=_quantiles(heard.clause_waits),
        use=round(sum(step.seconds for step in load.counted_steps()) / seconds, 3),
        rows={stage: round(sum(s.rows for s in made) / len(made), 2) for stage, made in steps.items()},
        padding={
            stage: round(1 - sum(s.true for s in made) / sum(s.padded for s in made), 3)
            for stage, made in steps.items()
        },
        prediction_error={stage: round(stats[stage].prediction_error, 3) for stage in STAGES},
        refused=load.refused,
    )


def _quantiles(seconds: Sequence[float]) -> dict[str, float]:
    return {str(share): round(percentile(list(seconds), share), 3) for share in (0.5, 0.95, 0.99)}


HEADER = (
    "sessions  variant         heard/min  underruns/min  TTFA p50    p95   p99  wait p95   use  "
    "rows e/f/g      padding e/f/g"
)


def line(run: Run) -> str:
    """A run in one line; times in ms."""
    ttfa, wait = [round(1000 * run.ttfa[q]) for q in ("0.5", "0.95", "0.99")], round(1000 * run.wait["0.95"])
    rows = "/".join(f"{run.rows[stage]:.1f}" for stage in STAGES)
    padding = "/".join(f"{run.padding[stage]:.2f}" for stage in STAGES)
    refused = f"  refused {run.refused}" if run.refused else ""
    return (
        f"{run.sessions:8}  {run.variant:10}  {run.listener_minutes:9}  {run.underruns_per_minute:13.3f}  {ttfa[0]:8}  "
        f"{ttfa[1]:5} {ttfa[2]:5} {wait:9}  {run.use:.2f}  {rows:14}  {padding}{refused}"
    )


def compare(runs: Sequence[Run]) -> dict[str, object]:
    """Every variant against earliest deadline, at one number of sessions; and the most sessions that each serves."""
    at = max((r.sessions for r in runs if r.sessions <= COMPARED_AT), default=0)
    by_variant = {r.variant: r for r in runs if r.sessions == at}
    ours = by_variant["deadline"]
    ratios = {
        name: {
            "underruns_a_minute_more": round(r.underruns_per_minute - ours.underruns_per_minute, 3),
            "ttfa_p95": round(r.ttfa["0.95"] / ours.ttfa["0.95"], 2),
            "first_clause_wait_p50": round(r.wait["0.5"] / ours.wait["0.5"], 2),
            "first_clause_wait_p95": round(r.wait["0.95"] / ours.wait["0.95"], 2),
            "heard": round(r.listener_minutes / ours.listener_minutes, 3),
        }
        for name, r in by_variant.items()
        if name != "deadline"
    }
    served = {name: max((r.sessions for r in runs if r.variant == name and r.served), default=0) for name in by_variant}
    return {"sessions": at, "to_earliest_deadline": ratios, "sessions_served": served}


PANELS = (
    ("underruns per minute of audio", lambda run: run.underruns_per_minute),
    ("first clause, from submission to audio, p95, ms", lambda run: 1000 * run.wait["0.95"]),
    ("rows per batch in generate", lambda run: run.rows["generate"]),
    ("speech sent, seconds per second", lambda run: 60 * run.listener_minutes / run.seconds),
)


def plot(runs: Sequence[Run], path: Path, title: str) -> None:
    """Draw it against the number of sessions."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(12, 8.5), sharex=True, layout="constrained")
    for axis, (label, value) in zip(axes.flat, PANELS, strict=True):
        for name, variant in VARIANTS.items():
            own = sorted((run for run in runs if run.variant == name), key=lambda run: run.sessions)
            points = [run.sessions for run in own], [value(run) for run in own]
            axis.plot(
                *points, "o--" if variant.admission else "o-", markersize=4, color=variant.colour, label=variant.label
            )
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
    """The constants of the model, on which the figures depend beside the server's own code."""
    names = ("TOKENS", "TOKENS_PER_SECOND", "FIRST_TOKEN_SECONDS", "PAUSE_SECONDS", "BARGE_IN_SHARE")
    load = {name.lower(): getattr(llm_load_sim, name) for name in names}
    return {"gpu": asdict(gpu), "load": load | {"arriving": ARRIVING_SECONDS, "counted_from": SINCE_SECONDS}}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, nargs="+", default=SESSIONS)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=tuple(VARIANTS))
    parser.add_argument("--seconds", type=float, default=16.0)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    gpu, runs = Gpu(), []
    print(HEADER)
    for sessions in args.sessions:
        for name in args.variants:
            if sessions <= VARIANTS[name].sessions_max:
                runs.append(run(name, sessions, gpu, args.seconds))
                print(line(runs[-1]), flush=True)
    found = compare(runs) if "deadline" in args.variants else {}
    print(json.dumps(found, indent=1))
    if args.save:
        whole = {"model": constants(gpu), "comparison": found, "runs": [asdict(each) for each in runs]}
        args.save.write_text(json.dumps(whole, indent=1) + "\n")
    if args.plot:
        plot(runs, args.plot, "Conversations with a modelled GPU, by the order of its steps")


if __name__ == "__main__":
    main()
