"""Owns the names under which other vendors' clients ask for voices and models, and what they stand for here."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voxwire_server.config import Alias

OPENAI_VOICES = (
    "alloy",
    "ash",
    "ballad",
    "cedar",
    "coral",
    "echo",
    "fable",
    "marin",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
)

ELEVENLABS_VOICES = (
    "21m00Tcm4TlvDq8ikWAM",
    "EXAVITQu4vr4xnSDxMaL",
    "JBFqnCBsd6RMkjVDRZzb",
    "hpp4J3VqNfWAUOO0d1Us",
    "pNInz6obpgDQGcFmaJgB",
)
"""The defaults of its clients and the voices in its examples."""

CARTESIA_VOICES = (
    "6ccbfb76-1fc6-48f7-b71d-91ac6298247b",
    "71a7ad14-091c-4e8e-a314-022ece01c121",
    "a0e99841-438c-4a64-b679-ae501e7d6091",
    "e07c00bc-4134-4eae-9ea4-1a55fb45746b",
    "f786b574-daa5-4673-aa0c-cbe3e8534c02",
)
"""The defaults of its clients and the voices in its examples."""

COSYVOICE_VOICES = ("中文女", "中文男", "英文女", "英文男", "日语男", "粤语女", "韩语女")
"""The speakers of its first model."""

BUILT_IN_VOICES: Mapping[str, str] = dict.fromkeys(
    (*OPENAI_VOICES, *COSYVOICE_VOICES, *ELEVENLABS_VOICES, *CARTESIA_VOICES), ""
)
"""Alias to voice; empty stands for the server's default voice."""

BUILT_IN_MODELS: Mapping[str, str] = dict.fromkeys(
    ("tts-1*", "gpt-4o*-tts*", "eleven_*", "sonic*", "aura*", "flux*"),
    "",
)
"""Alias to engine; empty stands for the server's default engine."""


@dataclass(frozen=True, slots=True)
class Aliases:
    """The operator's aliases, then the built-in ones; in each a plain name comes before a pattern."""

    configured: Sequence[Alias] = ()
    built_in: Mapping[str, str] | None = None

    def target(self, name: str) -> str | None:
        """What an alias stands for (empty: the default); None where it is not one."""
        tables = ({alias.name: alias.target for alias in self.configured}, self.built_in or {})
        for table in tables:
            if name in table:
                return table[name]
            for pattern, target in table.items():
                if fnmatchcase(name, pattern):
                    return target
        return None

    def names(self) -> list[str]:
        """Every alias, patterns too."""
        return [*(alias.name for alias in self.configured), *(self.built_in or {})]

    def plain(self) -> list[str]:
        """Every alias that is no pattern."""
        return [name for name in dict.fromkeys(self.names()) if not set(name) & set("*?[")]
