"""Translates the configuration into what the parts of a server take: bounds of sessions and connections, policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_server.scheduling.policy import Policy
from voxwire_server.session.settings import PlayoutPolicy, SessionSettings
from voxwire_server.transport import connection_limiter
from voxwire_server.transport.connection_limiter import ConnectionLimiter, ConnectionLimits

if TYPE_CHECKING:
    from voxwire_server.config import Config


def session_settings(config: Config) -> SessionSettings:
    """A session's bounds from the configuration."""
    return SessionSettings.from_sections(
        config.limits,
        config.audio,
        config.text,
        resume_window_ms=round(config.resume.window_seconds * 1000),
        policy=PlayoutPolicy(burst_frames=config.audio.burst_frames),
    )


def make_connection_limiter(config: Config) -> ConnectionLimiter:
    """The limiter of all connections; `start` computes its limits again when the engines hold their files."""
    return ConnectionLimiter(connection_limits(config), connection_limiter.shared_by(config.server.proxies))


def connection_limits(config: Config) -> ConnectionLimits:
    """How many connections there may be, by the configuration and what the system allows."""
    server = config.server
    return connection_limiter.limits_for(
        connection_limiter.descriptors_max(),
        connection_limiter.descriptors_in_use(),
        unauthenticated=server.unauthenticated_max,
        unauthenticated_per_address=server.unauthenticated_by_address_max,
    )


def scheduling_policy(config: Config) -> Policy:
    """What the scheduler admits."""
    return Policy(
        utilisation_max=config.scheduling.utilisation_max,
        queue_seconds_max=config.scheduling.queue_seconds_max,
        accounts=max(1, len(config.auth.keys)),
    )
