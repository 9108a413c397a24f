"""Speech over bad networks: two hosts in namespaces, between them delay, jitter, loss, a narrow link, or none.

    sudo python bench/network.py              # underruns against round trip and loss, PCM and Opus
    sudo python bench/network.py --drops 1000 # so many lost connections; nothing may be lost or repeated
    sudo python bench/network.py --narrow     # one session on links that carry less and less

The same utterances with the same seeds are spoken over the perfect network first; every later one must have the same
checksum. The network is a thread of this process (`tests/support/network_namespaces.py`), because not every kernel has
netem.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from host import machine
from support.network_namespaces import Network, network, permitted

PORT = 8765
ROUND_TRIPS_MS = (20, 100, 300)
LOSSES = (0.0, 0.01, 0.03)


@contextlib.contextmanager
def serving(net: Network, *settings: str) -> Iterator[str]:
    """A server on its host; gives its URL as the client's host sees it."""
    command = [sys.executable, "-m", "voxwire_server.cli", "serve", "--insecure", "--log-level", "error"]
    command += ["--host", net.server_address, "--port", str(PORT), "--set", "scheduling.utilisation_max=100"]
    for setting in settings:
        command += ["--set", setting]
    server = subprocess.Popen(net.command(net.server_namespace, *command))
    try:
        ask = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=1)"
        ready = net.command(
            net.client_namespace, sys.executable, "-c", ask, f"http://{net.server_address}:{PORT}/ready"
        )
        while subprocess.run(ready, capture_output=True, check=False).returncode:
            assert server.poll() is None, "the server did not start"
            time.sleep(0.2)
        yield f"ws://{net.server_address}:{PORT}/v1/stream"
    finally:
        server.kill()
        server.wait()


def phones(net: Network, url: str, *flags: str, **options: object) -> list[dict]:
    """Run the clients on their host; what each session was like."""
    command = [sys.executable, str(Path(__file__).with_name("mobile_client.py")), url, *flags]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    done = subprocess.run(net.command(net.client_namespace, *command), stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def checksums(found: list[dict]) -> dict[tuple[int, int], tuple[int, int]]:
    """Of each utterance its audio's checksum and length."""
    return {(h["session"], h["number"]): (h["crc"], h["frames"]) for phone in found for h in phone["heard"]}


def measure(net: Network, url: str, codec: str, sessions: int, sentences: int) -> list[dict]:
    """Underruns in each cell of the table."""
    options = {"codec": codec, "sessions": sessions, "sentences": sentences}
    perfect = checksums(phones(net, url, **options))
    rows = []
    for round_trip_ms in ROUND_TRIPS_MS:
        for loss in LOSSES:
            net.link.delay, net.link.jitter, net.link.loss = round_trip_ms / 2000, round_trip_ms / 8000, loss
            found = phones(net, url, **options)
            net.link.delay = net.link.jitter = net.link.loss = 0.0
            heard = [h for phone in found for h in phone["heard"]]
            ttfa = sorted(h["ttfa_ms"] for h in heard)
            rows.append(
                {
                    "codec": codec,
                    "round_trip_ms": round_trip_ms,
                    "loss": loss,
                    "same": checksums(found) == perfect,
                    "ttfa_ms_p50": round(ttfa[len(ttfa) // 2], 1),
                    "sessions_that_stalled": sum(h["stalls"] > 0 for h in heard) / len(heard),
                    "stalls_a_minute": round(
                        60 * sum(h["stalls"] for h in heard) / sum(h["seconds"] for h in heard), 2
                    ),
                    "stalled_share": round(
                        sum(h["stalled_seconds"] for h in heard) / sum(h["seconds"] for h in heard), 4
                    ),
                    "connections_lost": sum(phone["lost"] for phone in found),
                }
            )
            print(rows[-1], flush=True)
    return rows


def narrow(net: Network, url: str, sentences: int) -> list[dict]:
    """What one session hears on links that carry less and less, as PCM, as Opus, and when the client may choose."""
    choices = {
        "pcm": ["--codec", "pcm_s16le"],
        "opus 32k": ["--codec", "opus", "--bitrate", "32000"],
        "opus 32k, adapting": ["--codec", "opus", "--bitrate", "32000", "--adapt"],
        "auto, adapting": ["--codec", "auto", "--adapt"],
    }
    rows = []
    net.link.delay = 0.03
    for kilobits in (512, 256, 64, 40):
        net.link.bits_per_second = kilobits * 1000
        for name, flags in choices.items():
            found = phones(net, url, *flags, sessions=1, utterances=3, sentences=sentences)[0]
            heard = found["heard"]
            seconds = sum(h["seconds"] for h in heard)
            rows.append(
                {
                    "kbit_s": kilobits,
                    "asked": name,
                    "codecs": [h["codec"] for h in heard],
                    "kbit_s_of_audio": [round(8 * h["bytes"] / h["seconds"] / 1000, 1) for h in heard if h["seconds"]],
                    "stalled_share": [round(h["stalled_seconds"] / h["seconds"], 3) for h in heard if h["seconds"]],
                    "stalls_a_minute": round(60 * sum(h["stalls"] for h in heard) / max(seconds, 1e-9), 1),
                    "errors": [h["error"] for h in heard if h["error"]],
                    "connections_lost": found["lost"],
                }
            )
            print(rows[-1], flush=True)
    net.link.bits_per_second = None
    return rows


def drop(net: Network, url: str, drops: int, sessions: int, utterances: int) -> dict:
    """Change cells until every session together has lost so many connections; compare with the perfect network."""
    options = {"sessions": sessions, "utterances": utterances, "sentences": 4}
    perfect = checksums(phones(net, url, **options))
    net.link.delay, net.link.jitter, net.link.loss = 0.02, 0.01, 0.005
    over = threading.Event()

    def roam() -> None:
        while not over.wait(1.7):
            net.change_cell()

    roaming = threading.Thread(target=roam)
    roaming.start()
    lost = resumed = spoken = wrong = 0
    away: list[float] = []
    began = time.monotonic()
    try:
        while lost < drops:
            found = phones(net, url, **options)
            sums = checksums(found)
            wrong += sum(sums[key] != perfect[key] for key in perfect)
            spoken += len(sums)
            lost += sum(phone["lost"] for phone in found)
            resumed += sum(phone["resumed"] for phone in found)
            away += [seconds for phone in found for seconds in phone["away_seconds"]]
            print(f"{lost} lost, {resumed} resumed, {spoken} utterances, {wrong} not the same", flush=True)
    finally:
        over.set()
        roaming.join()
    away.sort()
    return {
        "connections_lost": lost,
        "resumed": resumed,
        "utterances": spoken,
        "utterances_not_the_same": wrong,
        "away_seconds_p50": round(away[len(away) // 2], 3),
        "away_seconds_p95": round(away[int(len(away) * 0.95)], 3),
        "seconds": round(time.monotonic() - began, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--drops", type=int, default=0)
    parser.add_argument("--narrow", action="store_true")
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--sentences", type=int, default=4)
    parser.add_argument("--utterances", type=int, default=3)
    parser.add_argument("--save", type=Path)
    args = parser.parse_args()
    if not permitted():
        print("network namespaces are not permitted here")
        return 1
    with network() as net:
        # Short heartbeats, so that a change of cells is noticed soon.
        settings = ("limits.heartbeat_ms=300",) if args.drops else ()
        with serving(net, *settings) as url:
            if args.drops:
                result: object = drop(net, url, args.drops, args.sessions, args.utterances)
                print(result)
            elif args.narrow:
                result = narrow(net, url, args.sentences)
            else:
                result = [
                    row
                    for codec in ("pcm_s16le", "opus")
                    for row in measure(net, url, codec, args.sessions, args.sentences)
                ]
    if args.save:
        args.save.write_text(json.dumps({"machine": machine(), "result": result}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
