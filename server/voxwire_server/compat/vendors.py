"""Which vendors there are: the routes of those that are enabled, and the page that describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_server.compat import cartesia, cosyvoice, deepgram, elevenlabs, gpt_sovits, openai, openapi

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from voxwire_server.compat.host import CompatHost

VENDORS = {
    "elevenlabs": elevenlabs,
    "openai": openai,
    "cartesia": cartesia,
    "deepgram": deepgram,
    "gpt-sovits": gpt_sovits,
    "cosyvoice": cosyvoice,
}


def routes(host: CompatHost) -> list[BaseRoute]:
    """The routes of every vendor that is enabled, and of the page that describes them."""
    enabled = [VENDORS[name] for name in host.config.compat.enabled]
    found: list[BaseRoute] = []
    for vendor in enabled:
        found += [operation.route(host) for operation in vendor.OPERATIONS]
        found += vendor.sockets(host)
    return [*found, openapi.route([operation for vendor in enabled for operation in vendor.OPERATIONS])]
