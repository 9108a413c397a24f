"""What was skipped for want of what, and the commands that bring it: printed at the end of `make test`, `make quick`.

A reason is `needs WHAT: HOW`: what is missing, and the command that brings it or a sentence. `pytest.importorskip` has
a reason of its own: a Python package is missing. Every other reason is taken for one where nothing has to be installed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

_NEEDS = re.compile(r"(?:Skipped: )?needs ([^:]+?)(?:: (.*))?", re.DOTALL)
_IMPORT = re.compile(r"(?:Skipped: )?could not import '(\w+).*", re.DOTALL)
_APT = "apt-get install "
_PACKAGES = "make test"
"""The environment of `make test` has every Python package that a test asks for."""


def lines(skips: Iterable[tuple[str, str]]) -> list[str]:
    """The summary of skips, each the file of the test and the reason; nothing if there are none."""
    files: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    other: defaultdict[str, list[str]] = defaultdict(list)
    for file, reason in skips:
        if package := _IMPORT.fullmatch(reason):
            files[f"the Python package {package[1]}", _PACKAGES].append(file)
        elif needs := _NEEDS.fullmatch(reason):
            files[needs[1], needs[2] or ""].append(file)
        else:
            other[reason.removeprefix("Skipped: ")].append(file)
    found = [f"{_counted(where)} without {what}{how and f': {how}'}" for (what, how), where in sorted(files.items())]
    packages = sorted({each for _, how in files if how.startswith(_APT) for each in how.removeprefix(_APT).split()})
    if packages:
        found.append(f"All that apt has of these: {_APT}{' '.join(packages)}")
    return found + [f"{_counted(where)}, as nothing is missing: {reason}" for reason, where in sorted(other.items())]


def _counted(where: list[str]) -> str:
    """How many skips, and in which files. A module that is skipped as a whole counts as one."""
    return f"{len(where):4} in {', '.join(sorted(set(where)))}"
