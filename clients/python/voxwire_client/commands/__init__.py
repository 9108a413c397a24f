"""The client's commands: each module has `add_arguments(parser)` and `run(args) -> int`; and what they share."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from voxwire_client.dialer import DEFAULT_URL
from voxwire_client.errors import ABNORMAL, ConnectionLost

if TYPE_CHECKING:
    import argparse

    from voxwire_protocol.errors import VoxwireError


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that name the server and the API key."""
    url = os.environ.get("VOXWIRE_URL", DEFAULT_URL)
    parser.add_argument("--url", default=url, help="(VOXWIRE_URL; default: %(default)s)")
    # Read from the environment later: a default would be shown by --help.
    parser.add_argument("--api-key", metavar="KEY", help="(VOXWIRE_API_KEY)")


def explain(error: VoxwireError | ConnectionLost) -> None:
    """Print an error, and what to do next, to standard error."""
    print(f"voxwire: {error}", file=sys.stderr)
    cause = error.error if isinstance(error, ConnectionLost) else error
    if cause is not None and cause.hint:
        print(cause.hint, file=sys.stderr)
    elif isinstance(error, ConnectionLost) and error.code == ABNORMAL:
        print("Is a server running? `voxwire serve` starts one.", file=sys.stderr)
