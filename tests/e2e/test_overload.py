"""A real server with room for few, and many who call: nobody who is let in runs dry, everybody is heard in the end."""

from __future__ import annotations

import asyncio
import json
import random
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from websockets.exceptions import ConnectionClosed

from support.assert_idle import assert_calm
from support.protocol_client import Wire, wire
from support.server import serving
from voxwire_protocol import messages as m

CALLERS = 24
ANSWERS = 3
TEXT = "Glue the sheet to the dark blue background, and wait."
JITTER = 0.25


@dataclass
class Call:
    """One caller's way to one answer."""

    refusals: list[tuple[str, int]] = field(default_factory=list)
    """The code of each refusal and when it said to come back."""
    close_codes: list[int | None] = field(default_factory=list)
    done: m.Done | None = None
    frames: int = 0


@pytest.fixture(scope="module")
def small():
    """Room for a few listeners; the machine could feed many more, so that whatever goes wrong is not its fault."""
    with serving("engines.enabled=hibari", "scheduling.utilisation_max=0.2", "scheduling.cpu_workers=1") as running:
        yield running


def probe(host) -> tuple[int, str | None, dict]:
    """What a load balancer gets: status, Retry-After, body."""
    try:
        with urllib.request.urlopen(f"{host.http}/ready", timeout=5) as answer:
            return answer.status, None, {}
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Retry-After"], json.load(error)


async def attempt(host, call: Call) -> int | None:
    """Try to be heard; gives after how many milliseconds to try again, None once it was heard."""
    async with wire(host.url) as client:
        refusal = client.of(m.ErrorMessage)
        if not refusal:
            await client.send(m.Start())
            answer = await client.until(m.Started, m.ErrorMessage)
            if isinstance(answer, m.Started):
                await client.send(m.Text(text=TEXT), m.End())
                call.done = await client.until(m.Done)
                call.frames = len(client.frames())
                return None
            refusal = [answer]
        call.refusals.append((refusal[0].code, refusal[0].retry_after_ms))
        call.close_codes.append(await closed_by(client) if refusal[0].code == "server.overloaded" else None)
        return refusal[0].retry_after_ms


async def closed_by(client: Wire) -> int | None:
    try:
        await client.next()
    except ConnectionClosed:
        return client.socket.close_code
    return None


async def call_until_heard(host, pick: random.Random) -> list[Call]:
    """Want some answers, one after the other."""
    calls = [Call() for _ in range(ANSWERS)]
    for call in calls:
        while (retry_ms := await attempt(host, call)) is not None:  # noqa: ASYNC110 - what was told is what is tested
            await asyncio.sleep(retry_ms / 1000 * (1 + pick.uniform(0, JITTER)))
    return calls


async def crowd(host) -> tuple[list[Call], list[tuple[int, str | None, dict]]]:
    """Everybody calls at once; what the probe saw meanwhile, until it is content again."""
    calls = [asyncio.create_task(call_until_heard(host, random.Random(number))) for number in range(CALLERS)]
    seen = []
    async with asyncio.timeout(150):
        while not all(call.done() for call in calls) or seen[-1][0] != 200:
            seen.append(await asyncio.to_thread(probe, host))
            await asyncio.sleep(0.25)
    return [call for caller in calls for call in caller.result()], seen


def test_three_times_as_many_as_there_is_room_for(small):
    calls, seen = asyncio.run(crowd(small))
    assert all(call.done.reason is m.DoneReason.COMPLETED and call.frames == call.done.frames for call in calls)
    counted = small.metrics()
    held = counted["voxwire_loop_lag_seconds_count"] - counted['voxwire_loop_lag_seconds_bucket{le="0.1"}']
    assert counted["voxwire_underruns_total"] == 0 or held, "unless this machine gave the loop no time"

    refusals = [refusal for call in calls for refusal in call.refusals]
    assert {code for code, _ in refusals} <= {"server.overloaded", "system.engine_overloaded"}
    assert all(250 <= retry_ms <= 60_000 for _, retry_ms in refusals)
    assert len(refusals) >= CALLERS // 2, "most had to wait"
    assert len({retry_ms for _, retry_ms in refusals}) > len(refusals) // 3, "and each for a time of its own"
    at_the_door = [
        closed
        for call in calls
        for (code, _), closed in zip(call.refusals, call.close_codes, strict=True)
        if code == "server.overloaded"
    ]
    assert set(at_the_door) == {1013}

    told = [(retry_after, body["error"]["code"]) for status, retry_after, body in seen if status == 503]
    assert told, "a load balancer was told to send sessions elsewhere"
    assert {code for _, code in told} == {"server.overloaded"}
    assert all(int(retry_after) >= 1 for retry_after, _ in told)
    changes = sum(before[0] != after[0] for before, after in pairwise(seen))
    assert changes <= 4, "and not told back and forth"
    assert_calm(small)
