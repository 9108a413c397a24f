"""The vectors that are scripts, played by every client against one server that plays the other part."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from support import godot, mono, vector_player
from support.javascript import javascript
from support.vector_server import load, playing
from support.vectors import DIRECTORY
from voxwire_server.session.heard import ClauseSpan, HeardLog, WordSpan

__all__ = ["javascript"]

FILES = ("heard.json", "resuming.json")
PATHS = [str(DIRECTORY / file) for file in FILES]
SCRIPTS = [script for file in FILES for script in load(file)]


async def program_answers(*command: str) -> list[dict[str, Any]]:
    """What a program prints that plays all scripts."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, limit=1 << 24)
    try:
        assert process.stdout is not None
        answers: list[dict[str, Any]] = json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return answers


async def python_answers(url: str) -> list[dict[str, Any]]:
    return await vector_player.answers(url, SCRIPTS)


def play(client: Any) -> list[tuple[dict[str, Any], str | None]]:
    """What a client answers to each script, and what was wrong with what it said."""

    async def run() -> list[tuple[dict[str, Any], str | None]]:
        async with playing(SCRIPTS) as (url, cases), asyncio.timeout(110):
            answers = await client(url)
        problems = [case.problem or (None if case.finished else "it was left in the middle") for case in cases.values()]
        return list(zip(answers, problems, strict=True))

    return asyncio.run(run())


def check(script: dict[str, Any], answer: dict[str, Any], problem: str | None) -> None:
    if "skipped" in answer:
        assert script["needs"] == answer["skipped"]
        pytest.skip(f"the client has no {script['needs']}")
    assert (problem, answer.get("error")) == (None, None), json.dumps(answer, ensure_ascii=False)
    check_reports(script, answer)
    for name, wanted in script["listeners"].items():
        got = answer["listeners"][name]
        for kind in wanted.keys() & got.keys():
            assert got[kind] == like(got[kind], wanted[kind]), kind


def like(got: list[Any], wanted: list[Any]) -> list[Any]:
    """A client may tell no word's end."""
    if got and isinstance(got[0], list) and len(got[0]) == 4:
        return [each[:4] for each in wanted]
    return wanted


def check_reports(script: dict[str, Any], answer: dict[str, Any]) -> None:
    steps = [step for step in script["steps"] if step["step"] == "report"]
    assert len(answer["reports"]) == len(steps)
    for step, report in zip(steps, answer["reports"], strict=True):
        assert report["heard"] == step["heard"], f"at {step['played_pts']}"
        assert report.get("unheard", step["unheard"]) == step["unheard"], f"at {step['played_pts']}"
        assert report.get("text", "") in ("", step["heard"]["text"] + step["unheard"]["text"])
    cancels = [{"heard": s["heard"], "unheard": s["unheard"]} for s in script["steps"] if s["step"] == "cancel"]
    assert answer["cancels"] == cancels


@pytest.fixture(scope="module")
def python():
    return play(python_answers)


@pytest.fixture(scope="module")
def js(javascript):
    return play(
        lambda url: program_answers("node", str(javascript.root / "test" / "support" / "scripts.mjs"), url, *PATHS)
    )


@pytest.fixture(scope="module")
def unity(tmp_path_factory):
    if mono.MCS is None or mono.MONO is None:
        pytest.skip(mono.MISSING)
    program = tmp_path_factory.mktemp("unity") / "scenarios.exe"
    mono.build(program, [*mono.PACKAGE, mono.STUBS, *mono.SCENARIOS])

    async def answers(url: str) -> list[dict[str, Any]]:
        result = await asyncio.to_thread(mono.play, program, "scripts", url=url, files=PATHS)
        assert "answers" in result, result
        found: list[dict[str, Any]] = result["answers"]
        return found

    return play(answers)


@pytest.fixture(scope="module")
def godot_client(tmp_path_factory):
    if godot.PROGRAM is None:
        pytest.skip("needs Godot 3: apt-get install godot3-server")

    async def answers(url: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for path in PATHS:
            tmp = tmp_path_factory.mktemp("godot")
            found += await godot.script("scripts", tmp, url=url, file=path, first=len(found))
        return found

    return play(answers)


def spans(script: dict[str, Any], end_pts: int) -> HeardLog:
    """What the server remembers of a context that was spoken to its end."""
    told = [step["message"] for step in script["steps"] if step["step"] == "come"]
    clauses = [message for message in told if message["type"] == "clause"]
    words = [
        WordSpan(word["text"], (word["chars"][0], word["chars"][1]), word["pts"], word["end_pts"])
        for message in told
        if message["type"] == "timing"
        for word in message["words"]
    ]
    log = HeardLog()
    for clause, end in zip(clauses, [*(clause["pts"] for clause in clauses[1:]), end_pts], strict=True):
        own = tuple(word for word in words if clause["pts"] <= word.pts < end)
        log.began(ClauseSpan((clause["chars"][0], clause["chars"][1]), clause["pts"], end, own))
    return log


@pytest.mark.parametrize("script", [pytest.param(script, id=script["name"]) for script in load("heard.json")])
def test_the_server_says_the_same_of_what_was_heard(script):
    for index, step in enumerate(script["steps"]):
        if step["step"] == "come" and step["message"]["type"] == "done":
            log = spans(script, step["message"]["samples"])
            for report in script["steps"][index:]:
                if report["step"] == "report":
                    found = log.at(report["heard"]["pts"], report["heard"]["text"] + report["unheard"]["text"])
                    assert (found.chars, found.word) == (report["heard"]["chars"], report["heard"].get("word"))


NAMES = [script["name"] for script in SCRIPTS]


@pytest.mark.parametrize(
    "client", ["python", *(pytest.param(name, marks=pytest.mark.slow) for name in ("js", "unity", "godot_client"))]
)
@pytest.mark.parametrize("number", range(len(SCRIPTS)), ids=NAMES)
def test_every_client_plays_it(request, client, number):
    check(SCRIPTS[number], *request.getfixturevalue(client)[number])
