"""Engines by entry point: those that load, and an error with a hint for those that don't."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from voxwire_server.engines import registry
from voxwire_server.engines.base import EngineUnavailable


def test_the_projects_own_engines_are_known():
    assert {"hibari", "tone", "tone-frames"} <= set(registry.known_engines())


def test_wanted_engines_are_created_under_their_names():
    engines, missing = registry.load_engines(["tone", "tone-frames"])
    assert {name: engine.info.name for name, engine in engines.items()} == {
        "tone": "tone",
        "tone-frames": "tone-frames",
    }
    assert not missing


def test_the_error_of_an_unknown_engine_lists_the_installed_ones():
    with pytest.raises(EngineUnavailable, match="no engine 'kokoko'") as problem:
        registry.load_engine("kokoko")
    assert "hibari" in problem.value.hint


def test_an_engine_that_cannot_load_leaves_the_others_alone(monkeypatch):
    plain = registry.entry_points

    def found(**wanted):
        if wanted.get("name") == "absent":
            return (EntryPoint("absent", "a_module_that_is_nowhere:create", registry.GROUP),)
        return plain(**wanted)

    monkeypatch.setattr(registry, "entry_points", found)
    engines, missing = registry.load_engines(["absent", "tone"])
    assert list(engines) == ["tone"]
    assert "a_module_that_is_nowhere" in str(missing["absent"])
    assert missing["absent"].hint == "pip install 'voxwire[absent]'"


def test_a_factory_gets_what_it_asks_for():
    asked = []
    registry.create_engine("both", lambda models, options: asked.append((models, options)), "/models", {"a": "1"})
    registry.create_engine("folder", lambda models: asked.append(models), "/models")
    registry.create_engine("nothing", lambda: asked.append("nothing"), "/models")
    assert asked == [("/models", {"a": "1"}), "/models", "nothing"]


def test_options_go_to_their_own_engine_and_none_to_one_that_has_none():
    engines, missing = registry.load_engines(["tone", "tone-frames"], "", {"tone": {"depth": "3"}})
    assert list(engines) == ["tone-frames"]
    assert "tone has no options" in str(missing["tone"])
    assert "engines.options" in missing["tone"].hint
