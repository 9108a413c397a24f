"""Spanish, French, Italian, Portuguese and Hindi read aloud: one engine, and the tables of each language."""

from __future__ import annotations

import importlib

from voxwire_server.text.reading.european.engine import EuropeanNormaliser

__all__ = ["LANGUAGES", "normaliser"]

LANGUAGES = {"es": "spanish", "fr": "french", "it": "italian", "pt": "portuguese", "hi": "hindi"}
"""BCP 47 tags, and the module that has the tables; Portuguese is that of Brazil."""


def normaliser(language: str) -> EuropeanNormaliser:
    """The normaliser of one of `LANGUAGES`.

    Raises:
        ImportError: num2words is not installed, and the language needs it.
    """
    return EuropeanNormaliser(importlib.import_module(f"{__name__}.{LANGUAGES[language]}").LANGUAGE)
