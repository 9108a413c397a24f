"""Converts one value from a flag, a variable or a TOML table to the type of its key, and checks its range."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, assert_never

from voxwire_server.config.schema import (
    HASH_PREFIX,
    Alias,
    ApiKey,
    ConfigError,
    EngineOption,
    Key,
    Kind,
    LexiconFile,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
LEXICON_NAME_CHARS_MAX = 64
_SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class GivenValue(NamedTuple):
    """A value as it was written, and where: a file, a variable or "flag". Paths in it are relative to `folder`."""

    value: object
    source: str
    folder: Path = Path()


def checked_value(key: Key, given: GivenValue) -> object:
    """A value as the type of its key.

    Raises:
        ConfigError: it has another type, or is out of range.
    """
    try:
        value = _convert(key.kind, given)
        _check_range(key, value)
    except ValueError as error:
        hidden = key.setting.secret or key.kind is Kind.KEYS
        shown = "" if hidden else f" = {given.value!r}"
        raise ConfigError(f"{key.name}{shown} ({given.source}) {error}.", key.name) from error
    return value


def _convert(kind: Kind, given: GivenValue) -> object:
    raw = given.value
    match kind:
        case Kind.TEXT:
            if not isinstance(raw, str):
                raise ValueError("must be text")
            return raw.strip()
        case Kind.INTEGER:
            return _integer(raw)
        case Kind.NUMBER:
            return _number(raw)
        case Kind.SWITCH:
            switch = _SWITCHES.get(raw.strip().lower()) if isinstance(raw, str) else raw
            if not isinstance(switch, bool):
                raise ValueError("must be true or false")
            return switch
        case Kind.TEXTS:
            return _texts(raw)
        case Kind.KEYS:
            return _api_keys(raw)
        case Kind.ALIASES:
            return _aliases(raw)
        case Kind.OPTIONS:
            return _options(raw)
        case Kind.LEXICONS:
            return _lexicons(raw, given.folder)
        case _:
            assert_never(kind)


def _integer(raw: object) -> int:
    if isinstance(raw, str):
        try:
            return int(raw)
        except ValueError:
            raise ValueError("must be a whole number") from None
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise ValueError("must be a whole number")
    return raw


def _number(raw: object) -> float:
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise ValueError("must be a number")
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        raise ValueError("must be a number") from None
    if not math.isfinite(number):
        raise ValueError("must be finite")
    return number


def _texts(raw: object) -> tuple[str, ...]:
    parts = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        raise ValueError("must be a list of texts (in the environment: separated by commas)")
    return tuple(part.strip() for part in parts if part.strip())


def _api_keys(raw: object) -> tuple[ApiKey, ...]:
    if isinstance(raw, tuple) and all(isinstance(each, ApiKey) for each in raw):
        pairs = [(each.name, each.hash) for each in raw]
    elif isinstance(raw, Mapping):
        pairs = list(raw.items())
    elif isinstance(raw, str):
        pairs = [_named(part, "name=hash,name=hash") for part in raw.split(",") if part.strip()]
    else:
        raise ValueError("must be a table of name = hash (in the environment: name=hash,name=hash)")
    for name, digest in pairs:
        _check_api_key(name, digest)
    for column in zip(*pairs, strict=True):
        if len(set(column)) < len(column):
            raise ValueError("has the same name or the same hash twice")
    return tuple(ApiKey(name, digest) for name, digest in pairs)


def _aliases(raw: object) -> tuple[Alias, ...]:
    if isinstance(raw, tuple) and all(isinstance(each, Alias) for each in raw):
        pairs: list[tuple[Any, Any]] = [(each.name, each.target) for each in raw]
    elif isinstance(raw, Mapping):
        pairs = list(raw.items())
    elif isinstance(raw, str):
        pairs = [_named(part, "alias=name,alias=name") for part in raw.split(",") if part.strip()]
    else:
        raise ValueError("must be a table of alias = name (in the environment: alias=name,alias=name)")
    for pair in pairs:
        if not all(isinstance(side, str) and side.strip() for side in pair):
            raise ValueError("must be a table of alias = name, neither of them empty")
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("has the same alias twice")
    return tuple(Alias(name, target) for name, target in pairs)


def _options(raw: object) -> tuple[EngineOption, ...]:
    shape = "engine.option=value,engine.option=value"
    if isinstance(raw, tuple) and all(isinstance(each, EngineOption) for each in raw):
        found: list[EngineOption] = list(raw)
    elif isinstance(raw, Mapping):
        found = [EngineOption(*each) for each in _options_in(raw)]
    elif isinstance(raw, str):
        pairs = [_named(part, shape) for part in raw.split(",") if part.strip()]
        found = [EngineOption(*name.rpartition(".")[::2], value) for name, value in pairs]
    else:
        raise ValueError(f"must be a table of engine.option = value (in the environment: {shape})")
    if not all(each.engine and each.name and each.value for each in found):
        raise ValueError("must be a table of engine.option = value, none of them empty")
    if len({(each.engine, each.name) for each in found}) < len(found):
        raise ValueError("has the same option twice")
    return tuple(found)


def _options_in(table: Mapping[str, object]) -> Iterable[tuple[str, str, str]]:
    """Engine, option and value of a table of tables, or of names with a dot in quotes."""
    for name, value in table.items():
        inner = value if isinstance(value, Mapping) else {name.rpartition(".")[2]: value}
        engine = name if isinstance(value, Mapping) else name.rpartition(".")[0]
        for option, chosen in inner.items():
            if isinstance(chosen, bool):
                yield engine, option, "on" if chosen else "off"
            elif isinstance(chosen, str | int | float):
                yield engine, option, str(chosen).strip()
            else:
                raise ValueError(f"has for {engine}.{option} something else than a text, a number, true or false")


def _lexicons(raw: object, folder: Path) -> tuple[LexiconFile, ...]:
    parts = [part.strip() for part in raw.split(",") if part.strip()] if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple):
        raise ValueError("must be a list of files (in the environment: paths separated by commas)")
    found = tuple(_lexicon(part, folder) for part in parts)
    names = [each.name for each in found]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"has two lexicons that are called {name!r}: give one another name, {{ name, path }}")
    return found


def _lexicon(part: object, folder: Path) -> LexiconFile:
    if isinstance(part, LexiconFile):
        return part
    fields = {"path": part} if isinstance(part, str) else part
    if not isinstance(fields, Mapping) or not fields.keys() <= {"name", "path", "default"}:
        raise ValueError("must be a list of paths, or of tables of path, name and default")
    path, default = fields.get("path"), fields.get("default", True)
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise ValueError("has a lexicon without a path")
    if not isinstance(default, bool):
        raise ValueError("has a lexicon whose default is neither true nor false")
    name = fields.get("name", Path(path.strip()).stem)
    if not isinstance(name, str) or not 0 < len(name.strip()) <= LEXICON_NAME_CHARS_MAX:
        raise ValueError(f"has a lexicon whose name is not text of 1 to {LEXICON_NAME_CHARS_MAX} characters")
    return LexiconFile(name.strip(), str((folder / path.strip()).absolute()), default)


def _named(part: str, shape: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not equals:
        raise ValueError(f"must be {shape}")
    return name.strip(), value.strip()


def _check_api_key(name: object, digest: object) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("has a name that is not 1 to 64 letters, digits, dots, dashes or underscores")
    if not isinstance(digest, str) or not _HASH.fullmatch(digest):
        raise ValueError(
            f"has for {name} something else than {HASH_PREFIX} and 64 hexadecimal digits: `voxwire key {name}`"
        )


def _check_range(key: Key, value: object) -> None:
    setting = key.setting
    if setting.choices and value not in setting.choices:
        raise ValueError(f"must be one of {', '.join(setting.choices)}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if setting.minimum is not None and value < setting.minimum:
            raise ValueError(f"must be at least {setting.minimum:.10g}")
        if setting.maximum is not None and value > setting.maximum:
            raise ValueError(f"must be at most {setting.maximum:.10g}")
