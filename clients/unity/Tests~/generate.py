"""Writes the generated files of this package: `python clients/unity/Tests~/generate.py`.

These are VisemeShapes.cs, from the protocol's visemes.json, and the .meta file of each asset: in a package installed
from git or a registry, Unity ignores assets without one.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

UNITY = Path(__file__).parents[1]
JSON = UNITY.parents[1] / "protocol" / "voxwire_protocol" / "visemes.json"
SOURCE = UNITY / "Runtime" / "Core" / "Playback" / "VisemeShapes.cs"

IMPORTERS = {
    ".cs": "MonoImporter:\n  externalObjects: {}\n  serializedVersion: 2\n  executionOrder: 0\n",
    ".asmdef": "AssemblyDefinitionImporter:\n  externalObjects: {}\n",
    ".json": "PackageManifestImporter:\n  externalObjects: {}\n",
    ".md": "TextScriptImporter:\n  externalObjects: {}\n",
    "": "folderAsset: yes\nDefaultImporter:\n  externalObjects: {}\n",
}

HEAD = """\
// The fifteen mouth shapes, and their names in other systems. Written by Tests~/generate.py.

namespace Voxwire.Playback
{
    /// <summary>A blend shape of a face and how far a mouth shape moves it, 0 to 1.</summary>
    public struct BlendWeight
    {
        public readonly string Name;
        public readonly float Weight;

        public BlendWeight(string name, float weight)
        {
            Name = name;
            Weight = weight;
        }
    }

    /// <summary>One entry per mouth shape, by its id. Blend shapes that an entry does not name are 0.</summary>
    public static class VisemeShapes
    {
"""


def main() -> None:
    """Write all generated files."""
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


def generated() -> dict[Path, str]:
    """Every generated file and its text."""
    assets = [path for path in sorted(UNITY.rglob("*")) if is_asset(path)]
    return {SOURCE: source()} | {path.with_name(path.name + ".meta"): meta(path) for path in assets}


def is_asset(path: Path) -> bool:
    """Whether Unity imports a file or folder: it ignores folders whose names end in ~."""
    return path.suffix != ".meta" and not any(part.endswith("~") for part in path.relative_to(UNITY).parts)


def meta(path: Path) -> str:
    """An asset's .meta file, with the guid by which scenes refer to the asset."""
    return f"fileFormatVersion: 2\nguid: {guid(path)}\n{IMPORTERS[path.suffix]}"


def guid(path: Path) -> str:
    """The guid in an asset's .meta file, which moves with the asset; of a new asset, one made from its path."""
    existing = path.with_name(path.name + ".meta")
    found = (
        re.search(r"^guid: ([0-9a-f]{32})$", existing.read_text(encoding="utf-8"), re.M) if existing.exists() else None
    )
    if found:
        return found[1]
    name = path.relative_to(UNITY).as_posix()
    return hashlib.md5(f"io.voxwire.client/{name}".encode(), usedforsecurity=False).hexdigest()


def source() -> str:
    """VisemeShapes.cs."""
    shapes = json.loads(JSON.read_text(encoding="utf-8"))["shapes"]
    texts = {
        "Names": ("Oculus LipSync's names.", [shape["name"] for shape in shapes]),
        "Rhubarb": ("Rhubarb's letters.", [shape["rhubarb"] for shape in shapes]),
    }
    parts = [field(about, "string[]", name, [f'"{text}"' for text in row]) for name, (about, row) in texts.items()]
    parts.append(field("Azure's ids.", "int[]", "Azure", [str(shape["azure"]) for shape in shapes]))
    for name, key, about in (
        ("Arkit", "arkit", "ARKit's 52 blend shapes."),
        ("Vrm", "vrm", "VRM 1.0's expressions aa ih ou ee oh."),
    ):
        parts.append(field(about, "BlendWeight[][]", name, [blend(shape[key]) for shape in shapes], each_line=True))
    return HEAD + "\n\n".join(parts) + "\n    }\n}\n"


def field(about: str, kind: str, name: str, values: list[str], *, each_line: bool = False) -> str:
    """One constant."""
    indent = "            "
    body = f",\n{indent}".join(values) if each_line else ", ".join(values)
    return f"""\
        /// <summary>{about}</summary>
        public static readonly {kind} {name} =
        {{
{indent}{body},
        }};"""


def blend(weights: dict[str, Any]) -> str:
    """The blend shapes of one mouth shape."""
    if not weights:
        return "new BlendWeight[0]"
    return "new[] { " + ", ".join(f'new BlendWeight("{name}", {weight}f)' for name, weight in weights.items()) + " }"


if __name__ == "__main__":
    main()
