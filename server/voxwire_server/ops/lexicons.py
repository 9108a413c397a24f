"""Owns the lexicons of the configuration: reads their files, and finds those that a client names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.config import ConfigError
from voxwire_server.text.lexicon import Lexicon, LexiconError
from voxwire_server.text.lexicon_files import read_lexicon

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from voxwire_server.config import LexiconFile
    from voxwire_server.text.lexicon import Entry

_SHOWN_NAMES = 100
_SHOWN_CHARS = 64


class Lexicons:
    """The lexicons of a server. Immutable: a reload makes others, and contexts that are open keep theirs."""

    def __init__(self, files: Sequence[LexiconFile] = ()) -> None:
        """Reads every file.

        Raises:
            ConfigError: one can't be read or has a mistake; the message names the file and, where known, the line.
        """
        entries = {file.name: _read(file) for file in files}
        self._default = Lexicon(*(entries[file.name] for file in files if file.default))
        self._named: Mapping[str, Lexicon] = {name: Lexicon(each) for name, each in entries.items()}
        for lexicon in (self._default, *self._named.values()):
            lexicon.warm_up()

    @property
    def sizes(self) -> Mapping[str, int]:
        """How many entries each has, by name."""
        return {name: lexicon.size for name, lexicon in self._named.items()}

    def select(self, names: Sequence[str]) -> Lexicon:
        """Those that are used by default and those of `names`, of which later ones win.

        Raises:
            VoxwireError: client.invalid_field; there is none of that name. Details list what there is.
        """
        found = self._default
        for name in names:
            named = self._named.get(name)
            if named is None:
                known = sorted(self._named)[:_SHOWN_NAMES]
                raise VoxwireError(
                    ErrorCode.INVALID_FIELD,
                    f"there is no lexicon {name[:_SHOWN_CHARS]!r}",
                    details={"field": "lexicons", "lexicons": known},
                    hint="Name one of `details.lexicons`; the server's configuration has them in `text.lexicons`.",
                )
            found = found.under(named)
        return found

    def __str__(self) -> str:
        """For the log: how many there are and how many entries they have."""
        return f"{len(self._named)} lexicons, {sum(self.sizes.values())} entries"


def _read(file: LexiconFile) -> list[Entry]:
    try:
        return read_lexicon(Path(file.path))
    except LexiconError as error:
        where = f"{file.path}, line {error.line}" if error.line else file.path
        raise ConfigError(f"{where}: {error}.", "text.lexicons") from error
