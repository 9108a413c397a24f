"""What batches of Kokoro's clauses cost and gain: throughput, time of each stage, and first audio of many sessions.

    python bench/batching.py [--device cpu|cuda] [--batches 1 4 16] [--sessions 1 4] [--save results/batching.json]

Throughput is of clauses of one length class, seconds of speech a second, stage by stage; torch's batches against the
int8 export, which takes one clause at a time. Then real sessions in front of the real engine: each asks for a clause,
listens to it, asks again; time to first audio by their number under deadlines, without batching, and in order of
arrival. `flop_share` is of the machine's own matrix product in the same precision; the model needs 55 GFLOP a second
of speech. Results are written as they come.
"""

from __future__ import annotations

import argparse
import heapq
import json
import queue
import random
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

from host import machine
from listener import percentile
from support import kokoro
from support.harvard import SENTENCES
from voxwire_server.engines.base import Engine
from voxwire_server.engines.runner import Runner
from voxwire_server.engines.work import Work
from voxwire_server.scheduling.policy import Order, Policy
from voxwire_server.scheduling.scheduler import Scheduler
from voxwire_server.speech import EndReason

GFLOP_A_SECOND = 55.0
"""Arithmetic of a second of speech, counted on the reference implementation."""
RATE = 24000
POLICIES = {
    "deadlines": Policy(),
    "no batching": Policy(batching=False),
    "arrival": Policy(order=Order.ARRIVAL),
    "throughput": Policy(order=Order.THROUGHPUT),
}


def flops(device: str) -> float:
    """FLOP a second of this device in float32, by a matrix product."""
    import torch

    size = 8192 if device == "cuda" else 1024
    left = torch.rand(size, size, device=device)
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
    """Wait for what the device still has to do."""
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def batch_row(engine: Engine, size: int, rounds: int, device: str) -> dict[str, Any]:
    """A batch of `size` clauses of one length class from text to samples: the fastest of some rounds, by stage."""
    clauses = [kokoro.clause(SENTENCES[0], ("af_heart", "am_michael", "bf_emma")[i % 3], seed=i) for i in range(size)]
    rows_max = {stage.name: stage.batch_size_max for stage in engine.info.stages}
    best: dict[str, float] = {}
    audio_seconds = 0.0
    for _ in range(rounds):
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
        if not best or sum(seconds.values()) < sum(best.values()):
            best = seconds
    device_seconds = sum(best.values()) - best["prepare"]
    return {
        "engine": engine.info.name,
        "batch": size,
        "audio_seconds": round(audio_seconds, 2),
        "milliseconds": {stage: round(1000 * spent, 2) for stage, spent in best.items()},
        "times_realtime": round(audio_seconds / device_seconds, 3),
    }


class Sessions:
    """So many listeners in front of an engine, who ask again when they have heard what they asked for."""

    def __init__(self, engine: Engine, count: int, policy: Policy, seconds: float) -> None:
        self._engine = engine
        self._random = random.Random(7)
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._policy = policy
        self._count = count
        self._seconds = seconds
        self._lock = threading.Lock()
        self.first_audio: list[float] = []
        self.audio_seconds = 0.0

    def run(self) -> dict[str, Any]:
        """What they met."""
        scheduler = Scheduler({self._engine.info.name: self._engine.info}, 2, self._policy)
        runner = Runner({self._engine.info.name: self._engine}, scheduler, lambda outcomes: None, self._calls.put)
        runner.start()
        began = time.monotonic()
        waiting = [(began + self._random.uniform(0, 2.0), n) for n in range(self._count)]
        heapq.heapify(waiting)
        asked: dict[int, float] = {}
        done: queue.SimpleQueue[tuple[int, float, float]] = queue.SimpleQueue()
        turn = 0
        while (now := time.monotonic()) < began + self._seconds:
            while waiting and waiting[0][0] <= now:
                _, session = heapq.heappop(waiting)
                asked[session] = now
                turn += 1
                runner.submit(self._work(session, turn, now, done))
            try:
                session, at, seconds = done.get(timeout=0.005)
            except queue.Empty:
                continue
            self.first_audio.append(at - asked.pop(session))
            self.audio_seconds += seconds
            heapq.heappush(waiting, (at + seconds + self._random.uniform(0.5, 1.5), session))
        # Who still waits counts with what it has waited: otherwise the slowest would be left out.
        self.first_audio += [time.monotonic() - at for at in asked.values()]
        runner.stop(30)
        return {
            "sessions": self._count,
            "clauses": len(self.first_audio),
            "ttfa_p50_ms": round(1000 * percentile(self.first_audio, 0.5), 1),
            "ttfa_p95_ms": round(1000 * percentile(self.first_audio, 0.95), 1),
            "times_realtime": round(self.audio_seconds / self._seconds, 3),
        }

    def _work(self, session: int, turn: int, now: float, done: Any) -> Work:
        text = self._random.choice(SENTENCES)

        def sink(work: Work, chunk: Any, finished: bool) -> bool:
            if finished and not work.cancelled:
                done.put((session, time.monotonic(), 0.0 if chunk is None else len(chunk.samples) / RATE))
            return True

        clause = kokoro.clause(text, seed=turn)
        # A first clause is due when its text came, as in a session.
        name = self._engine.info.name
        return Work((session, turn), name, clause, 0, now, bulk=False, first=True, ends_utterance=True, sink=sink)


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each policy's time to first audio and throughput as multiples of the service's own."""
    found = []
    for row in rows:
        own = next(
            each
            for each in rows
            if (each["engine"], each["sessions"], each["policy"]) == (row["engine"], row["sessions"], "deadlines")
        )
        if row is not own:
            measures = ("ttfa_p50_ms", "ttfa_p95_ms", "times_realtime")
            named = {key: row[key] for key in ("engine", "sessions", "policy")}
            found.append(named | {key: round(row[key] / own[key], 2) for key in measures if own[key]})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--engines", nargs="*", default=["torch", "onnx"])
    parser.add_argument("--batches", type=int, nargs="*")
    parser.add_argument("--sessions", type=int, nargs="*")
    parser.add_argument("--policies", nargs="*", default=list(POLICIES)[:3])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each crowd of sessions")
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    on_gpu = args.device == "cuda"
    batches = args.batches or ([1, 2, 4, 8, 16, 32, 64] if on_gpu else [1, 2, 4, 8, 16])
    crowds = args.sessions if args.sessions is not None else ([1, 16, 64, 256, 1024] if on_gpu else [1, 2, 4])
    result: dict[str, Any] = {"command": sys.argv, "machine": described(args.device), "batches": [], "sessions": []}
    peak = flops(args.device)
    result["device_gflops"] = round(peak / 1e9)

    def keep(kind: str, row: dict[str, Any]) -> None:
        result[kind].append(row)
        result["ratios"] = ratios(result["sessions"])
        print(json.dumps(row), flush=True)
        if args.save:
            args.save.write_text(json.dumps(result, indent=1) + "\n")

    print(result["machine"], f"{result['device_gflops']} GFLOP/s", flush=True)
    for name in args.engines:
        engine = kokoro.torch_engine() if name == "torch" else kokoro.onnx_engine()
        engine.warm_up()
        device = args.device if name == "torch" else "cpu"
        for size in batches if name == "torch" else [1]:
            row = batch_row(engine, size, args.rounds, device)
            if name == "torch":
                row["flop_share"] = round(row["times_realtime"] * GFLOP_A_SECOND * 1e9 / peak, 4)
            keep("batches", row)
        for count in crowds:
            for policy in args.policies:
                row = Sessions(engine, count, POLICIES[policy], args.seconds).run()
                keep("sessions", {"engine": engine.info.name, "policy": policy} | row)


def described(device: str) -> str:
    """The machine, how many threads torch may use, and what else it does."""
    import os

    import torch

    gpu = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    load = f"load {statistics.fmean(os.getloadavg()[:2]):.1f} before"
    return f"{gpu}{machine()}, torch {torch.__version__} on {torch.get_num_threads()} threads, {load}"


if __name__ == "__main__":
    main()
