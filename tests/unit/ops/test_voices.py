"""Other vendors' names: which voice or engine they stand for, and what a name that nobody knows is answered with."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from support.in_process_app import running
from voxwire_protocol.errors import VoxwireError
from voxwire_server.app import Application
from voxwire_server.config import Alias, load_config
from voxwire_server.engines.base import EngineInfo, EngineUnavailable, StageInfo
from voxwire_server.engines.tone import create as create_tone
from voxwire_server.ops.admission import SpeechDirectory
from voxwire_server.ops.voices import BUILT_IN_MODELS, BUILT_IN_VOICES, OPENAI_VOICES, Aliases, VoiceDirectory
from voxwire_server.speech import Voice


def engine(name: str, *voices: str, languages: tuple[str, ...] = ("en-us",)) -> EngineInfo:
    spoken = tuple(Voice(voice, name, languages) for voice in voices)
    return EngineInfo(name, 24000, spoken, (StageInfo("speak", 1),))


def directory(*configured: Alias, default_voice: str = "") -> VoiceDirectory:
    engines = {"first": engine("first", "heart", "star"), "second": engine("second", "heart", "moon")}
    return VoiceDirectory(engines, "first", default_voice, Aliases(configured, BUILT_IN_VOICES))


def resolved(voices: VoiceDirectory, name: str | None) -> str:
    voice = voices.resolve(name, None).voice
    return f"{voice.engine}/{voice.name}"


ENGLISH, CHINESE = ("en-us",), ("zh", "en-us")


def several(fallback: str) -> VoiceDirectory:
    infos = [
        engine("first", "heart", languages=ENGLISH),
        engine("second", "ming", languages=CHINESE),
        replace(engine("slow", "wang", languages=CHINESE), sample_rate=16000),
        replace(engine("timed", "li", languages=CHINESE), timing="phoneme"),
    ]
    infos[0] = replace(infos[0], voices=(*infos[0].voices, Voice("pierre", "first", ("fr",))))
    return VoiceDirectory({info.name: info for info in infos}, "first", "", None, fallback)


# -- who stands in ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fallback", "names"),
    [
        ("off", ["heart"]),
        ("engine", ["heart", "heart", "pierre"]),
        ("any", ["heart", "heart", "pierre", "ming"]),
    ],
)
def test_who_may_stand_in_for_a_voice_is_configured(fallback: str, names: list[str]) -> None:
    voices = several(fallback)
    assert [each.voice.name for each in voices.speakers(voices.resolve(None, None))] == names


def test_a_voice_that_reads_a_language_is_found_whatever_may_stand_in() -> None:
    voices = several("off")
    assert voices.reader_of("zh-CN") is not None
    assert voices.reader_of("en").name == "heart"  # type: ignore[union-attr]
    assert voices.reader_of("ru") is None
    assert voices.languages() == {"en-us", "zh", "fr"}


def test_a_server_without_the_extra_says_how_to_get_it() -> None:
    with pytest.raises(VoxwireError) as refused:
        SpeechDirectory(several("off"), engines=None).identifier()  # type: ignore[arg-type]
    assert refused.value.raw_code == "client.unsupported_language"
    assert "voxwire[languages]" in (refused.value.hint or "")


# -- the table ----------------------------------------------------------------------------------------------------


def test_a_configured_alias_comes_before_the_built_in_one() -> None:
    aliases = Aliases((Alias("alloy", "star"),), {"alloy": "heart", "echo": "moon"})
    assert aliases.target("alloy") == "star"
    assert aliases.target("echo") == "moon"


def test_a_configured_pattern_comes_before_a_built_in_name() -> None:
    assert Aliases((Alias("a*", "star"),), {"alloy": "heart"}).target("alloy") == "star"


def test_a_name_comes_before_a_pattern_wherever_it_stands() -> None:
    aliases = Aliases((Alias("*", "heart"), Alias("alloy", "star")))
    assert aliases.target("alloy") == "star"
    assert aliases.target("anything") == "heart"


def test_of_two_patterns_the_first_holds() -> None:
    assert Aliases((Alias("a*", "heart"), Alias("al*", "star"))).target("alloy") == "heart"


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("sonic*", "sonic-2-2025-03-07", True),
        ("sonic*", "Sonic-2", False),
        ("gpt-4o*-tts*", "gpt-4o-mini-tts", True),
        ("gpt-4o*-tts*", "gpt-4o-mini", False),
        ("v?", "v1", True),
        ("v?", "v12", False),
        ("a.b", "axb", False),
        ("*", "", True),
    ],
)
def test_patterns_know_stars_and_question_marks_and_case(pattern: str, name: str, fits: bool) -> None:
    assert Aliases((Alias(pattern, "heart"),)).target(name) == ("heart" if fits else None)


def test_an_unknown_name_is_no_alias() -> None:
    assert Aliases((), BUILT_IN_VOICES).target("nobody") is None


def test_lists_leave_patterns_out_and_name_nothing_twice() -> None:
    aliases = Aliases((Alias("alloy", "star"), Alias("el*", "heart")), {"alloy": "", "echo": ""})
    assert aliases.plain() == ["alloy", "echo"]
    assert set(aliases.names()) == {"alloy", "el*", "echo"}


def test_built_in_aliases_stand_for_what_is_the_default() -> None:
    assert set(BUILT_IN_VOICES.values()) == set(BUILT_IN_MODELS.values()) == {""}


def test_all_of_openais_voices_are_known() -> None:
    assert len(OPENAI_VOICES) == 13
    assert set(OPENAI_VOICES) <= set(BUILT_IN_VOICES)


@pytest.mark.parametrize(
    "model",
    ["tts-1", "tts-1-hd", "gpt-4o-mini-tts", "eleven_turbo_v2_5", "sonic-2", "aura-2-thalia-en", "flux-general-en"],
)
def test_models_that_clients_name_by_default_are_known(model: str) -> None:
    assert Aliases((), BUILT_IN_MODELS).target(model) == ""


# -- the directory ------------------------------------------------------------------------------------------------


def test_a_vendors_voice_is_the_default_voice() -> None:
    assert resolved(directory(), "alloy") == "first/heart"
    assert resolved(directory(default_voice="star"), "alloy") == "first/star"


def test_an_alias_may_name_the_voice_of_one_engine() -> None:
    assert resolved(directory(Alias("alloy", "second/heart")), "alloy") == "second/heart"


def test_a_voice_that_is_there_comes_before_an_alias_of_its_name() -> None:
    assert resolved(directory(Alias("heart", "star"), Alias("*", "moon")), "heart") == "first/heart"


def test_an_alias_is_not_followed_twice() -> None:
    with pytest.raises(VoxwireError):
        directory(Alias("one", "two"), Alias("two", "star")).resolve("one", None)


def test_a_star_matches_every_name_but_not_a_missing_one() -> None:
    voices = directory(Alias("*", "star"))
    assert resolved(voices, "d46abd1d-2d02-43e8-819f-51fb652c1c61") == "first/star"
    assert resolved(voices, None) == "first/heart"


@pytest.mark.parametrize("name", ["nobody", "", "second/star", "ALLOY"])
def test_an_unknown_voice_is_answered_with_the_known_ones(name: str) -> None:
    with pytest.raises(VoxwireError) as unknown:
        directory().resolve(name, None)
    assert unknown.value.raw_code == "client.unknown_voice"
    assert unknown.value.details["voices"] == ["heart", "moon", "star"]


def test_an_alias_of_a_voice_that_is_not_there_is_an_unknown_voice() -> None:
    voices = directory(Alias("alloy", "gone"))
    assert voices.find("alloy") is None
    with pytest.raises(VoxwireError) as unknown:
        voices.resolve("alloy", None)
    assert unknown.value.raw_code == "client.unknown_voice"


def test_a_language_holds_for_an_alias_too() -> None:
    assert directory().resolve("alloy", "en").language == "en-us"
    with pytest.raises(VoxwireError) as refused:
        directory().resolve("alloy", "de")
    assert refused.value.raw_code == "client.unsupported_language"


# -- the application ----------------------------------------------------------------------------------------------


def test_an_application_knows_engines_and_models_by_their_aliases() -> None:
    async def look() -> None:
        async with running(aliases__models="my-model=tone,away-*=gone", aliases__voices="bob=tone-high") as app:
            assert [app.resolve_model(name) for name in ("tone", "my-model", "tts-1")] == ["tone"] * 3
            for name in ("nobody", "away-1"):
                with pytest.raises(VoxwireError) as unknown:
                    app.resolve_model(name)
                assert unknown.value.raw_code == "client.invalid_field"
                assert {"tone", "my-model", "tts-1*"} <= set(unknown.value.details["models"])
            voices = app.voice_aliases()
            assert voices["bob"].name == "tone-high"
            assert voices["alloy"] == app.default_voice()
            assert "away-*" not in app.model_aliases()

    asyncio.run(look())


@pytest.mark.parametrize("name", ["tone-high", "tone/tone-high"])
def test_an_application_starts_with_its_default_voice_named_alone_or_after_its_engine(name: str) -> None:
    async def look() -> None:
        async with running(engines__default_voice=name) as app:
            assert app.default_voice().name == "tone-high"

    asyncio.run(look())


def test_an_application_refuses_a_default_voice_that_its_engine_does_not_have() -> None:
    flags = {"engines.enabled": "tone", "engines.default": "tone", "engines.default_voice": "hibari/tone-high"}
    with pytest.raises(EngineUnavailable, match="default_voice"):
        Application(load_config(flags=flags), {"tone": create_tone()})
