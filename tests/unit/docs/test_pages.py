"""The project's pages: links lead somewhere, names behind links to code stand in those files, all pages are indexed."""

from __future__ import annotations

import ast
import functools
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
IGNORED = {"node_modules", "build", "dist"}

LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+(?:\([^()\s]*\))?)\)")
NAMED = re.compile(r"\]\(([^()\s]+\.py)\)((?:(?:,| and)? ?`[\w.]+`)+)")


def find_pages() -> Iterator[Path]:
    """All pages of the repository, but none of what was installed or built in it."""
    for folder, folders, files in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if name not in IGNORED and (name == ".github" or name[0] != ".")]
        yield from (Path(folder, name) for name in files if name.endswith(".md"))


PAGES = sorted(str(page.relative_to(REPOSITORY)) for page in find_pages())


@functools.cache
def prose(page: str) -> str:
    """A page without its blocks of code."""
    return re.sub(
        r"^ *```.*?^ *```$", "", (REPOSITORY / page).read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )


@functools.cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    found: set[str] = set()
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#+ (.+?)\s*$", text, re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        count = sum(1 for each in found if re.fullmatch(re.escape(slug) + r"(-\d+)?", each))
        found.add(f"{slug}-{count}" if count else slug)
    return found


@functools.cache
def defined(module: Path) -> set[str]:
    """The names that a module defines: `function`, `Class`, `CONSTANT`, `Class.method`, `Class.field`."""
    return set(_names(ast.parse(module.read_text(encoding="utf-8")).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield prefix + name
            case ast.ClassDef(name=name, body=inner):
                yield prefix + name
                yield from _names(inner, f"{name}.")
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name
            case ast.Assign(targets=targets):
                yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))
            case _:
                pass


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    broken = []
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert not broken


@pytest.mark.parametrize("page", [page for page in PAGES if NAMED.search(prose(page))])
def test_names_behind_a_link_to_code_stand_in_that_file(page):
    missing = []
    for path, names in NAMED.findall(prose(page)):
        module = (REPOSITORY / page).parent / path
        known = defined(module) if module.is_file() else set()
        missing += [f"{path}: {name}" for name in re.findall(r"`([\w.]+)`", names) if name not in known]
    assert not missing


def test_names_behind_links_are_found():
    assert NAMED.findall("see [a.py](../a.py) `f`, `C.m` and `g`: `no`") == [("../a.py", " `f`, `C.m` and `g`")]
    assert {"Context", "Context.cancel"} <= defined(REPOSITORY / "server/voxwire_server/session/context.py")
    assert "StageInfo.batch_size_max" in defined(REPOSITORY / "server/voxwire_server/engines/base.py")


def test_every_page_is_in_the_index():
    index = REPOSITORY / "docs" / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in LINK.findall(prose("docs/README.md"))}
    own = [
        *(REPOSITORY / "docs").rglob("*.md"),
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "clients").glob("*/README.md"),
    ]
    assert {page for page in own if page != index} <= linked


def test_the_index_answers_what_is_asked_most_often():
    answers = prose("docs/README.md").partition("## Where is it done")[2]
    asked = (
        "bitrate",
        "cancel",
        "refused",
        "socket",
        "sentences",
        "token",
        "character times",
        "first audio",
        "GPU",
        "engine",
    )
    rows = [line for line in answers.splitlines() if line.startswith("| ")]
    for word in asked:
        assert any(word in row.split("|")[1] for row in rows), word


def test_the_targets_that_pages_name_are_there():
    known = set(re.findall(r"^([a-z][\w-]*):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for page in ("CONTRIBUTING.md", "README.md", "docs/README.md", "SECURITY.md"):
        for target in re.findall(r"`make ([a-z][\w-]*)", (REPOSITORY / page).read_text(encoding="utf-8")):
            assert target in known, f"{page}: make {target}"


def test_the_layers_are_those_that_imports_are_held_to():
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    shown = " -> ".join(layers).replace("voxwire_server.", "")
    assert shown in (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
