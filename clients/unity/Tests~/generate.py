"""Writes what stands in this package and is nobody's handwork: `python clients/unity/Tests~/generate.py`.

That is VisemeShapes.cs from the protocol's visemes.json, and the .meta file of each asset: where a package is installed
from git or a registry, Unity ignores what has none.
"""

from __future__ import annotations

import hashlib
import json
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
// The fifteen mouth shapes, and what they are called elsewhere. Written by Tests~/generate.py.

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

    /// <summary>A shape's place is its id. What is not named is 0.</summary>
    public static class VisemeShapes
    {
"""


def main() -> None:
    """Write all of it."""
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


def generated() -> dict[Path, str]:
    """Every file that is written here, and what belongs into it."""
    assets = [path for path in sorted(UNITY.rglob("*")) if is_asset(path)]
    return {SOURCE: source()} | {path.with_name(path.name + ".meta"): meta(path) for path in assets}


def is_asset(path: Path) -> bool:
    """Whether Unity imports it: folders that end in ~ it does not see."""
    return path.suffix != ".meta" and not any(part.endswith("~") for part in path.relative_to(UNITY).parts)


def meta(path: Path) -> str:
    """An asset's .meta file. Its name makes its identity, so that references to it outlive a new version."""
    name = path.relative_to(UNITY).as_posix()
    identity = hashlib.md5(f"io.voxwire.client/{name}".encode(), usedforsecurity=False).hexdigest()
    return f"fileFormatVersion: 2\nguid: {identity}\n{IMPORTERS[path.suffix]}"


def source() -> str:
    """The C# that stands for the JSON."""
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
