"""Wyoming: the protocol in which Home Assistant asks for speech, on a TCP port of its own.

The package `wyoming` comes with the extra of that name and is imported here alone, when a port is configured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_server.config import ConfigError

if TYPE_CHECKING:
    from voxwire_server.compat.host import CompatHost
    from voxwire_server.compat.wyoming_server.server import WyomingServer


def configured_server(host: CompatHost) -> WyomingServer | None:
    """The server, to be started, where a port is configured.

    Raises:
        ConfigError: the package `wyoming` is missing.
    """
    if not host.config.compat.wyoming_port:
        return None
    try:
        from voxwire_server.compat.wyoming_server.server import WyomingServer
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "wyoming":
            raise
        raise ConfigError(
            "compat.wyoming_port is set, but the package `wyoming` is not installed.",
            "compat.wyoming_port",
            "Run: pip install 'voxwire[wyoming]'",
        ) from error
    return WyomingServer(host)
