"""Owns the names of voices and models: the engines' own, other vendors' for them, and the operator's aliases."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.engines.base import mix_name, parse_mix
from voxwire_server.session.ports import ResolvedVoice
from voxwire_server.session.stretches import tag_for

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from voxwire_server.config import Alias
    from voxwire_server.engines.base import EngineInfo
    from voxwire_server.speech import Voice

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


class VoiceDirectory:
    """Voices by name, `voice` or `engine/voice`. The default engine's voices win where two engines share a name."""

    def __init__(
        self,
        engines: Mapping[str, EngineInfo],
        default_engine: str,
        default_voice: str,
        aliases: Aliases | None = None,
        fallback: str = "engine",
    ) -> None:
        """`fallback` says whose voices stand in where one does not read a language: see `engines.fallback`."""
        self._engines = engines
        self._voices: dict[str, Voice] = {}
        names = [default_engine, *(name for name in engines if name != default_engine)]
        for name in names:
            for voice in engines[name].voices:
                self._voices.setdefault(voice.name, voice)
                self._voices[f"{name}/{voice.name}"] = voice
        self.default = self._voices.get(default_voice) or engines[default_engine].voices[0]
        self.aliases = aliases or Aliases()
        """May be replaced at any time."""
        self.fallback = fallback
        """May be replaced at any time."""

    def speakers(self, beside: ResolvedVoice) -> list[ResolvedVoice]:
        """The voices that may speak in a context of the voice `beside`: that one, its engine's, then other engines'.

        A context's audio has one sample rate and one way of timing: engines with others are left out.
        """
        infos = [beside.engine] if self.fallback != "off" else []
        if self.fallback == "any":
            same = (beside.engine.sample_rate, beside.engine.timing)
            others = (info for info in self._engines.values() if info.name != beside.engine.name)
            infos += [info for info in others if (info.sample_rate, info.timing) == same]
        return [beside, *(ResolvedVoice(info, voice, voice.languages[0]) for info in infos for voice in info.voices)]

    def reader_of(self, language: str) -> Voice | None:
        """Any voice that reads a language; one whose own it is comes first."""
        voices = (voice for info in self._engines.values() for voice in info.voices)
        found = [voice for voice in voices if tag_for(voice.languages, language)]
        return next((voice for voice in found if tag_for(voice.languages[:1], language)), found[0] if found else None)

    def languages(self) -> set[str]:
        """All languages that some voice reads."""
        return {tag for info in self._engines.values() for voice in info.voices for tag in voice.languages}

    def resolve(self, voice: str | None, language: str | None) -> ResolvedVoice:
        """The voice of a name (None: the default) and the language that it will speak.

        Raises:
            VoxwireError: client.unknown_voice, client.unsupported_language, or client.invalid_field for a mixture of
                voices that can't be mixed.
        """
        found = self.default if voice is None else self.find(voice) or self._mixture(voice)
        if found is None:
            known = sorted(name for name in self._voices if "/" not in name)
            raise VoxwireError(
                ErrorCode.UNKNOWN_VOICE,
                f"there is no voice {voice!r}",
                details={"field": "voice", "voices": known[:100]},
            )
        return ResolvedVoice(self._engines[found.engine], found, _language(found, language))

    def by_alias(self) -> Mapping[str, Voice]:
        """The voice of each alias that is no pattern and stands for one."""
        found = {name: self.find(name) for name in self.aliases.plain()}
        return {name: voice for name, voice in found.items() if voice is not None}

    def find(self, name: str) -> Voice | None:
        """The voice of a name or an alias; None where there is none."""
        voice = self._voices.get(name)
        if voice is None:
            target = self.aliases.target(name)
            if target is not None:
                # A built-in alias stands for the default voice.
                voice = self._voices.get(target) if target else self.default
        return voice

    def _mixture(self, name: str) -> Voice | None:
        """A mixture of voices of one engine ("a+b"), with the languages of the voice that has the largest share."""
        try:
            parts = parse_mix(name)
        except ValueError as error:
            raise VoxwireError(ErrorCode.INVALID_FIELD, f"voice: {error}", details={"field": "voice"}) from error
        if parts is None:
            return None
        found = [voice for each, _ in parts if (voice := self.find(each)) is not None]
        if len(found) < len(parts):
            return None
        if len({voice.engine for voice in found}) > 1 or not self._engines[found[0].engine].mixes:
            raise VoxwireError(
                ErrorCode.INVALID_FIELD, f"the voices of {name!r} can't be mixed", details={"field": "voice"}
            )
        shares = [share for _, share in parts]
        heaviest = found[shares.index(max(shares))]
        named = tuple((voice.name, share) for voice, share in zip(found, shares, strict=True))
        return replace(heaviest, name=mix_name(named), description="mixed")


class ModelDirectory:
    """Engines by the names that vendors' clients give their models."""

    def __init__(self, engines: Collection[str], default_engine: str, aliases: Aliases) -> None:
        self._engines = engines
        self._default_engine = default_engine
        self.aliases = aliases
        """May be replaced at any time."""

    def resolve(self, model: str) -> str:
        """The engine that a model's name stands for.

        Raises:
            VoxwireError: client.invalid_field; details list what there is.
        """
        engine = model if model in self._engines else self.aliases.target(model)
        if engine == "":
            return self._default_engine
        if engine is None or engine not in self._engines:
            known = sorted({*self._engines, *self.aliases.names()})
            raise VoxwireError(
                ErrorCode.INVALID_FIELD,
                f"there is no model {model!r}",
                details={"field": "model", "models": known},
                hint="Use a model of GET /v1/models, or name this one in `aliases.models`.",
            )
        return engine


def _language(voice: Voice, language: str | None) -> str:
    """The voice's own language, or the one asked for if the voice speaks it; "en" stands for every "en-…"."""
    if language is None:
        return voice.languages[0]
    wanted = language.lower()
    for tag in voice.languages:
        if tag.lower() == wanted or tag.lower().split("-")[0] == wanted or tag.lower() == wanted.split("-")[0]:
            return tag
    raise VoxwireError(
        ErrorCode.UNSUPPORTED_LANGUAGE,
        f"voice {voice.name!r} does not speak {language!r}",
        details={"field": "language", "languages": list(voice.languages)},
    )
