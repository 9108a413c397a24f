"""What the commands that talk to a server ask and tell."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from voxwire_client.dial import DEFAULT_URL
from voxwire_client.errors import ABNORMAL, ConnectionLost

if TYPE_CHECKING:
    import argparse

    from voxwire_protocol.errors import VoxwireError


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Which server, and with which key."""
    url = os.environ.get("VOXWIRE_URL", DEFAULT_URL)
    parser.add_argument("--url", default=url, help="(VOXWIRE_URL; default: %(default)s)")
    # Read from the environment later: a default would be shown by --help.
    parser.add_argument("--api-key", metavar="KEY", help="(VOXWIRE_API_KEY)")


def explain(error: VoxwireError | ConnectionLost) -> None:
    """Tell a person what went wrong and what to do next."""
    print(f"voxwire: {error}", file=sys.stderr)
    said = error.error if isinstance(error, ConnectionLost) else error
    if said is not None and said.hint:
        print(said.hint, file=sys.stderr)
    elif isinstance(error, ConnectionLost) and error.code == ABNORMAL:
        print("Is a server running? `voxwire serve` starts one.", file=sys.stderr)
