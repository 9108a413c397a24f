"""Where the weights of models lie: one folder, with a folder for each model inside."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ENV_FOLDER = "VOXWIRE_MODELS"


def models_folder(chosen: str | Path | None = None, env: Mapping[str, str] | None = None) -> Path:
    """The folder that was chosen, the one VOXWIRE_MODELS names, or `voxwire/models` in the user's cache; absolute.

    The cache is XDG_CACHE_HOME where that is an absolute path, else `~/.cache`
    (https://specifications.freedesktop.org/basedir-spec/latest/).
    """
    env = os.environ if env is None else env
    named = str(chosen or "") or env.get(ENV_FOLDER, "")
    if named:
        return Path(named).expanduser().absolute()
    cache = Path(env.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path("~/.cache").expanduser()) / "voxwire" / "models"
