"""Runs scripts of the Godot client without a window, beside the Python client; writes what it takes from the protocol.

`python tests/support/godot.py` writes `viseme_shapes.gd` again.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from voxwire_client import Audio, Done, Timing, connect

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "clients" / "godot"
SHAPES = PROJECT / "addons" / "voxwire" / "viseme_shapes.gd"
SHAPES_SOURCE = ROOT / "protocol" / "voxwire_protocol" / "visemes.json"
PROGRAM = shutil.which("godot3-server")
RUN_SECONDS_MAX = 90

VECTORS = ROOT / "tests" / "protocol" / "vectors"

HEADER = """\
# The fifteen mouth shapes and their names in ARKit (blend shapes), VRM 1.0 (expressions), Rhubarb and Azure.
# Written by tests/support/godot.py from protocol/voxwire_protocol/visemes.json.
extends Reference

"""


class ScriptFailed(AssertionError):
    """A script of Godot's ended with an error."""


async def script(name: str, tmp: Path, /, **options: object) -> list[dict[str, Any]]:
    """Run `clients/godot/tests/NAME.gd` with options `--key=value`; returns the JSON lines it printed, in order.

    Raises:
        ScriptFailed: it ended with another status than 0, or Godot told of an error in a script.
    """
    assert PROGRAM is not None, "whoever calls this has looked"
    command = [PROGRAM, "--path", str(PROJECT), "--script", f"res://tests/{name}.gd"]
    command += [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
    # Godot writes its logs and caches below the home folder.
    homes = {key: str(tmp) for key in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(os.environ, LANG="C.UTF-8", **homes),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), RUN_SECONDS_MAX)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    told = errors.decode()
    if process.returncode != 0 or "SCRIPT ERROR" in told:
        raise ScriptFailed(f"{name}: status {process.returncode}\n{told}\n{out.decode()}")
    return [json.loads(line) for line in out.decode().split("\n") if line.startswith("{")]


def play(action: Callable[[], Coroutine[Any, Any, T]], seconds: float = 110) -> T:
    """Run to its end what may not take longer."""

    async def run() -> T:
        async with asyncio.timeout(seconds):
            return await action()

    return asyncio.run(run())


def vectors(name: str) -> Any:
    """A file of golden vectors."""
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def of(lines: list[dict[str, Any]], name: str) -> list[list[Any]]:
    """The values of a signal, each time it was given."""
    return [line["values"] for line in lines if line["signal"] == name]


async def told_python(url: str, text: str, **options: Any) -> dict[str, Any]:
    """What the Python client is told: words, phonemes, visemes, the audio, the end."""
    kinds: dict[str, Any] = {"words": [], "phonemes": [], "visemes": [], "audio": b"", "done": None}
    async with connect(url) as session:
        async for event in session.speak(text, timings=["word", "phoneme", "viseme"], pacing="burst", **options):
            match event:
                case Audio():
                    kinds["audio"] += event.payload
                case Timing():
                    kinds["words"] += [[word.text, list(word.chars), word.pts] for word in event.words]
                    kinds["phonemes"] += [[each.ipa, each.pts, each.end_pts] for each in event.phonemes]
                    kinds["visemes"] += [[each.id, each.weight, each.pts] for each in event.visemes]
                case Done():
                    kinds["done"] = [event.frames, event.samples, event.chars]
    return kinds


def shapes_source() -> str:
    """What `viseme_shapes.gd` must hold."""
    shapes = json.loads(SHAPES_SOURCE.read_text(encoding="utf-8"))["shapes"]
    rows = [f"\t{json.dumps(shape, ensure_ascii=False)},\n" for shape in shapes]
    return HEADER + "const SHAPES = [\n" + "".join(rows) + "]\n"


if __name__ == "__main__":
    SHAPES.write_text(shapes_source(), encoding="utf-8")
