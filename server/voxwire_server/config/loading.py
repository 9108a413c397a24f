"""Puts a configuration together: flags come before the environment, that before the TOML file, then the defaults; and
writes one as TOML.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from voxwire_server.config.checks import check_config
from voxwire_server.config.schema import ENV_PREFIX, KEYS, SECTIONS, Config, ConfigError, Kind, nearest_name
from voxwire_server.config.values import GivenValue, checked_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxwire_server.config.schema import Config, Key, LexiconFile

CONFIG_FILE = "voxwire.toml"
"""Read from the working directory when neither `--config` nor VOXWIRE_CONFIG names another file."""

ENV_CONFIG_FILE = "VOXWIRE_CONFIG"
ENV_NOT_OURS = frozenset({ENV_CONFIG_FILE, "VOXWIRE_URL", "VOXWIRE_API_KEY"})
"""Variables with our prefix that hold no key: the file's path, and what the client reads."""

_SERVICE_LINK = re.compile(r"_SERVICE_(HOST|PORT)(_|$)|_PORT_\d+_(TCP|UDP)(_|$)")


def load_config(
    file: Path | None = None, env: Mapping[str, str] | None = None, flags: Mapping[str, object] | None = None
) -> Config:
    """Put a configuration together from a TOML file, the environment and flags (by key name; None is not given).

    Raises:
        ConfigError: a key is unknown, a value has the wrong type or is out of range, or values contradict each other.
    """
    given = _from_file(file) if file is not None else {}
    given |= _from_env(env or {})
    given |= _from_flags(flags or {})
    values: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for name, each in given.items():
        section, _, attribute = name.partition(".")
        values[section][attribute] = checked_value(KEYS[name], each)
    sources = {name: each.source for name, each in given.items()}
    config = Config(**{name: section(**values[name]) for name, section in SECTIONS.items()}, sources=sources)
    check_config(config)
    return config


def find_config_file(chosen: str | Path | None, env: Mapping[str, str], directory: Path) -> Path | None:
    """The file to read: the chosen one, the one VOXWIRE_CONFIG names, `voxwire.toml` in `directory`, or none."""
    named = chosen or env.get(ENV_CONFIG_FILE)
    if named:
        return Path(named)
    default = directory / CONFIG_FILE
    return default if default.is_file() else None


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a command the flags that choose and override a configuration; `config_from_arguments` reads them."""
    group = parser.add_argument_group("configuration")
    group.add_argument("--config", metavar="FILE", help=f"TOML file (default: ./{CONFIG_FILE} if there is one)")
    group.add_argument("--host", help="address to listen on")
    group.add_argument("--port", help="TCP port to listen on; 0 takes a free one")
    group.add_argument("--insecure", action="store_true", default=None, help="listen beyond loopback without API keys")
    group.add_argument("--log-level", choices=KEYS["server.log_level"].setting.choices)
    group.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="any other key, such as limits.contexts_max=8"
    )


def config_from_arguments(args: argparse.Namespace, env: Mapping[str, str], directory: Path) -> Config:
    """The configuration that a command with `add_config_arguments` was asked to use.

    Raises:
        ConfigError: as `load_config`, or `--set` has no `=`.
    """
    flags: dict[str, object] = {}
    for assignment in args.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment} has no value.", name, "Write --set KEY=VALUE.")
        flags[name.strip()] = value.strip()
    named = {"host": args.host, "port": args.port, "insecure": args.insecure, "log_level": args.log_level}
    flags |= {f"server.{name}": value for name, value in named.items() if value is not None}
    return load_config(find_config_file(args.config, env, directory), env, flags)


def _from_file(file: Path) -> dict[str, GivenValue]:
    try:
        with file.open("rb") as stream:
            document = tomllib.load(stream)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}.", hint="Name another with --config.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}.") from error
    given = {}
    for section, table in document.items():
        if section not in SECTIONS:
            raise ConfigError(f"{file} has an unknown section [{section}].", section, nearest_name(section, SECTIONS))
        if not isinstance(table, dict):
            raise ConfigError(f"{section} in {file} must be a section.", section, f"Write [{section}].")
        for attribute, value in table.items():
            name = f"{section}.{attribute}"
            _known(name, str(file))
            given[name] = GivenValue(value, str(file), file.parent)
    return given


def _from_env(env: Mapping[str, str]) -> dict[str, GivenValue]:
    names = {key.env: key.name for key in KEYS.values()}
    given = {}
    for variable, value in env.items():
        if not variable.startswith(ENV_PREFIX) or variable in ENV_NOT_OURS or _is_service_link(variable, value):
            continue
        if variable not in names:
            hint = nearest_name(variable, names)
            raise ConfigError(f"The environment has an unknown key {variable}.", variable, hint)
        given[names[variable]] = GivenValue(value, variable)
    return given


def _is_service_link(variable: str, value: str) -> bool:
    """True for what Kubernetes and Docker inject for a service called voxwire-something: VOXWIRE_SERVER_PORT=tcp://…"""
    link = variable.endswith("_PORT") and value.startswith(("tcp://", "udp://"))
    return link or _SERVICE_LINK.search(variable) is not None


def _from_flags(flags: Mapping[str, object]) -> dict[str, GivenValue]:
    given = {}
    for name, value in flags.items():
        if value is not None:
            _known(name, "flags")
            given[name] = GivenValue(value, "flag")
    return given


def _known(name: str, source: str) -> None:
    if name not in KEYS:
        raise ConfigError(f"Unknown key {name} ({source}).", name, _nearest_key(name))


def _nearest_key(name: str) -> str:
    """The nearest key by its field, whatever its section."""
    attributes = {known.rpartition(".")[2]: known for known in KEYS}
    near = difflib.get_close_matches(name.rpartition(".")[2], attributes, n=1)
    return f"Did you mean {attributes[near[0]]}?" if near else "See `voxwire config` for every key."


def render_config(config: Config) -> str:
    """The configuration as TOML, each value with where it came from; secrets hidden, key hashes shortened."""
    lines = []
    for section in SECTIONS:
        lines.append(f"[{section}]")
        for key in KEYS.values():
            key_section, _, attribute = key.name.partition(".")
            if key_section == section:
                value = getattr(getattr(config, section), attribute)
                source = config.sources.get(key.name, "default")
                lines.append(f"{attribute} = {render_value(key, value)}  # {source}")
        lines.append("")
    return "\n".join(lines)


def render_value(key: Key, value: Any) -> str:
    """A value as TOML writes it."""
    match key.kind:
        case Kind.TEXT:
            return '"(hidden)"' if key.setting.secret and value else _quote(value)
        case Kind.INTEGER | Kind.NUMBER:
            return repr(value)
        case Kind.SWITCH:
            return "true" if value else "false"
        case Kind.TEXTS:
            return f"[{', '.join(_quote(each) for each in value)}]"
        case Kind.KEYS:
            shown = [f"{_quote(each.name)} = {_quote(each.hash[:15] + '…')}" for each in value]
            return f"{{ {', '.join(shown)} }}" if shown else "{}"
        case Kind.ALIASES:
            shown = [f"{_quote(each.name)} = {_quote(each.target)}" for each in value]
            return f"{{ {', '.join(shown)} }}" if shown else "{}"
        case Kind.OPTIONS:
            shown = [f"{_quote(f'{each.engine}.{each.name}')} = {_quote(each.value)}" for each in value]
            return f"{{ {', '.join(shown)} }}" if shown else "{}"
        case Kind.LEXICONS:
            return f"[{', '.join(_lexicon(each) for each in value)}]"
        case _:
            assert_never(key.kind)


def _lexicon(file: LexiconFile) -> str:
    default = "" if file.default else ", default = false"
    return f"{{ name = {_quote(file.name)}, path = {_quote(file.path)}{default} }}"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
