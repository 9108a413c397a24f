"""Peers that are gone without a word: noticed by the server's pings, waited for, and let go."""

from __future__ import annotations

import time

import pytest

from support.raw_websocket import RawSocket, text
from support.server import serving

SETTINGS = (
    "engines.enabled=tone",
    "engines.default=tone",
    "limits.heartbeat_ms=200",
    "resume.window_seconds=2",
)
TEXT = {"type": "text", "text": "One more sentence to be said. " * 40}


@pytest.fixture(scope="module")
def host():
    with serving(*SETTINGS) as running:
        yield running


def until(condition, seconds: float = 20.0) -> None:
    """Wait for something that must come to pass; the bound is only there to end a broken run."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.02)


def test_a_peer_that_answers_no_ping_is_away_then_gone(host):
    peer = RawSocket(host)
    peer.send(text(TEXT))
    peer.message("started")
    # The socket stays open, and nobody reads it: what a phone in a tunnel looks like.
    until(lambda: host.metrics()["voxwire_sessions_away"] == 1)
    assert host.metrics()["voxwire_contexts"] == 1
    until(lambda: host.metrics()["voxwire_sessions"] == 0)
    assert host.metrics()["voxwire_contexts"] == 0
    assert host.metrics()["voxwire_clauses"] == 0
    assert peer.ending().code == 1011
    peer.close()


def test_its_session_goes_on_where_its_client_says_it_stopped(host):
    peer = RawSocket(host)
    ready = peer.message("ready")
    peer.send(text(TEXT))
    peer.message("started")
    again = RawSocket(host)
    again.message("ready")
    again.send(text({"type": "resume", "session": ready["session"], "token": ready["token"], "received": 1}))
    resumed = again.message("resumed")
    assert resumed["received"] == 1
    assert resumed["contexts"]["0"]["next_seq"] == 0
    assert resumed["token"] != ready["token"]
    assert peer.ending().code == 4409
    again.close()
    peer.close()
    until(lambda: host.metrics()["voxwire_sessions"] == 0)
