"""CPU and memory a realtime session costs, by stage: text, synthesis, resampling, encoding, framing, sending.

    python bench/cost.py [--sessions 180] [--seconds 15]

The whole server is measured from outside (CPU of the process, and of the event loop's thread, over seconds of audio
sent) in several shapes; single stages are measured alone, in this process, on the same speech. "server's own" is the
event loop with all it does, and what the workers do beside the engine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

from host import OPEN_DOORS, machine, serving
from load_client import TEXTS, Plan, tokens
from sessions import run

SHAPES = {
    "pcm 24 kHz": {"codec": "pcm_s16le"},
    "pcm 16 kHz": {"codec": "pcm_s16le", "sample_rate": 16000},
    "mu-law 8 kHz": {"codec": "mulaw"},
    "opus 24 kHz": {"codec": "opus"},
}


def thread_seconds(action, *, least: float = 0.3) -> float:
    """CPU seconds of this thread for one call of `action`, the best of three averages."""
    best = float("inf")
    for _ in range(3):
        calls, began = 0, time.thread_time()
        while time.thread_time() - began < least / 3:
            action()
            calls += 1
        best = min(best, (time.thread_time() - began) / calls)
    return best


def stages() -> dict[str, float]:
    """Microseconds of CPU for a second of speech, stage by stage, alone."""
    from voxwire_protocol import messages as m
    from voxwire_protocol.codec import JSON, MSGPACK
    from voxwire_server.audio.encoder_pool import OpusStream
    from voxwire_server.audio.framing import Framer
    from voxwire_server.audio.samples import Resampler
    from voxwire_server.engines.hibari import create
    from voxwire_server.speech import Clause
    from voxwire_server.text.intake import TextIntake, Urgency
    from voxwire_server.transport.websocket_protocol import binary_prefix

    engine = create()
    engine.warm_up()
    text = TEXTS[0].split(". ")[0] + "."
    clause = Clause(text, (0, len(text)), range(len(text)), "heart", "en-us", 1.0, 1)

    def synthesise() -> np.ndarray:
        return engine.step("speak", [engine.prepare(clause)])[0].chunk.samples

    samples = synthesise()
    seconds = len(samples) / engine.info.sample_rate
    pieces = [m.Text(text=piece) for piece in tokens(text)]
    raws = [JSON.encode(piece) for piece in pieces]
    packed = [MSGPACK.encode(piece) for piece in pieces]

    def intake() -> None:
        taken = TextIntake("en-us")
        for piece in pieces:
            taken.feed(piece.text)
            taken.take(Urgency.RELAXED)
        taken.flush()
        taken.take(Urgency.RELAXED)

    pcm = m.AudioFormat()
    block = Framer(0, m.AudioFormat(codec="opus", bitrate=24000)).push(samples, ends_utterance=True)
    assert block is not None
    opus = OpusStream(m.AudioFormat(codec="opus", bitrate=24000), 5)
    found = {
        "decode text messages, JSON": lambda: [JSON.decode_client(raw) for raw in raws],
        "decode text messages, MessagePack": lambda: [MSGPACK.decode_client(raw) for raw in packed],
        "text intake": intake,
        "G2P": lambda: engine.prepare(clause),
        "synthesis with G2P": synthesise,
        "resample to 16 kHz": lambda: Resampler(24000, 16000).push(samples),
        "resample to 8 kHz": lambda: Resampler(24000, 8000).push(samples),
        "convert and frame, PCM": lambda: Framer(0, pcm, binary_prefix).push(samples, ends_utterance=True),
        "Opus, complexity 5": lambda: opus.encode(block, 0, block.count),
        "slice bursts of 10 frames": lambda: [block.wire(i, i + 10) for i in range(0, block.count, 10)],
    }
    return {name: round(thread_seconds(action) / seconds * 1e6, 1) for name, action in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=180)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    print(machine())
    alone = stages()
    print("alone, us of CPU a second of speech:")
    for name, micros in alone.items():
        print(f"  {micros:9.1f}  {name}")
    rows = []
    print(f"{args.sessions} sessions, ms of CPU a session-second (tokens at 30 a second):")
    for name, audio in SHAPES.items():
        with serving(*OPEN_DOORS) as host:
            idle, cpu, loop = host.memory(), host.cpu_seconds(), host.loop_seconds()
            row = run(host.port, args.sessions, args.seconds, Plan(audio=audio, rate=30.0))
            audio_seconds = row["audio_seconds"]
            whole = (host.cpu_seconds() - cpu) / audio_seconds * 1000
            loop_ms = (host.loop_seconds() - loop) / audio_seconds * 1000
            rows.append(
                {
                    "shape": name,
                    "whole_ms": round(whole, 2),
                    "event_loop_ms": round(loop_ms, 2),
                    "servers_own_ms": round(loop_ms + shaping(alone, name) / 1000, 2),
                    "memory_kb_a_session": round((host.memory() - idle) / args.sessions / 1000),
                    "memory_idle_mb": round(idle / 1e6),
                    "stalls": row["stalls"],
                }
            )
            print("  " + json.dumps(rows[-1]), flush=True)
    if args.save:
        result = {"command": sys.argv, "machine": machine(), "alone_us": alone, "rows": rows}
        args.save.write_text(json.dumps(result, indent=1) + "\n")


def shaping(alone: dict[str, float], shape: str) -> float:
    """What the workers do beside the engine for a shape, in us a second of speech: resampling, framing, encoding."""
    own = alone["convert and frame, PCM"]
    own += alone["resample to 16 kHz"] if "16 kHz" in shape else 0.0
    own += alone["resample to 8 kHz"] if "8 kHz" in shape else 0.0
    return own + (alone["Opus, complexity 5"] if "opus" in shape else 0.0)


if __name__ == "__main__":
    main()
