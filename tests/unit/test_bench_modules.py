"""Every bench compiles, and every name of the project that it uses is there. No bench runs here."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"
BESIDE = {path.stem: path for path in BENCH.rglob("*.py")}
PROJECT = ("support", "voxwire_client", "voxwire_protocol", "voxwire_server")


class Missing(Exception):
    """A Python package, named by the message, that a module of the project needs is not installed."""


def load(module: str) -> object:
    """Import a module of the project."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] in PROJECT:
            raise
        raise Missing(error.name.split(".")[0]) from error


def defined(path: Path) -> set[str]:
    """The names that a bench defines or imports at its top."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name for alias in aliases}
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
    return names


def has(module: str, name: str) -> bool:
    """Whether a module of the project or a bench has this name."""
    if module in BESIDE:
        return name in defined(BESIDE[module])
    found = load(module)
    if hasattr(found, name):
        return True
    if not hasattr(found, "__path__") or importlib.util.find_spec(f"{module}.{name}") is None:
        return False
    load(f"{module}.{name}")
    return True


def names_used(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Modules of the project or benches, each with a name that the bench imports from it or reads of it."""
    imported: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and (node.module.split(".")[0] in (*PROJECT, *BESIDE)):
            for alias in node.names:
                yield node.module, alias.name
                imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            imported |= {a.asname or a.name: a.name for a in node.names if a.name.split(".")[0] in (*PROJECT, *BESIDE)}
    modules = {name: module for name, module in imported.items() if is_module(module)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield modules[node.value.id], node.attr


def is_module(name: str) -> bool:
    """Whether this is a bench's or a module's name, rather than that of something in a module."""
    try:
        return name in BESIDE or importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("path", BESIDE.values(), ids=BESIDE)
def test_every_name_that_a_bench_uses_of_the_project_is_there(path: Path) -> None:
    missing, unchecked = [], set()
    tree = compile(path.read_text(encoding="utf-8"), str(path), "exec", ast.PyCF_ONLY_AST)
    for module, name in names_used(tree):
        try:
            if not has(module, name):
                missing.append(f"{module}.{name}")
        except Missing as error:
            unchecked.add(str(error))
    assert not missing
    if unchecked:
        pytest.skip(f"needs the Python package {' and '.join(sorted(unchecked))}: make test")
