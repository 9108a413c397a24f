"""What the commands that talk to a server have in common."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

DEFAULT_URL = "ws://127.0.0.1:8765/v1/stream"


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Which server, and with which key."""
    parser.add_argument(
        "--url", default=os.environ.get("VOXWIRE_URL", DEFAULT_URL), help="(VOXWIRE_URL; default: %(default)s)"
    )
    parser.add_argument("--api-key", default=os.environ.get("VOXWIRE_API_KEY"), help="(VOXWIRE_API_KEY)")
