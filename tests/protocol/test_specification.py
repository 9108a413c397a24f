"""Holds protocol/README.md to what the package does: every field, example, error and close code."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from voxwire_protocol import JSON, CloseCode
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ERRORS

SPECIFICATION = (Path(__file__).parents[2] / "protocol" / "README.md").read_text(encoding="utf-8")
TYPES = {type_.type: (type_, fields) for type_, fields in (*m.CLIENT_MESSAGES.items(), *m.SERVER_MESSAGES.items())}
CLIENT_TYPES = {type_.type for type_ in m.CLIENT_MESSAGES}


def section(title: str) -> str:
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", SPECIFICATION, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no section {title}"
    return found[1]


def table(text: str) -> list[list[str]]:
    """The cells of every table row but the head."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return [row for i, row in enumerate(rows) if not set(row[0]) <= set("-") and not is_head(rows, i)]


def is_head(rows: list[list[str]], i: int) -> bool:
    return i + 1 < len(rows) and set(rows[i + 1][0]) == {"-"}


def decoded(type_: str, line: str) -> Any:
    return JSON.decode_client(line) if type_ in CLIENT_TYPES else JSON.decode_server(line)


def nested(value: Any, prefix: str = "") -> set[str]:
    """The paths of a dataclass' fields, those of nested records included."""
    names = set()
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        path = f"{prefix}{field.name}"
        names.add(path)
        if dataclasses.is_dataclass(inner):
            names |= nested(inner, f"{path}.")
        elif isinstance(inner, tuple) and inner and dataclasses.is_dataclass(inner[0]):
            names |= nested(inner[0], f"{path}[].")
        elif isinstance(inner, dict) and inner and dataclasses.is_dataclass(first := next(iter(inner.values()))):
            names |= nested(first, f"{path}.*.")
    return names


@pytest.mark.parametrize("name", TYPES)
def test_the_fields_of_a_message_are_the_rows_of_its_table(name: str) -> None:
    rows = {row[0].strip("`"): row for row in table(section(f"`{name}`"))}
    fields = TYPES[name][1]
    assert {path for path in rows if "." not in path} == set(fields)
    assert {path for path, row in rows.items() if row[1] == "yes" and "." not in path} == {
        path for path, field in fields.items() if field.required
    }


@pytest.mark.parametrize("name", TYPES)
def test_the_examples_of_a_message_are_valid_and_show_every_field(name: str) -> None:
    text = section(f"`{name}`")
    lines = [line for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    assert lines
    paths: set[str] = set()
    shown: set[str] = set()
    for line in lines:
        message = decoded(name, line)
        assert message.type == name
        assert json.loads(JSON.encode(message)).items() >= json.loads(line).items()
        shown |= set(json.loads(line)) - {"type"}
        paths |= nested(message)
    assert shown == set(TYPES[name][1])
    assert paths == {row[0].strip("`") for row in table(text)}


def test_the_conversation_at_the_beginning_is_valid() -> None:
    lines = re.findall(r"^([CS]): (\{.*)$", section("In one minute"), re.MULTILINE)
    assert len(lines) > 8
    for side, line in lines:
        message = JSON.decode_client(line) if side == "C" else JSON.decode_server(line)
        assert json.loads(JSON.encode(message)) == json.loads(line)


def test_the_error_table_is_the_one_in_force() -> None:
    written = {row[0].strip("`"): (row[1], row[2]) for row in table(section("Errors"))}
    in_force = {
        code.value: ("yes" if facts.retryable else "no", "" if facts.close_code is None else str(int(facts.close_code)))
        for code, facts in ERRORS.items()
    }
    assert written == in_force


def test_the_close_codes_are_all_there() -> None:
    assert [int(row[0]) for row in table(section("Close codes"))] == [int(code) for code in CloseCode]


def test_the_rates_of_the_codecs_are_the_ones_in_force() -> None:
    rows = [row for row in table(section("Audio frames")) if row[0].strip("`") in m.RATES]
    assert {row[0].strip("`"): tuple(int(rate) for rate in row[2].split(", ")) for row in rows} == dict(m.RATES)


def test_the_states_of_a_context_are_all_there() -> None:
    written = {row[0].strip("`") for row in table(section("Contexts, utterances, clocks"))}
    assert {state.value for state in m.ContextState} <= written
    assert all(f"`{reason.value}`" in section("`done`") for reason in m.DoneReason)


def test_links_within_the_page_lead_somewhere() -> None:
    titles = re.findall(r"^#+ (.*)$", SPECIFICATION, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\(#([^)]*)\)", SPECIFICATION):
        assert target in anchors, target
