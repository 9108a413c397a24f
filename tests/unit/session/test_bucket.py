"""A token bucket empties, and fills up with time."""

from __future__ import annotations

from voxwire_server.session.quotas import TokenBucket


def test_tokens_come_back_with_time() -> None:
    bucket = TokenBucket(rate=10, size=3, level=3, at=0.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(100.05)
    assert bucket.take(100.4)
