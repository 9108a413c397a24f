"""Checksums as registries write them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a file's content must digest to: an algorithm of `hashlib` and hexadecimal digits."""

    algorithm: str
    digits: str

    @classmethod
    def sha256(cls, digits: str) -> Checksum:
        """As PyPI, git-lfs and `sha256sum` write it."""
        return cls("sha256", digits.lower())

    @classmethod
    def integrity(cls, text: str) -> Checksum | None:
        """As npm writes it: the sha512 of a Subresource Integrity string (https://www.w3.org/TR/SRI/), or None."""
        for each in text.split():
            algorithm, _, encoded = each.partition("-")
            if algorithm == "sha512":
                try:
                    return cls(algorithm, base64.b64decode(encoded.partition("?")[0], validate=True).hex())
                except binascii.Error:
                    return None
        return None
