"""Shows a configuration as TOML, with where each value came from. Secrets are hidden."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, assert_never

from voxwire_server.config.schema import KEYS, SECTIONS, Kind

if TYPE_CHECKING:
    from voxwire_server.config.schema import Config, Key


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
        case _:
            assert_never(key.kind)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
