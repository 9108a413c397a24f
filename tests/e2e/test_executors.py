"""A real server whose engine hangs or breaks on a word: the others are heard, and metrics and `/ready` tell."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request

import pytest

from support.hanging_engine import EXIT, HANG, HANG_IN_PREPARE, UNKNOWN_STAGE, install
from support.protocol_client import wire
from support.server import serving
from voxwire_protocol import messages as m

HEALTHY = "Hello there. All of this is heard, whatever hangs beside it."
PATIENCE_SECONDS = 60.0
SETTINGS = (
    "engines.enabled=hanging",
    "engines.default=hanging",
    "scheduling.hang_seconds=1",
    "scheduling.cpu_workers=2",
    "scheduling.utilisation_max=100",
    "scheduling.queue_seconds_max=60",
)


@pytest.fixture
def host(tmp_path):
    with serving(*SETTINGS, env=install(tmp_path)) as running:
        yield running


def readiness(host) -> tuple[int, str]:
    """The status of `/ready`, and what it says is wrong."""
    try:
        with urllib.request.urlopen(f"{host.http}/ready", timeout=10) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["error"]["message"]


async def until_ready_is(host, status: int) -> str:
    """Ask as a load balancer does; what it says then."""
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        found, message = await asyncio.to_thread(readiness, host)
        if found == status:
            return message
        assert time.monotonic() < until, f"/ready says {found}"
        await asyncio.sleep(0.05)


async def say(host, text: str) -> tuple[m.Done, list[str]]:
    """Have a text spoken in a session of its own: how it ended, and the errors."""
    async with asyncio.timeout(PATIENCE_SECONDS), wire(host.url) as client:
        await client.send(m.Start(), m.Text(text=text), m.End())
        done = await client.until(m.Done)
        return done, [error.code for error in client.of(m.ErrorMessage)]


@pytest.mark.parametrize("word", [HANG, HANG_IN_PREPARE])
def test_a_step_that_hangs_takes_its_own_clause_and_is_reported(host, word):
    async def run() -> None:
        hanging = asyncio.create_task(say(host, f"This has the word {word}."))
        assert "hanging" in await until_ready_is(host, 503)
        done, errors = await say(host, HEALTHY)
        assert (done.reason, errors) == (m.DoneReason.COMPLETED, [])
        _, errors = await hanging
        assert errors == ["system.engine_failed"]
        metrics = await asyncio.to_thread(host.metrics)
        assert metrics['voxwire_executor_hung{executor="cpu"}'] == 2, "it was tried on another worker, once"
        assert metrics['voxwire_executor_replacements_total{cause="hung",executor="cpu"}'] == 2
        await until_ready_is(host, 200)
        done, errors = await say(host, HEALTHY)
        assert (done.reason, errors) == (m.DoneReason.COMPLETED, [])

    asyncio.run(run())


def test_an_engine_that_gives_nonsense_costs_its_own_clauses_only(host):
    async def run() -> None:
        for word in (UNKNOWN_STAGE, EXIT) * 4:
            _, errors = await say(host, f"This has the word {word}.")
            assert errors == ["system.engine_failed"]
        done, errors = await say(host, HEALTHY)
        assert (done.reason, errors) == (m.DoneReason.COMPLETED, [])
        assert (await asyncio.to_thread(readiness, host))[0] == 200

    asyncio.run(run())
