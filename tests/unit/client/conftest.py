"""What several tests of the Python client share."""

from __future__ import annotations

import pytest

from voxwire_client import backoff


@pytest.fixture
def quick_reconnects(monkeypatch):
    """Attempts to reconnect follow each other within milliseconds."""
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(backoff, "STEP_SECONDS", 0.002)
