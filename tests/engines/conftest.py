"""`--engine NAME`: the contract (test_contract.py) over an installed engine, in place of the project's own."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", action="append", metavar="NAME", help="hold this entry point's engine to the contract")
