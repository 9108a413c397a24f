"""Tells which of some languages a text is in, by py3langid; it is loaded once, outside the event loop."""

from __future__ import annotations

import importlib.util
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from voxwire_server.text.scripts import scripts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

logger = logging.getLogger(__name__)

PROBABILITY_MIN = 0.8
"""Below this the language is not certain. "Restaurant Café Central Berlin" has 0.3 for the best of five languages,
sentences have 0.99."""

_PACKAGE = "py3langid"


def is_installed() -> bool:
    """Whether languages can be told apart."""
    return importlib.util.find_spec(_PACKAGE) is not None


class LanguageIdentifier:
    """Knows some languages once it is loaded. Safe for any number of threads after that."""

    def __init__(self, languages: Iterable[str]) -> None:
        """`languages` are BCP 47 tags: all that are ever spoken. Those that their script alone tells need no model."""
        primaries = {_primary(language) for language in languages}
        written = Counter(scripts_of(each)[0] for each in primaries)
        self._primaries = {each for each in primaries if shared(each) and written[scripts_of(each)[0]] > 1}
        self._model: Any = None

    def load(self) -> None:
        """Load the model: it takes 0.7 s, and 50 MB from then on. Call it on a worker.

        Raises:
            ImportError: py3langid is not installed.
        """
        if not self._primaries:
            return
        from py3langid.langid import MODEL_FILE
        from py3langid.langid import LanguageIdentifier as Model

        began = time.monotonic()
        model = Model.from_model_file(MODEL_FILE, norm_probs=True)
        model.set_languages(sorted(self._primaries & set(model.labels)))
        # The whole model is kept beside the languages asked for, and is most of the memory.
        model._full_model = model.nb_ptc, model.nb_pc, model.nb_classes
        model.rank("The first text takes longer.")
        self._model = model
        logger.info("language identification is loaded after %.1f s", time.monotonic() - began)

    def identify(self, text: str, candidates: Sequence[str]) -> str | None:
        """The one of `candidates` (tags) that `text` is in; None where that is not certain, or nothing is loaded.

        Takes about a microsecond a character; of several tags of one language the first is given.
        """
        tags: dict[str, str] = {}
        for candidate in candidates:
            tags.setdefault(_primary(candidate), candidate)
        if len(tags) < 2:
            return next(iter(tags.values()), None)
        if self._model is None:
            return None
        scores = {language: score for language, score in self._model.rank(text) if language in tags}
        total = sum(scores.values())
        best = max(scores, key=scores.__getitem__, default=None)
        if best is None or not total or scores[best] < PROBABILITY_MIN * total:
            return None
        return tags[best]


def shared(language: str) -> bool:
    """Whether the script of a language leaves open which one it is: kana tell Japanese from Chinese."""
    return scripts_of(language)[0] != "han"


def _primary(language: str) -> str:
    return language.lower().partition("-")[0]
