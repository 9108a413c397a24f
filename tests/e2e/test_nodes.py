"""Two nodes behind HAProxy with the configuration that is shipped: who is sent where."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator

import pytest

from support.haproxy import PROGRAM, balancing
from support.nodes import TONE, Cluster, Node, cluster
from support.protocol_client import Wire, wire
from voxwire_protocol import messages as m
from voxwire_protocol.audio import AudioFrame
from voxwire_server.ops.auth import generate_key, hash_key

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="needs HAProxy: apt-get install haproxy")

TEXT = "This sentence is still being spoken when its node is told to go away. Nobody cuts it."


@pytest.fixture
def two():
    """Two nodes of the test's own: it may do to them what it likes."""
    with cluster(*TONE) as running:
        yield running


@pytest.fixture(scope="module")
def shared():
    """Two nodes that stay as they are."""
    with cluster(*TONE) as running:
        yield running


def play(action, seconds=120):
    async def run():
        async with asyncio.timeout(seconds):
            return await action()

    return asyncio.run(run())


def ready_of(client: Wire) -> m.Ready:
    return client.of(m.Ready)[0]


def home(two: Cluster, client: Wire) -> Node:
    """The node a session lives on."""
    return two.node_of(ready_of(client).session)


@contextlib.asynccontextmanager
async def coming_back(two: Cluster, client: Wire) -> AsyncIterator[Wire]:
    """A new connection that asks for the session of one that is gone."""
    ready = ready_of(client)
    async with wire(f"{two.balancer.url}?resume={ready.session}") as back:
        await back.send(m.Resume(session=ready.session, token=ready.token, received=len(client.received) - 1))
        await back.until(m.Resumed, m.ResumeFailed)
        yield back


# -- who is sent where ------------------------------------------------------------------------------------------------


def test_new_sessions_go_to_the_node_with_the_fewest(shared):
    async def action():
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(wire(shared.balancer.url)) for _ in range(10)]
            first = [home(shared, client).name for client in clients]
            for client in clients:
                if home(shared, client) is shared.a:
                    await client.socket.close()
            await shared.balancer.until_connections("a", 0)
            late = [await stack.enter_async_context(wire(shared.balancer.url)) for _ in range(5)]
            return first, [home(shared, client).name for client in late]

    first, late = play(action)
    assert sorted(first) == ["a"] * 5 + ["b"] * 5
    assert late == ["a"] * 5


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_resume_finds_its_node_whichever_has_fewer(shared, name):
    async def action():
        url = f"{shared.balancer.url}?resume={name}.none"
        async with contextlib.AsyncExitStack() as stack:
            # A name of that node's that is none of its sessions gets there too; the node has more sessions then.
            crowd = [await stack.enter_async_context(wire(url)) for _ in range(4)]
            client = crowd[-1]
            await client.send(m.Start(voice="tone-low"), m.Text(text=TEXT), m.End())
            await client.until(AudioFrame)
            client.socket.transport.abort()
            async with coming_back(shared, client) as back:
                await back.until(m.Done)
                return [home(shared, each).name for each in crowd], client, back

    crowd, client, back = play(action)
    assert crowd == [name] * 4
    assert back.of(m.Resumed)
    frames = client.of(AudioFrame) + back.of(AudioFrame)
    assert [frame.seq for frame in frames] == list(range(back.of(m.Done)[0].frames))


@pytest.mark.parametrize("name", ["c.gone", "nothing", "", "a", "%00", "a" * 300])
def test_a_name_that_no_node_has_is_balanced_and_answered(shared, name):
    async def action():
        async with wire(f"{shared.balancer.url}?resume={name}") as client:
            await client.send(m.Resume(session="c.gone", token="none"))
            return await client.until(m.Resumed, m.ResumeFailed)

    assert play(action) == m.ResumeFailed(reason="unknown")


def test_a_draining_node_gets_its_own_back_and_nothing_new(two):
    async def action():
        async with wire(two.balancer.url) as client:
            own = home(two, client)
            await client.send(m.Start(voice="tone-low"), m.Text(text=TEXT), m.End())
            await client.until(AudioFrame)
            own.drain()
            await client.until(m.Draining)
            await two.balancer.until(own.name, "NOLB")
            client.socket.transport.abort()
            async with contextlib.AsyncExitStack() as stack:
                # More than one of two nodes would get by its share.
                others = [await stack.enter_async_context(wire(two.balancer.url)) for _ in range(4)]
                back = await stack.enter_async_context(coming_back(two, client))
                await back.until(m.Done)
                await back.socket.wait_closed()
                return own, others, client, back, await own.until_gone()

    own, others, client, back, status = play(action)
    assert {home(two, other) for other in others} == {two.other(own)}
    frames = client.of(AudioFrame) + back.of(AudioFrame)
    assert [frame.seq for frame in frames] == list(range(back.of(m.Done)[0].frames))
    assert back.socket.close_code == 1012
    assert status == 0


def test_a_resume_whose_node_is_dead_is_answered_by_another_at_once(two):
    """Before HAProxy has noticed, and after."""

    async def action():
        async with wire(two.balancer.url) as client:
            own = home(two, client)
            own.kill()
            await client.socket.wait_closed()
            async with coming_back(two, client) as soon:
                assert two.balancer.state(own.name) == "UP"
            await two.balancer.until(own.name, "DOWN")
            async with coming_back(two, client) as late:
                return own, [soon, late]

    own, answered = play(action)
    for client in answered:
        assert client.of(m.ResumeFailed) == [m.ResumeFailed(reason="unknown")]
        assert home(two, client) is two.other(own)


def test_sessions_of_a_node_that_froze_are_cut_so_that_they_come_back_elsewhere(two):
    async def action():
        async with wire(two.balancer.url) as client:
            own = home(two, client)
            own.freeze()
            # Far below what a silent tunnel may last.
            async with asyncio.timeout(30):
                await client.socket.wait_closed()
            async with coming_back(two, client) as back:
                return own, client, back

    own, client, back = play(action)
    assert client.socket.close_code == 1006
    assert back.of(m.ResumeFailed)
    assert home(two, back) is two.other(own)


def test_a_node_that_comes_back_is_given_sessions_again(two):
    async def action():
        two.a.kill()
        await two.balancer.until("a", "DOWN")
        async with wire(two.balancer.url) as client:
            assert home(two, client) is two.b
            two.a.start()
            await two.until_up()
            async with wire(two.balancer.url) as late:
                return home(two, late)

    assert play(action) is two.a


# -- the HTTP side ----------------------------------------------------------------------------------------------------


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode()


def test_everything_but_the_metrics_passes_through(shared):
    status, voices = get(f"{shared.balancer.http}/v1/voices")
    assert status == 200
    assert {voice["name"] for voice in json.loads(voices)["voices"]} == {"tone-low", "tone-high"}
    assert get(f"{shared.balancer.http}/v1/no-such-thing")[0] == 404
    assert get(f"{shared.balancer.http}/metrics")[0] == 404
    assert get(f"http://127.0.0.1:{shared.a.port}/metrics")[0] == 200


def test_the_balancer_is_ready_while_any_node_is(two):
    async def action():
        two.a.kill()
        await two.balancer.until("a", "DOWN")
        before = get(f"{two.balancer.http}/ready")[0]
        two.b.kill()
        await two.balancer.until("b", "DOWN")
        return before, get(f"{two.balancer.http}/ready")[0], get(f"{two.balancer.http}/v1/voices")

    before, after, (status, refusal) = play(action)
    assert (before, after, status) == (200, 503, 503)
    error = json.loads(refusal)["error"]
    assert error["code"] == "server.overloaded"
    assert error["retryable"]


def test_what_a_client_says_of_its_address_is_not_believed():
    async def wrong(url: str, address: str) -> str:
        async with wire(url, headers={"Authorization": "Bearer wrong", "X-Forwarded-For": address}) as client:
            return client.received[0].code

    async def action(running):
        # All to one node: each counts for itself.
        url = f"{running.balancer.url}?resume=a.none"
        return [await wrong(url, f"192.0.2.{number}") for number in range(3)]

    key = "auth.keys=alice=" + hash_key(generate_key())
    with cluster(*TONE, key, "auth.failures_per_minute=2") as running:
        codes = play(lambda: action(running))
    assert codes == ["client.not_authenticated"] * 2 + ["client.rate_limited"]


class Stub:
    """Stands for a node: counts requests, answers them with a status, or hangs up."""

    def __init__(self, status: int) -> None:
        self.status = status
        self.bodies: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if head.startswith(b"get /ready"):
            status, body = 200, b""
        else:
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            status, body = self.status, await reader.readexactly(length)
            self.bodies.append(body)
        if status:
            writer.write(
                b"HTTP/1.1 %d -\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, len(body)) + body
            )
        writer.close()


@pytest.mark.parametrize("refusal", [503, 0])
def test_a_request_that_one_node_refuses_or_drops_is_answered_by_another(refusal):
    async def action():
        stubs = {"a": Stub(refusal), "b": Stub(200)}
        async with contextlib.AsyncExitStack() as stack:
            ports = {}
            for name, stub in stubs.items():
                server = await stack.enter_async_context(await asyncio.start_server(stub, "127.0.0.1", 0))
                ports[name] = server.sockets[0].getsockname()[1]
            balancer = stack.enter_context(balancing(ports))
            reader, writer = await asyncio.open_connection("127.0.0.1", balancer.port)
            # Addressed to `a`, as otherwise it might get to `b` in the first place.
            writer.write(b"POST /v1/audio/speech?resume=a.none HTTP/1.1\r\nHost: voice\r\nContent-Length: 6\r\n\r\n")
            # The body comes later than the head, as from many clients.
            await asyncio.sleep(0.1)
            writer.write(b"Hello.")
            status = await reader.readline()
            writer.close()
            return stubs, status

    stubs, status = play(action)
    assert status.split()[1] == b"200"
    assert [stub.bodies for stub in stubs.values()] == [[b"Hello."], [b"Hello."]]
