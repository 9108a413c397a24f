"""The scripts of the Godot client and the types of the Unity client depend on each other in one direction only."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parents[3] / "clients"
GODOT = CLIENTS / "godot"
UNITY = CLIENTS / "unity"

LAYERS = ["Types", "Json", "Protocol", "Connection", "Speech", "", "Audio", "Playback", "Unity"]
"""Folders of the Unity client, below Runtime/Core or Runtime; each may use those before it. "": Runtime/Core itself."""

CS_DECLARATION = re.compile(r"^ {4}(?:public|internal) (?:\w+ )*(?:class|struct|enum|interface) (\w+)", re.M)
CS_NOISE = re.compile(r'//[^\n]*|"(?:\\.|[^"\\\n])*"')
GD_NOISE = re.compile(r"#[^\n]*")
WORD = re.compile(r"\w+")

Graph = dict[str, set[str]]


def words_of(path: Path, noise: re.Pattern[str]) -> set[str]:
    """The identifiers and keywords in a source file; comments (and C# strings) are left out."""
    return set(WORD.findall(noise.sub("", path.read_text(encoding="utf-8"))))


def circle(graph: Graph) -> list[str] | None:
    """Nodes that depend on each other in a circle; None if there are none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found = error.args[1]
        assert isinstance(found, list)
        return found
    return None


def godot_scripts() -> Graph:
    """For each script of the Godot client, those that it preloads or names by their class_name."""
    paths = [path for folder in ("addons", "example", "tests") for path in (GODOT / folder).rglob("*.gd")]
    names = {}
    for path in paths:
        if found := re.search(r"^class_name (\w+)", path.read_text(encoding="utf-8"), re.M):
            names[found[1]] = path
    return {str(path.relative_to(GODOT)): set(script_dependencies(path, names)) for path in paths}


def script_dependencies(path: Path, names: dict[str, Path]) -> Iterable[str]:
    text = GD_NOISE.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r'load\("([^"]+)"\)', text):
        found = GODOT / target.removeprefix("res://") if target.startswith("res://") else path.parent / target
        assert found.exists(), f"{path.name} loads {target}, which does not exist"
        yield str(found.resolve().relative_to(GODOT))
    for word in words_of(path, GD_NOISE) & set(names):
        if names[word] != path:
            yield str(names[word].relative_to(GODOT))


@cache
def unity_sources() -> dict[Path, set[str]]:
    """For each source file of the Unity client, the types that it declares in its namespace."""
    paths = sorted((UNITY / "Runtime").rglob("*.cs"))
    return {path: set(CS_DECLARATION.findall(path.read_text(encoding="utf-8"))) for path in paths}


def unity_files() -> Graph:
    """For each source file of the Unity client, those whose types it names. Parts of one class count as one file."""
    home: dict[str, str] = {}
    unit: dict[Path, str] = {}
    for path, types in unity_sources().items():
        unit[path] = next((home[name] for name in types if name in home), path.name)
        home.update(dict.fromkeys(types, unit[path]))
    graph: Graph = {name: set() for name in unit.values()}
    for path, name in unit.items():
        graph[name] |= {home[word] for word in words_of(path, CS_NOISE) & set(home)} - {name}
    return graph


def layer(path: Path) -> str:
    folder = path.parent.relative_to(UNITY / "Runtime").as_posix()
    return folder.removeprefix("Core").removeprefix("/")


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) is None
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) or []) == {"a", "b", "c"}


def test_godot_scripts_preload_each_other_in_no_circle():
    graph = godot_scripts()
    assert "addons/voxwire/session.gd" in graph["addons/voxwire/client.gd"]
    assert "addons/voxwire/utterance.gd" in graph["addons/voxwire/session.gd"]
    assert circle(graph) is None


def test_unity_source_files_name_each_others_types_in_no_circle():
    graph = unity_files()
    assert "ResumableConnection.cs" in graph["VoxwireClient.cs"]
    assert circle(graph) is None


@pytest.mark.parametrize("path", unity_sources(), ids=lambda path: path.stem)
def test_unity_folders_use_only_the_layers_below(path):
    homes = {name: layer(other) for other, types in unity_sources().items() for name in types}
    used = {homes[word] for word in words_of(path, CS_NOISE) & set(homes)}
    assert {LAYERS.index(each) for each in used} <= set(range(LAYERS.index(layer(path)) + 1))


def test_unity_namespaces_follow_the_folders():
    """Public types of the API stand in `Voxwire`, those of Runtime/Unity in `Voxwire.Unity`."""
    for path in unity_sources():
        found = re.search(r"^namespace ([\w.]+)", path.read_text(encoding="utf-8"), re.M)
        assert found is not None
        name = layer(path)
        assert found[1] == ("Voxwire" if name in ("", "Types") else f"Voxwire.{name}"), path
