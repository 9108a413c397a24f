"""Kokoro in torch on a GPU, by precision, with and without CUDA graphs: batches of 1 to 64, first audio of listeners.

    python bench/gpu.py [--device cuda|cpu] [--weights random|installed] [--budget 440] [--save results/gpu.json]
    python bench/gpu.py --phonemes  # writes tests/support/kokoro_phonemes.json; needs the extra kokoro

Runs from a checkout with numpy, torch, msgpack, psutil and pytest alone (PYTHONPATH=protocol:server:tests): the texts'
phonemes are in a file, and weights may be random, because a GPU's time does not depend on them. Voices and lengths are
then made up too, and only the times mean anything. A batch's milliseconds are each stage's as the scheduler measures
them, waits included; `flop_share` is relative to a matrix product in the same precision, at 55 GFLOP per second of
speech; `profile` lists the kernels that take a step's time. What does not fit into `--budget` seconds is left out and
reported. Results are written after each row.
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

kokoro_torch.stub_missing_packages()

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
    """The time that is left for the whole run."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self.left_out: list[str] = []

    def has(self, seconds: float, what: str) -> bool:
        """Whether there is time for `what`; if not, it is listed as left out."""
        if time.monotonic() + seconds < self._ends:
            return True
        self.left_out.append(what)
        return False


def engine_of(dtype: torch.dtype, graphs: Graphs, args: argparse.Namespace) -> tuple[KokoroEngine, TorchSteps]:
    """An engine whose large convolutions are of type `dtype`, and its steps."""
    device = torch.device("cuda:0" if args.device == "cuda" else "cpu")
    network = kokoro_torch.random_network() if args.weights == "random" else _installed()
    network.lower(dtype)
    torch.backends.cudnn.allow_tf32 = False
    frontend: Any = kokoro_torch.PhonemisedTexts()
    steps = TorchSteps(network, device, graphs)
    return KokoroEngine(steps, frontend, torch_info("kokoro", frontend.voices, device, dtype)), steps


def _installed() -> Any:
    from support import kokoro

    return kokoro.network()


def warm_row(engine: KokoroEngine, steps: TorchSteps) -> dict[str, Any]:
    """The time of a warm-up, how many shapes have a CUDA graph then, and the memory."""
    began = time.monotonic()
    engine.warm_up()
    memory = engine.device_memory()
    stages = [shape.stage.value for shape in steps.captured]
    counts = {stage: stages.count(stage) for stage in ("encode", "front", "generate")}
    row: dict[str, Any] = {"warm_up_seconds": round(time.monotonic() - began, 1), "captured": counts}
    if memory is not None:
        row |= {"allocated_mb": memory.allocated_bytes >> 20, "reserved_mb": memory.reserved_bytes >> 20}
    return row


def profile_row(engine: KokoroEngine, size: int, device: str) -> dict[str, Any]:
    """The kernels that take most of a batch's time on the device, and the number of all."""
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
    """All rows, each with its kind; the most important first."""
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
                    loop_result = LoopResult()
                    ClosedLoop(engine, count, Policy(), seed=1).run(args.seconds, loop_result)
                    yield "sessions", named | {"sessions": count} | loop_result.row()
        if precision == args.precisions[0] and graphs == Graphs.OFF.value:
            for size in args.profiles:
                if budget.has(20.0, f"{what}: profile of {size}"):
                    yield "profile", named | profile_row(engine, size, args.device)
        del engine, steps
        if args.device == "cuda":
            torch.cuda.empty_cache()


def main() -> None:
    args = arguments()
    if args.phonemes:
        kokoro_torch.write_phonemes([*SENTENCES, LONG])
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
    # The process's end frees all graphs at once: one by one takes longer.
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
    parser.add_argument("--seconds", type=float, default=12.0, help="of each run with listeners")
    parser.add_argument("--round-seconds", type=float, default=1.0, help="at most, for each batch size")
    parser.add_argument("--budget", type=float, default=440.0, help="seconds for the whole run")
    parser.add_argument("--profiles", type=int, nargs="*", default=[1, 16], help="batches whose kernels are listed")
    parser.add_argument("--phonemes", action="store_true", help="write the texts' phonemes, and do nothing else")
    parser.add_argument("--save", type=Path, default=Path(__file__).with_name("results") / "gpu.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
