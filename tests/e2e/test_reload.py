"""SIGHUP: keys and settings change under a server that speaks, and never does it end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from support.ports import free_port
from support.protocol_client import wire
from support.server import Host, serving
from voxwire_protocol import messages as m
from voxwire_server.ops.auth import generate_key, hash_key

ALICE, BOB, CAROL = (generate_key() for _ in range(3))
TEXT = "Hello there. This sentence is still being spoken while keys change, and nobody who may stay notices it at all."


def written(path: Path, keys: dict[str, str], more: str = "") -> None:
    lines = "\n".join(f'{name} = "{hash_key(key)}"' for name, key in keys.items())
    path.write_text(f"[engines]\nenabled = ['tone']\ndefault = 'tone'\n{more}\n[auth.keys]\n{lines}\n")


@contextlib.contextmanager
def configured(path: Path) -> Iterator[Host]:
    with serving(env={"VOXWIRE_CONFIG": str(path)}) as host:
        yield host


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, "it never came about"
        time.sleep(0.02)


def status(host: Host, key: str, path: str = "/v1/voices") -> int:
    return httpx.get(f"{host.http}{path}", headers={"X-API-Key": key}).status_code


def token(host: Host, key: str) -> str:
    return str(httpx.post(f"{host.http}/v1/tokens", headers={"X-API-Key": key}).json()["token"])


def status_of_token(host: Host, token: str) -> int:
    return httpx.get(f"{host.http}/v1/voices?token={token}").status_code


def hang_up(host: Host) -> None:
    host.process.send_signal(signal.SIGHUP)


def test_keys_change_under_a_server_that_speaks(tmp_path: Path) -> None:
    file = tmp_path / "voxwire.toml"
    written(file, {"alice": ALICE, "bob": BOB})

    async def speak(host: Host) -> None:
        async with (
            wire(host.url, headers={"X-API-Key": ALICE}) as alice,
            wire(host.url, headers={"X-API-Key": BOB}) as bob,
        ):
            for client in (alice, bob):
                await client.send(m.Start(), m.Text(text=TEXT), m.End())
                await client.until(m.ClauseStarted)
            minted, kept = token(host, BOB), token(host, ALICE)
            written(file, {"alice": ALICE, "carol": CAROL})
            hang_up(host)
            error = await bob.until(m.ErrorMessage)
            assert error.code == "client.not_authenticated"
            await bob.socket.wait_closed()
            assert bob.socket.close_code == 4401
            assert (status(host, BOB), status(host, CAROL), status(host, ALICE)) == (401, 200, 200)
            assert (status_of_token(host, minted), status_of_token(host, kept)) == (401, 200)
            done = await alice.until(m.Done)
            assert done.reason is m.DoneReason.COMPLETED
            assert len(alice.frames()) == done.frames

    with configured(file) as host:
        asyncio.run(speak(host))


def test_a_session_whose_client_is_away_ends_with_its_key(tmp_path: Path) -> None:
    file = tmp_path / "voxwire.toml"
    more = "[server]\nmetrics_public = true"
    written(file, {"alice": ALICE, "bob": BOB}, more)

    async def leave(host: Host) -> None:
        async with wire(host.url, headers={"X-API-Key": BOB}) as bob:
            await bob.send(m.Start(), m.Text(text=TEXT))
            await bob.until(m.ClauseStarted)
            bob.socket.transport.abort()
            await bob.socket.wait_closed()

    with configured(file) as host:
        asyncio.run(leave(host))
        eventually(lambda: host.metrics()["voxwire_sessions_away"] == 1)
        written(file, {"alice": ALICE}, more)
        hang_up(host)
        eventually(lambda: host.metrics()["voxwire_sessions"] == 0)


def test_limits_and_origins_hold_for_what_begins_afterwards(tmp_path: Path) -> None:
    file = tmp_path / "voxwire.toml"
    written(file, {"alice": ALICE})

    async def contexts_max(host: Host) -> int:
        async with wire(host.url, headers={"X-API-Key": ALICE}) as client:
            return client.received[0].limits.contexts_max

    with configured(file) as host:
        assert asyncio.run(contexts_max(host)) == 32
        page = {"X-API-Key": ALICE, "Origin": "https://app.example.com"}
        assert httpx.get(f"{host.http}/v1/voices", headers=page).status_code == 403
        more = ("[limits]", "contexts_max = 7", "[server]", "origins = ['https://app.example.com']")
        written(file, {"alice": ALICE}, "\n".join((*more, "[aliases]", "voices = {my = 'tone-low'}")))
        hang_up(host)
        eventually(lambda: asyncio.run(contexts_max(host)) == 7)
        answer = httpx.get(f"{host.http}/v1/voices", headers=page)
        assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
        assert status(host, ALICE, "/v1/voices/my") == 200


@pytest.mark.parametrize("spoilt", ["[auth\n", "[auth.keys]\nalice = 'no hash'\n", "[nowhere]\nx = 1\n", "", None])
def test_a_configuration_that_can_t_be_used_changes_nothing(tmp_path: Path, spoilt: str | None) -> None:
    file = tmp_path / "voxwire.toml"
    written(file, {"alice": ALICE})
    with configured(file) as host:
        if spoilt is None:
            file.unlink()
        else:
            file.write_text(spoilt)
        for _ in range(20):
            hang_up(host)
        assert status(host, ALICE) == 200
        assert status(host, BOB) == 401
        written(file, {"alice": ALICE, "bob": BOB})
        hang_up(host)
        eventually(lambda: status(host, BOB) == 200)


def test_lexicons_are_read_again_under_a_session_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    file, lexicon = tmp_path / "voxwire.toml", tmp_path / "streets.toml"
    lexicon.write_text('kubectl = "kube control"')

    async def speak(host: Host) -> None:
        async with wire(host.url, headers={"X-API-Key": ALICE}) as client:

            async def named(context: str) -> bool:
                await client.send(m.Start(context=context, lexicons=("streets",)))
                return isinstance(await client.until(m.Started, m.ErrorMessage), m.Started)

            assert not await named("a")
            written(file, {"alice": ALICE, "bob": BOB}, f"[text]\nlexicons = ['{lexicon.name}']")
            hang_up(host)
            await asyncio.to_thread(eventually, lambda: status(host, BOB) == 200)
            assert await named("b")
            lexicon.write_text("kubectl = ")
            written(file, {"alice": ALICE, "carol": CAROL}, f"[text]\nlexicons = ['{lexicon.name}']")
            hang_up(host)
            assert await named("c")
            lexicon.write_text("")
            hang_up(host)
            await asyncio.to_thread(eventually, lambda: status(host, CAROL) == 200)
            assert await named("d")

    written(file, {"alice": ALICE})
    with configured(file) as host:
        asyncio.run(speak(host))


def test_without_a_file_a_hangup_changes_nothing_and_a_flood_of_them_does_no_harm() -> None:
    with serving("engines.enabled=tone", "engines.default=tone") as host:
        for _ in range(500):
            hang_up(host)
        assert httpx.get(f"{host.http}/v1/voices").status_code == 200


def catches_hangups(pid: int) -> bool:
    """Whether the process has a handler of its own for SIGHUP (proc(5): SigCgt)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("SigCgt"))
    return bool(mask >> (signal.SIGHUP - 1) & 1)


def test_a_server_lives_through_hangups_while_it_starts_and_while_it_drains() -> None:
    port = free_port()
    command = [sys.executable, "-m", "voxwire_server.cli", "serve", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(command, env=dict(os.environ))
    try:
        eventually(lambda: catches_hangups(server.pid))

        def ready() -> bool:
            server.send_signal(signal.SIGHUP)
            assert server.poll() is None
            with contextlib.suppress(OSError):
                return bool(urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2).status == 200)
            return False

        eventually(ready)

        async def drain() -> None:
            async with wire(f"ws://127.0.0.1:{port}/v1/stream") as client:
                await client.send(m.Start(), m.Text(text=TEXT), m.End())
                await client.until(m.ClauseStarted)
                server.send_signal(signal.SIGTERM)
                await client.until(m.Draining)
                for _ in range(10):
                    server.send_signal(signal.SIGHUP)
                assert (await client.until(m.Done)).reason is m.DoneReason.COMPLETED

        asyncio.run(drain())
        assert server.wait(20) == 0
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
