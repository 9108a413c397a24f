"""The command that makes an API key: prints the key once, and the line that lets the server know it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from voxwire_server.config import KEYS, ConfigError, load_config
from voxwire_server.ops.auth import generate_key, hash_key

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`voxwire key NAME [--stdin]`."""
    parser.add_argument("name", help="who the key is for; appears in logs and metrics")
    parser.add_argument("--stdin", action="store_true", help="read an existing key from standard input and hash it")


def run(args: argparse.Namespace) -> int:
    """Print a new key on standard output and its configuration on standard error."""
    key = sys.stdin.readline().strip() if args.stdin else generate_key()
    digest = hash_key(key)
    try:
        load_config(flags={"auth.keys": {args.name: digest}})
    except ConfigError as error:
        sys.stderr.write(f"voxwire: {error}\n")
        return 2
    if not args.stdin:
        sys.stdout.write(f"{key}\n")
        sys.stdout.flush()
    line = f'{_toml_name(args.name)} = "{digest}"'
    sys.stderr.write(
        f"The server keeps only its hash. In voxwire.toml:\n\n    [auth.keys]\n    {line}\n\n"
        f"or in the environment: {KEYS['auth.keys'].env}={args.name}={digest}\n"
    )
    return 0


def _toml_name(name: str) -> str:
    return f'"{name}"' if "." in name else name
