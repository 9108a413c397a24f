"""The `voxwire` command. Imports what a command needs when it runs, so that a client-only install has its own."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxwire_server.config import Config

EXIT_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        status: int = args.run(args)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of the output closed the pipe (`| head`).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    from voxwire_client.commands import say, voices
    from voxwire_server import config, demo
    from voxwire_server.ops import doctor, models

    parser = argparse.ArgumentParser(prog="voxwire", description="Speak while the text is still being written.")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)

    serve = subparsers.add_parser("serve", help="run a server")
    config.add_config_arguments(serve)
    serve.set_defaults(run=_serve)

    shown = subparsers.add_parser("config", help="print the configuration and where each value comes from")
    config.add_config_arguments(shown)
    shown.set_defaults(run=_config)

    key = subparsers.add_parser("key", help="make an API key; its hash goes into the configuration")
    add_key_arguments(key)
    key.set_defaults(run=make_key)

    for name, about, module in (
        ("say", "speak a text through a server", say),
        ("voices", "list a server's voices", voices),
        ("models", "bring the weights of models onto this machine, list them, check them", models),
        ("doctor", "show what is installed, what is missing and how to get it", doctor),
        ("demo", "start a server, speak a paragraph through it token by token, write it to a WAV file", demo),
    ):
        subparser = subparsers.add_parser(name, help=about)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return parser


def _load(args: argparse.Namespace) -> Config | None:
    from voxwire_server.config import ConfigError, config_from_arguments

    try:
        return config_from_arguments(args, os.environ, Path.cwd())
    except ConfigError as error:
        print(f"voxwire: {error}", file=sys.stderr)
        return None


def _serve(args: argparse.Namespace) -> int:
    from voxwire_server.config import config_from_arguments
    from voxwire_server.ops.reload import Hangups

    hangups = Hangups()
    hangups.catch()
    directory = Path.cwd()
    config = _load(args)
    if config is None:
        return EXIT_USAGE
    try:
        from voxwire_server import serving
        from voxwire_server.config import ConfigError
        from voxwire_server.engines.base import EngineUnavailable
    except ModuleNotFoundError as error:
        print(f"voxwire: this is a client-only install ({error.name} is missing).", file=sys.stderr)
        print("To run a server: pip install 'voxwire[server,hibari]'", file=sys.stderr)
        return 1
    try:
        return serving.serve(config, partial(config_from_arguments, args, os.environ, directory), hangups)
    except EngineUnavailable as error:
        print(f"voxwire: {error}. {error.hint}", file=sys.stderr)
        return 1
    except ConfigError as error:
        print(f"voxwire: {error}", file=sys.stderr)
        return EXIT_USAGE


def _config(args: argparse.Namespace) -> int:
    from voxwire_server.config import render_config

    config = _load(args)
    if config is None:
        return EXIT_USAGE
    print(render_config(config))
    return 0


def add_key_arguments(parser: argparse.ArgumentParser) -> None:
    """`voxwire key NAME [--stdin]`."""
    parser.add_argument("name", help="who the key is for; appears in logs and metrics")
    parser.add_argument("--stdin", action="store_true", help="read an existing key from standard input and hash it")


def make_key(args: argparse.Namespace) -> int:
    """Print a new key on standard output and its configuration on standard error."""
    from voxwire_server.config import KEYS, ConfigError, load_config
    from voxwire_server.ops.auth import generate_key, hash_key

    key = sys.stdin.readline().strip() if args.stdin else generate_key()
    digest = hash_key(key)
    try:
        load_config(flags={"auth.keys": {args.name: digest}})
    except ConfigError as error:
        sys.stderr.write(f"voxwire: {error}\n")
        return EXIT_USAGE
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


if __name__ == "__main__":
    sys.exit(main())
