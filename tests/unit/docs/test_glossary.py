"""The glossary of the server's inner words: each has one meaning, and one type that is there and says what it is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[3] / "server"
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| \[[^\]]*\]\(([^)]+)\) `([\w.]+)` \|$", re.MULTILINE)


def glossary() -> str:
    page = (SERVER / "README.md").read_text(encoding="utf-8")
    return page.partition("## Glossary")[2].partition("\n## ")[0]


ROWS = ROW.findall(glossary())


def find(body: list[ast.stmt], path: list[str]) -> list[ast.stmt]:
    """The definition of a name such as `Class` or `Class.field` in a module, with the statement that follows it."""
    name, *rest = path
    for at, node in enumerate(body):
        target = (
            node.target
            if isinstance(node, ast.AnnAssign)
            else node.targets[0]
            if isinstance(node, ast.Assign)
            else None
        )
        if getattr(node, "name", None) == name or (isinstance(target, ast.Name) and target.id == name):
            return find(node.body, rest) if rest and isinstance(node, ast.ClassDef) else body[at : at + 2]
    raise LookupError(name)


def test_every_line_of_the_glossary_is_read():
    lines = [line for line in glossary().splitlines() if line.startswith("| ") and not line.startswith("| word |")]
    assert len(lines) == len(ROWS) >= 40


def test_each_word_has_one_meaning():
    words = [word for word, *_ in ROWS]
    assert len(set(words)) == len(words)
    assert len({meaning for _, meaning, *_ in ROWS}) == len(words)


@pytest.mark.parametrize(("word", "file", "name"), [(word, file, name) for word, _, file, name in ROWS])
def test_a_words_type_is_where_the_glossary_says(word, file, name):
    definition = find(ast.parse((SERVER / file).read_text(encoding="utf-8")).body, name.split("."))
    assert definition, word
    if isinstance(definition[0], ast.ClassDef | ast.FunctionDef):
        assert ast.get_docstring(definition[0]), f"{name} does not say what it is"


def test_a_type_that_is_not_there_is_found():
    with pytest.raises(LookupError):
        find(ast.parse("class Executor:\n    size: int\n").body, ["Executor", "threads"])
