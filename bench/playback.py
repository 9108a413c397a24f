"""Playback in Chromium, by what its AudioContext put out: how late events are raised, how soon an interrupt is
silent.

    python bench/playback.py [--rounds 5] [--save bench/results/playback.json]

One Chromium without a window or a sound card (its own silent device keeps the time) beside the server, on the same
cores. An event's lateness is the distance, in samples put out, from its own sample to the one that was just heard when
it was raised: the newest put out, less the output latency. An interrupt's is from the call to the last audible sample.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from host import OPEN_DOORS, Host, machine, serving
from support.browser import Chromium, browsing, built_client
from support.browser_playback import TIMED, Account, account, heard, laboratory, say, spoken

TEXT = "The boat put in by the bay. Five pumpkins for my mum, and a pepper for Bob. That will be all for today."
WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "PCM, worklet": ({"codec": "pcm_s16le"}, {"sampleRate": 24000}),
    "PCM, worklet, resampled": ({"codec": "pcm_s16le"}, {}),
    "PCM, buffers": ({"codec": "pcm_s16le"}, {"sampleRate": 24000, "player": "buffers"}),
    "Opus, WebCodecs": ({"codec": "opus"}, {"sampleRate": 24000, "opus": "webcodecs"}),
    "Opus, wasm": ({"codec": "opus"}, {"sampleRate": 24000, "opus": "wasm"}),
}
INTERRUPT = """async () => {
    await lab.waitForEvent((each) => each.type === "word" && each.detail.pts > 24000);
    const { audioContext } = lab.speaker;
    const frame = audioContext.currentTime * audioContext.sampleRate;
    const began = performance.now();
    await lab.playback.interrupt();
    const report = performance.now() - began;
    await lab.finished();
    await lab.tick(200);
    return { frame, report };
}"""


def lateness(host: Host, played: Account) -> list[float]:
    """Milliseconds by which each word, phoneme, viseme and clause was late."""
    wanted = spoken(host, TEXT, voice="heart", sample_rate=24000)
    first = played.first_frame(soxr.resample(wanted, 24000, played.rate) if played.rate != 24000 else wanted)
    return [float(ms) for ms in played.late_ms(first, *TIMED)]


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95 and the largest."""
    p50, p95 = np.percentile(values, [50, 95])
    return {"p50": round(float(p50), 1), "p95": round(float(p95), 1), "max": round(max(values), 1)}


def measure(chromium: Chromium, host: Host, built: Path, way: str, rounds: int) -> dict[str, Any]:
    """Figures of one way of playing, over so many utterances."""
    codec, speaker = WAYS[way]

    async def one(page: Any) -> tuple[Account, Account, dict[str, float]]:
        async with laboratory(page, host.http, built, speaker=speaker):
            whole = await heard(page, TEXT, voice="heart", gather=True, **codec)
            await say(page, TEXT, voice="tone-low", **codec)
            cut = await page.evaluate(INTERRUPT)
            return whole, await account(page), cut

    late: list[float] = []
    silent: list[float] = []
    reports: list[float] = []
    ttfa: list[float] = []
    for _ in range(rounds):
        whole, interrupted, cut = chromium.play(one)
        late += lateness(host, whole)
        ttfa.append(interrupted.raw["ttfaMs"])
        last = np.flatnonzero(np.abs(interrupted.tape) > 1e-4)[-1] + interrupted.tape_start
        silent.append(max(0.0, (last - cut["frame"]) / interrupted.rate * 1000))
        reports.append(cut["report"])
    return {
        "events": len(late),
        "event_late_ms": percentiles(late),
        "interrupt_silent_ms": percentiles(silent),
        "interrupt_report_ms": percentiles(reports),
        "ttfa_ms": percentiles(ttfa),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    print(machine())
    print("| | events | late p50, p95, max (ms) | silent p50, p95 (ms) | report p50 (ms) | first sound p50 (ms) |")
    print("|---|---|---|---|---|---|")
    results = {}
    with contextlib.ExitStack() as stack:
        built = built_client(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        host = stack.enter_context(serving("engines.enabled=hibari,tone", *OPEN_DOORS))
        chromium = stack.enter_context(browsing())
        for way in WAYS:
            found = results[way] = measure(chromium, host, built, way, args.rounds)
            late, silent = found["event_late_ms"], found["interrupt_silent_ms"]
            print(
                f"| {way} | {found['events']} | {late['p50']}, {late['p95']}, {late['max']} "
                f"| {silent['p50']}, {silent['p95']} | {found['interrupt_report_ms']['p50']} "
                f"| {found['ttfa_ms']['p50']} |",
                flush=True,
            )
    if args.save is not None:
        args.save.write_text(
            json.dumps({"machine": machine(), "rounds": args.rounds, "ways": results}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
