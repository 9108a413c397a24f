"""Time to first audio through each vendor's endpoint, next to the native protocol, in one interleaved run.

    python bench/compat.py [--rounds 30] [--token-ms 30] [--only native cartesia] [--save results/compat.json]

One session at a time speaks turns whose text comes token by token, as a language model writes. Each endpoint gets the
text as its usual clients send it: as tokens, as sentences (told by the token after them), or as a whole. A round is one
turn through each, in an order of its own, on connections that are open already. Two times are taken, both at the
client: from the first token, and from the moment when the client had sent the first clause: the first sentence, or as
many tokens as the native protocol needs to be certain of it. The audio is PCM at 24 kHz unless the name says otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
from pathlib import Path
from typing import Any

from host import OPEN_DOORS, Host, machine, serving
from load_client import percentile
from support.ports import free_port
from vendor_clients import (
    Cartesia,
    Deepgram,
    ElevenLabsContexts,
    ElevenLabsStream,
    Endpoint,
    Native,
    OpenAI,
    Script,
    Turn,
    Unit,
    Wyoming,
)

TEXTS = [
    "I can help you book a table for two tonight. Which day is it?",
    "Let me explain how this works. It is not hard at all.",
    "The morning train leaves at a quarter past eight. It is early.",
    "That is a good question. The short answer is yes.",
]


def endpoints(host: Host, wyoming_port: int) -> list[Endpoint]:
    """All of them, the native one first."""
    mp3 = ElevenLabsContexts.path.replace("pcm_24000", "mp3_22050_32")
    return [
        Native("native", host),
        ElevenLabsContexts("elevenlabs multi", host),
        ElevenLabsContexts("elevenlabs multi, mp3", host, mp3),
        ElevenLabsStream("elevenlabs single", host),
        Cartesia("cartesia", host),
        Deepgram("deepgram v1", host, "/v1/speak?model=aura-2-thalia-en", "Flushed"),
        Deepgram("deepgram v2", host, "/v2/speak?model=flux-general-en", "SpeechMetadata"),
        OpenAI("openai", host, {"response_format": "pcm"}),
        OpenAI("openai, mp3", host, {"response_format": "mp3"}),
        Wyoming("wyoming", host, wyoming_port),
    ]


async def measure(host: Host, wyoming_port: int, args: argparse.Namespace) -> dict[str, tuple[Unit, list[Turn]]]:
    """The turns through each endpoint."""
    scripts = [Script.of(text, args.token_ms / 1000) for text in TEXTS]
    wanted = {"native", *args.only}
    there = [
        each for each in endpoints(host, wyoming_port) if not args.only or re.split("[ ,]", each.name)[0] in wanted
    ]
    turns: dict[str, tuple[Unit, list[Turn]]] = {}
    chance = random.Random(0)
    for each in list(there):
        try:
            # The first turn warms up what the endpoint uses.
            await each.speak(0, scripts[0])
            turns[each.name] = (each.unit, [])
        except Exception as problem:
            print(f"{each.name} is left out: {type(problem).__name__}: {problem}", file=sys.stderr)
            there.remove(each)
    for number in range(1, args.rounds + 1):
        script = scripts[number % len(scripts)]
        for each in chance.sample(there, len(there)):
            turns[each.name][1].append(await each.speak(number, script))
    for each in there:
        await each.close()
    return turns


def summary(turns: dict[str, tuple[Unit, list[Turn]]]) -> list[dict[str, Any]]:
    """A row for each endpoint."""
    rows: list[dict[str, Any]] = []
    for name, (unit, spoken) in turns.items():
        token = [1000 * (turn.first_at - turn.began) for turn in spoken]
        clause = [1000 * (turn.first_at - turn.clause_at) for turn in spoken]
        row = {"endpoint": name, "sends": unit.value, "turns": len(spoken)}
        for what, values in (("token", token), ("clause", clause)):
            row |= {f"{what}_p50_ms": round(percentile(values, 0.5), 1)}
            row |= {f"{what}_p95_ms": round(percentile(values, 0.95), 1)}
        rows.append(row)
    for row in rows:
        row["to_native"] = round(row["clause_p50_ms"] / rows[0]["clause_p50_ms"], 2)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--token-ms", type=float, default=30.0)
    parser.add_argument("--only", nargs="*", default=[], help="vendors, next to the native protocol")
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    print(machine())
    wyoming_port = free_port()
    with serving(*OPEN_DOORS, f"compat.wyoming_port={wyoming_port}") as host:
        rows = summary(asyncio.run(measure(host, wyoming_port, args)))
    print(f"{'':<24} {'':<15} {'from the first token':>21} {'from the first clause':>22} {'to':>7}")
    print(f"{'endpoint':<24} {'sends':<15} {'p50 ms':>12} {'p95':>8} {'p50 ms':>13} {'p95':>8} {'native':>7}")
    for row in rows:
        print(
            f"{row['endpoint']:<24} {row['sends']:<15} {row['token_p50_ms']:12} {row['token_p95_ms']:8}"
            f" {row['clause_p50_ms']:13} {row['clause_p95_ms']:8} {row['to_native']:7}"
        )
    if args.save:
        result = {"command": sys.argv, "machine": machine(), "token_ms": args.token_ms, "rows": rows}
        args.save.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
