"""Cost and gain of batching Kokoro's clauses: throughput, time of each stage, and first audio of many listeners.

    python bench/batching.py [--save results/batching.json --plot results/batching.png]
    python bench/batching.py --engines torch-float16 --sessions --add --save …   # a further engine into the same file

**Batches.** Clauses of one length (--text, 1.5 s of speech) from text to samples: seconds of speech per second and each
stage's time, by batch size; the int8 export takes one clause at a time. Each size runs for --batch-seconds, at least
one round; a size that would need longer for one round, judged by the size before, is left out, and that is reported.
`flop_share` is relative to the machine's own matrix product in the same precision, at 55 GFLOP per second of speech.

**Listeners** (`closed_loop.py`) that ask the engine's scheduler directly: time to first audio and stalls by number,
under the server's own policy (deadlines), without batching, and first come, first served. On a CPU the server makes no
batches; there `batches forced` does, up to eight rows. The policies take turns, --slices times --seconds each, so that
other load on the machine affects all of them; `ratios` are multiples of the server's own. With one listener there is
nothing to order, so only the server's own policy runs. Results are written after each row.

An engine is `onnx`, or torch in a precision: `torch-float32`, `torch-bfloat16`, `torch-float16`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from closed_loop import ClosedLoop, LoopResult
from host import machine
from support import kokoro
from voxwire_server.engines.base import Engine
from voxwire_server.engines.registry import load_engine
from voxwire_server.scheduling.policy import Order, Policy
from voxwire_server.speech import EndReason

ENGINES = ("torch-float32", "torch-bfloat16", "onnx", "torch-float16")
GFLOP_PER_SECOND = 55.0
"""Arithmetic per second of speech, counted on the reference implementation."""
RATE = 24000
TEXT = "The birch canoe slid on."
ROUNDS_MAX = 3
OWN = "deadlines"
FORCED = "batches forced"
FORCED_ROWS = 8
WAYS = {
    OWN: Policy(),
    "no batching": Policy(batching=False),
    "arrival": Policy(order=Order.ARRIVAL),
    FORCED: Policy(step_seconds_max=30.0),
    "throughput": Policy(order=Order.THROUGHPUT),
}
MEASURES = ("ttfa_p50_ms", "ttfa_p95_ms", "stalled_share", "times_realtime")


def flops(device: str, precision: str) -> float:
    """FLOP per second of this device in a matrix product of this precision."""
    import torch

    size = 8192 if device == "cuda" else 1024
    dtype = getattr(torch, precision)
    left = torch.rand(size, size, device=device).to(dtype)
    best = 0.0
    for _ in range(4):
        settle(device)
        began = time.perf_counter()
        for _ in range(4):
            left @ left
        settle(device)
        best = max(best, 4 * 2 * size**3 / (time.perf_counter() - began))
    return best


def settle(device: str) -> None:
    """Wait until the device has done all queued work."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def batches(engine: Engine) -> bool:
    """Whether its steps take more than one row."""
    return any(stage.batch_size_max > 1 for stage in engine.info.stages)


class Batched:
    """An engine that makes batches where by itself it would make none."""

    def __init__(self, engine: Engine) -> None:
        info = engine.info
        stages = tuple(replace(stage, batch_size_max=FORCED_ROWS, joins_buckets=True) for stage in info.stages)
        self.info = replace(info, stages=stages)
        self.warm_up, self.prepare = engine.warm_up, engine.prepare
        self.step, self.finish = engine.step, engine.finish


def one_round(engine: Engine, size: int, text: str, device: str) -> tuple[dict[str, float], float]:
    """Seconds of each stage for a batch of `size` clauses of one length, and seconds of speech in all."""
    clauses = [kokoro.clause(text, ("af_heart", "am_michael", "bf_emma")[i % 3], seed=i) for i in range(size)]
    # An engine that makes no batches on this device still accepts them: that shows whether it should.
    rows_max = {stage.name: stage.batch_size_max if batches(engine) else size for stage in engine.info.stages}
    began = time.perf_counter()
    jobs = [engine.prepare(each) for each in clauses]
    seconds = {"prepare": time.perf_counter() - began}
    audio_seconds, stage = 0.0, jobs[0].stage
    while stage:
        settle(device)
        began = time.perf_counter()
        results = []
        for first in range(0, size, rows_max[stage]):
            results += engine.step(stage, jobs[first : first + rows_max[stage]])
        settle(device)
        seconds[stage] = time.perf_counter() - began
        for job, result in zip(jobs, results, strict=True):
            assert result.error is None
            audio_seconds += 0 if result.chunk is None else len(result.chunk.samples) / RATE
            if result.stage:
                job.stage, job.bucket, job.cost = result.stage, result.bucket, result.cost
        stage = results[0].stage
    for job in jobs:
        engine.finish(job, EndReason.COMPLETED)
    return seconds, audio_seconds


def batch_row(engine: Engine, size: int, text: str, device: str, budget: float) -> dict[str, Any]:
    """The fastest of as many rounds as the budget (seconds) allows, one at least."""
    best: dict[str, float] = {}
    began, rounds, audio_seconds = time.monotonic(), 0, 0.0
    while not rounds or (rounds < ROUNDS_MAX and (time.monotonic() - began) * (rounds + 1) / rounds < budget):
        seconds, audio_seconds = one_round(engine, size, text, device)
        rounds += 1
        if not best or sum(seconds.values()) < sum(best.values()):
            best = seconds
    device_seconds = sum(best.values()) - best["prepare"]
    return {
        "batch": size,
        "rounds": rounds,
        "audio_seconds": round(audio_seconds, 2),
        "milliseconds": {stage: round(1000 * spent, 2) for stage, spent in best.items()},
        "times_realtime": round(audio_seconds / device_seconds, 3),
    }


def batch_rows(engine: Engine, name: str, args: argparse.Namespace, keep: Any) -> None:
    """Measure every batch size for which there is time."""
    family, _, precision = name.partition("-")
    device = args.device if family == "torch" else "cpu"
    peak = flops(device, precision) if family == "torch" else 0.0
    one_round(engine, 1, args.text, device)
    last = None
    for size in args.batches if family == "torch" else [1]:
        if last and sum(last["milliseconds"].values()) / 1000 * size / last["batch"] > args.batch_seconds:
            print(f"{name}: batches of {size} and more would take longer than --batch-seconds", flush=True)
            break
        last = {"engine": name} | batch_row(engine, size, args.text, device, args.batch_seconds)
        if peak:
            last["flop_share"] = round(last["times_realtime"] * GFLOP_PER_SECOND * 1e9 / peak, 4)
        keep("batches", last)


def session_rows(engine: Engine, name: str, args: argparse.Namespace, keep: Any) -> None:
    """Measure every number of listeners, under every policy that differs from the server's own."""
    one_row = name != "onnx" and not batches(engine)
    without = {OWN} | ({"no batching"} if not batches(engine) else set()) | (set() if one_row else {FORCED})
    for count in args.sessions:
        ways = [OWN, *(way for way in args.ways if count > 1 and way not in without)]
        loop_results = {way: LoopResult() for way in ways}
        for part in range(args.slices):
            # Every other time in reverse, so that no policy is always the first.
            for way in ways[:: -1 if part % 2 else 1]:
                asked = Batched(engine) if way == FORCED else engine
                ClosedLoop(asked, count, WAYS[way], seed=part).run(args.seconds, loop_results[way])
        for way, loop_result in loop_results.items():
            keep("sessions", {"engine": name, "sessions": count, "way": way} | loop_result.row())


def ratios(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each policy's times to first audio, stalls and throughput as multiples of the server's own."""
    own = {(row["engine"], row["sessions"]): row for row in rows if row["way"] == OWN}
    found = []
    for row in rows:
        base = own.get((row["engine"], row["sessions"]))
        if base is not None and row is not base:
            named = {key: row[key] for key in ("engine", "sessions", "way")}
            found.append(named | {key: round(row[key] / base[key], 2) for key in MEASURES if base[key]})
    return found


def plot(result: dict[str, Any], path: Path) -> None:
    """Throughput by batch size, and time to first audio by listeners."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    for name in dict.fromkeys(row["engine"] for row in result["batches"]):
        own = [row for row in result["batches"] if row["engine"] == name]
        left.plot([row["batch"] for row in own], [row["times_realtime"] for row in own], "o-", label=name)
    left.set(xscale="log", xlabel="batch", ylabel="seconds of speech per second", ylim=(0, None))
    left.xaxis.set_major_formatter("{x:g}")
    for name, way in dict.fromkeys((row["engine"], row["way"]) for row in result["sessions"]):
        own = [row for row in result["sessions"] if (row["engine"], row["way"]) == (name, way)]
        points = [row["sessions"] for row in own], [row["ttfa_p95_ms"] / 1000 for row in own]
        right.plot(*points, "o-" if way == OWN else "s--", label=f"{name}, {way}")
    right.set(xlabel="listeners", ylabel="first audio, p95, s", ylim=(0, None))
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=9)
    figure.suptitle(result["machine"], fontsize=9)
    figure.savefig(path, dpi=110)


def main() -> None:
    args = arguments()
    kokoro.weights()
    result: dict[str, Any] = {"command": sys.argv, "machine": described(args.device), "batches": [], "sessions": []}
    if args.add and args.save and args.save.exists():
        before = json.loads(args.save.read_text())
        result["added_to"] = {"command": before["command"], "machine": before["machine"]}
        for kind in ("batches", "sessions"):
            result[kind] = [row for row in before[kind] if row["engine"] not in args.engines]

    def keep(kind: str, row: dict[str, Any]) -> None:
        result[kind].append(row)
        result["ratios"] = ratios(result["sessions"])
        print(f"{time.monotonic() - began:5.0f} s", json.dumps(row), flush=True)
        if args.save:
            args.save.write_text(json.dumps(result, indent=1) + "\n")

    began = time.monotonic()
    print(result["machine"], flush=True)
    for name in args.engines:
        family, _, precision = name.partition("-")
        engine = load_engine(f"kokoro-{family}", "", {"precision": precision} if precision else {})
        engine.warm_up()
        batch_rows(engine, name, args, keep)
        session_rows(engine, name, args, keep)
    for row in ratios(result["sessions"]):
        print(json.dumps(row))
    if args.plot:
        plot(result, args.plot)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--engines", nargs="*", choices=ENGINES, default=list(ENGINES[:3]))
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--sessions", type=int, nargs="*", help="numbers of listeners; none: batches alone")
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=list(WAYS)[:4])
    parser.add_argument("--text", default=TEXT)
    parser.add_argument("--batch-seconds", type=float, default=45.0, help="at most, for each batch size")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each slice with listeners")
    parser.add_argument("--slices", type=int, default=2)
    parser.add_argument("--add", action="store_true", help="keep the rows of other engines that --save has already")
    parser.add_argument("--save", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    if args.sessions is None:
        args.sessions = [1, 16, 64, 256, 1024] if args.device == "cuda" else [1, 2, 4]
    return args


def described(device: str) -> str:
    """The machine, the number of torch's threads, and the load average before the run."""
    import os

    import torch

    gpu = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    load = f"load {statistics.fmean(os.getloadavg()[:2]):.1f} before"
    return f"{gpu}{machine()}, torch {torch.__version__} on {torch.get_num_threads()} threads, {load}"


if __name__ == "__main__":
    main()
