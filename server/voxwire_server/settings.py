"""Translates the configuration into what the parts of a server take: bounds of sessions and connections, policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_server.scheduling.policy import Policy
from voxwire_server.session.settings import PlayoutPolicy, SessionSettings
from voxwire_server.transport import door

if TYPE_CHECKING:
    from voxwire_server.config import Config


def session_settings(config: Config) -> SessionSettings:
    """A session's bounds from the configuration."""
    return SessionSettings.from_sections(
        config.limits,
        config.audio,
        resume_window_ms=round(config.resume.window_seconds * 1000),
        policy=PlayoutPolicy(burst_frames=config.audio.burst_frames),
    )


def open_door(config: Config) -> door.Door:
    """The door for all connections; its bounds are measured anew when everything else is there."""
    return door.Door(connection_bounds(config), door.sharing(config.server.proxies))


def connection_bounds(config: Config) -> door.Bounds:
    """How many connections are held, by the configuration and what the system allows."""
    server = config.server
    return door.bounds_for(
        door.descriptors_max(),
        door.descriptors_in_use(),
        unknown=server.unauthenticated_max,
        unknown_by_address=server.unauthenticated_by_address_max,
    )


def scheduling_policy(config: Config) -> Policy:
    """What the scheduler admits."""
    return Policy(
        utilisation_max=config.scheduling.utilisation_max,
        queue_seconds_max=config.scheduling.queue_seconds_max,
        accounts=max(1, len(config.auth.keys)),
    )
