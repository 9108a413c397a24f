"""Running servers with the embedded voice, for tests with other vendors' client packages."""

from __future__ import annotations

import hashlib

import pytest

from support.server import serving

API_KEY = "vw_a-key-that-only-these-tests-use"
OPEN_DOORS = ("scheduling.utilisation_max=100", "scheduling.queue_seconds_max=60")
"""A loaded machine must not turn a test away."""


@pytest.fixture(scope="session")
def host():
    """A server without API keys; nothing that a test does to it may hurt the next."""
    with serving(*OPEN_DOORS) as running:
        yield running


@pytest.fixture(scope="session")
def locked_host():
    """A server that wants `API_KEY`."""
    digest = hashlib.sha256(API_KEY.encode()).hexdigest()
    with serving(*OPEN_DOORS, f"auth.keys=tests=sha256:{digest}") as running:
        yield running


@pytest.fixture
def api_key() -> str:
    """The key of `locked_host`."""
    return API_KEY
