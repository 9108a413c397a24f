"""What Kokoro in torch does on a GPU: graphs or none, precisions, batches of 1 to 64, first audio of many listeners.

    python bench/gpu.py [--device cuda|cpu] [--weights random|installed] [--budget 440] [--save results/gpu.json]
    python bench/gpu.py --read      # writes tests/support/kokoro_phonemes.json, where the readers are installed

Runs from a checkout with numpy, torch, msgpack, psutil and pytest alone (PYTHONPATH=protocol:server:tests): texts were
read beforehand, and weights may be random, of which a GPU's time does not depend. Then voices and lengths are made up
too, and only times mean anything. A batch's milliseconds are a stage's as the scheduler sees them, waits included;
`flop_share` is of a matrix product's in the same numbers, the model needing 55 GFLOP a second of speech; `profile` is
where a step's time on the device goes. What there is no time for within `--budget` seconds is left out and said so.
Results are written as they come.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from support import kokoro_torch

kokoro_torch.stand_in()

import torch

from batching import GFLOP_PER_SECOND, batch_row, described, flops, settle
from closed_loop import ClosedLoop, LoopResult
from support.harvard_sentences import SENTENCES
from voxwire_server.engines.kokoro.engine import KokoroEngine, torch_info
from voxwire_server.engines.kokoro.options import Graphs
from voxwire_server.engines.kokoro.runtime.steps import TorchSteps
from voxwire_server.scheduling.policy import Policy

LONG = "; ".join(SENTENCES[:3])
"""Some eight seconds of speech."""
ROUNDS_SECONDS = 3.0


class Budget:
    """What is left of the time for all of it."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self.left_out: list[str] = []

    def has(self, seconds: float, what: str) -> bool:
        """Whether there is time for something; else it is noted down as left out."""
        if time.monotonic() + seconds < self._ends:
            return True
        self.left_out.append(what)
        return False


def engine_of(dtype: torch.dtype, graphs: Graphs, args: argparse.Namespace) -> tuple[KokoroEngine, TorchSteps]:
    """An engine with the network in these numbers."""
    device = torch.device("cuda:0" if args.device == "cuda" else "cpu")
    network = kokoro_torch.random_network() if args.weights == "random" else _installed()
    network.lower(dtype)
    torch.backends.cudnn.allow_tf32 = False
    script: Any = kokoro_torch.ReadBefore()
    steps = TorchSteps(network, device, graphs)
    return KokoroEngine(steps, script, torch_info("kokoro", script.voices, device, dtype)), steps


def _installed() -> Any:
    from support import kokoro

    return kokoro.network()


def warm_row(engine: KokoroEngine, steps: TorchSteps) -> dict[str, Any]:
    """What warming up took, how many shapes are played, and the memory after it."""
    began = time.monotonic()
    engine.warm_up()
    memory = engine.device_memory()
    shapes = () if steps._replayed is None else steps._replayed.recorded
    counts = {stage: sum(shape.stage.value == stage for shape in shapes) for stage in ("encode", "front", "generate")}
    row: dict[str, Any] = {"warm_up_seconds": round(time.monotonic() - began, 1), "recorded": counts}
    if memory is not None:
        row |= {"allocated_mb": memory.allocated_bytes >> 20, "reserved_mb": memory.reserved_bytes >> 20}
    return row


def profile_row(engine: KokoroEngine, size: int, device: str) -> dict[str, Any]:
    """Where the time of a batch's steps goes on the device: the kernels that take most of it, and their number."""
    from torch.profiler import ProfilerActivity, profile

    activities = [ProfilerActivity.CUDA, ProfilerActivity.CPU] if device == "cuda" else [ProfilerActivity.CPU]
    with profile(activities=activities, acc_events=True) as found:
        row = batch_row(engine, size, SENTENCES[0], device, 0.0)
        settle(device)
    events = [each for each in found.key_averages() if device != "cuda" or each.device_type.name == "CUDA"]
    spent: Callable[[Any], float] = lambda each: each.self_device_time_total or each.self_cpu_time_total  # noqa: E731
    events.sort(key=spent, reverse=True)
    total = sum(spent(each) for each in events)
    return {
        "batch": size,
        "milliseconds": row["milliseconds"],
        "device_milliseconds": round(total / 1000, 2),
        "kernels": sum(each.count for each in events),
        "largest": [
            {"kernel": each.key[:90], "share": round(spent(each) / total, 3), "count": each.count}
            for each in events[:12]
        ],
    }


def measured(args: argparse.Namespace, budget: Budget) -> Iterator[tuple[str, dict[str, Any]]]:
    """All rows, each with its kind; what matters most first."""
    pairs = [(precision, graphs) for precision in args.precisions for graphs in args.graphs]
    for precision, graphs in pairs:
        named = {"precision": precision, "graphs": graphs}
        what = f"{precision}, graphs {graphs}"
        if not budget.has(20.0, what):
            continue
        engine, steps = engine_of(getattr(torch, precision), Graphs(graphs), args)
        yield "engines", named | warm_row(engine, steps)
        peak = flops(args.device, precision)
        for text, length in ((SENTENCES[0], "short"), (LONG, "long")):
            for size in args.batches:
                if length == "long" and size not in args.batches[:: max(1, len(args.batches) // 3)]:
                    continue
                if budget.has(2 * ROUNDS_SECONDS, f"{what}: {length} batch of {size}"):
                    row = batch_row(engine, size, text, args.device, min(ROUNDS_SECONDS, args.round_seconds))
                    share = {"flop_share": round(row["times_realtime"] * GFLOP_PER_SECOND * 1e9 / peak, 5)}
                    yield "batches", named | {"text": length} | row | share
        if (precision, graphs) in (pairs[0], pairs[min(1, len(pairs) - 1)]):
            for count in args.sessions:
                if budget.has(args.seconds + 10, f"{what}: {count} listeners"):
                    tally = LoopResult()
                    ClosedLoop(engine, count, Policy(), seed=1).run(args.seconds, tally)
                    yield "sessions", named | {"sessions": count} | tally.row()
        if precision == args.precisions[0] and graphs == Graphs.OFF.value:
            for size in args.profiles:
                if budget.has(20.0, f"{what}: profile of {size}"):
                    yield "profile", named | profile_row(engine, size, args.device)
        del engine, steps
        if args.device == "cuda":
            torch.cuda.empty_cache()


def main() -> None:
    args = arguments()
    if args.read:
        kokoro_torch.read_and_keep([*SENTENCES, LONG])
        return
    logging.basicConfig(level=logging.INFO)
    budget = Budget(args.budget)
    result: dict[str, Any] = {"command": sys.argv, "machine": described(args.device), "weights": args.weights}
    result["gflops"] = {p: round(flops(args.device, p) / 1e9) for p in args.precisions}
    print(json.dumps(result), flush=True)
    began = time.monotonic()
    for kind, row in measured(args, budget):
        result.setdefault(kind, []).append(row)
        result["left_out"] = budget.left_out
        print(f"{time.monotonic() - began:5.0f} s {kind}", json.dumps(row), flush=True)
        if args.save:
            args.save.parent.mkdir(parents=True, exist_ok=True)
            args.save.write_text(json.dumps(result, indent=1) + "\n")
    for what in budget.left_out:
        print("no time for", what)
    sys.stdout.flush()
    # Graphs are let go of by the process's end: one by one takes longer.
    os._exit(0)


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--weights", choices=("random", "installed"), default="random")
    parser.add_argument("--precisions", nargs="*", default=["float16", "float32", "bfloat16"])
    parser.add_argument("--graphs", nargs="*", default=["off", "auto"])
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 2, 4, 8, 16, 32, 64])
    parser.add_argument("--sessions", type=int, nargs="*", default=[1, 64, 256])
    parser.add_argument("--seconds", type=float, default=12.0, help="of each crowd")
    parser.add_argument("--round-seconds", type=float, default=1.0, help="the most a batch size may take")
    parser.add_argument("--budget", type=float, default=440.0, help="seconds for all of it")
    parser.add_argument("--profiles", type=int, nargs="*", default=[1, 16], help="batches whose kernels are looked at")
    parser.add_argument("--read", action="store_true", help="read the texts and write them down; nothing else")
    parser.add_argument("--save", type=Path, default=Path(__file__).with_name("results") / "gpu.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
