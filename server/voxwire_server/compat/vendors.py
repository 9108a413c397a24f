"""The registry of vendors: the routes of those that are enabled, and Wyoming's server where its port is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_server.compat import cartesia, cosyvoice, deepgram, elevenlabs, gpt_sovits, openai, openapi
from voxwire_server.config import ConfigError

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.wyoming.server import WyomingServer

VENDORS = {
    "elevenlabs": elevenlabs,
    "openai": openai,
    "cartesia": cartesia,
    "deepgram": deepgram,
    "gpt-sovits": gpt_sovits,
    "cosyvoice": cosyvoice,
}
"""The vendors by their names in `compat.enabled`."""


def routes(host: CompatHost) -> list[BaseRoute]:
    """The routes of every enabled vendor, and of the OpenAPI page."""
    enabled = [VENDORS[name] for name in host.config.compat.enabled]
    found: list[BaseRoute] = []
    for vendor in enabled:
        found += [operation.route(host) for operation in vendor.OPERATIONS]
        found += vendor.websocket_routes(host)
    return [*found, openapi.route([operation for vendor in enabled for operation in vendor.OPERATIONS])]


def wyoming_server(host: CompatHost) -> WyomingServer | None:
    """Wyoming's server, not yet started; None where no port is configured.

    Raises:
        ConfigError: the package `wyoming`, which comes with the extra of that name, is not installed.
    """
    if not host.config.compat.wyoming_port:
        return None
    try:
        from voxwire_server.compat.wyoming.server import WyomingServer
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "wyoming":
            raise
        raise ConfigError(
            "compat.wyoming_port is set, but the package `wyoming` is not installed.",
            "compat.wyoming_port",
            "Run: pip install 'voxwire[wyoming]'",
        ) from error
    return WyomingServer(host)
