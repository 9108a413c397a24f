"""A real server with the embedded voice and the tone engines, for all end-to-end tests."""

from __future__ import annotations

import pytest

from support.browser import chromium
from support.server import serving

__all__ = ["chromium", "host"]


@pytest.fixture(scope="session")
def host():
    """A running server; nothing that a test does to it may hurt the next."""
    # A loaded machine must not turn a test away.
    admitting = ("scheduling.utilisation_max=100", "scheduling.queue_seconds_max=60")
    with serving("engines.enabled=hibari,tone,tone-frames", *admitting) as running:
        yield running
