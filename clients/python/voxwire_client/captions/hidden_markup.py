"""Hides what is written in a text and never said from its captions: the tags of SSML, pauses in other text. Pure."""

from __future__ import annotations

import html
import re

HIDDEN = "\0"
"""Stands for each character that is not shown, so that all others keep their places."""

TAG_CHARS_MAX = 2048

_ATTRIBUTES = r"(?:[^<>\"']|\"[^\"<]*\"|'[^'<]*')*"
_SSML = re.compile(
    rf"<!--.*?-->|<!\[CDATA\[|\]\]>|<\?.*?\?>|</?[A-Za-z_]{_ATTRIBUTES}>"
    r"|&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]\w{0,30});",
    re.DOTALL,
)
_PAUSES = re.compile(r"</?break\b[^<>]*>|\[pause:\s{0,4}[\d.]{1,8}\s{0,4}m?s\s{0,4}\]", re.IGNORECASE)
_BEGUN = re.compile(
    r"<!--(?:(?!-->).)*\Z|<(?!!--)(?:[^<>\"']|\"[^\"<]*(?:\"|\Z)|'[^'<]*(?:'|\Z))*\Z|&#?\w{0,30}\Z|\[[^\[\]]*\Z",
    re.DOTALL,
)
_BETWEEN_SPACES = re.compile(rf"\s{HIDDEN}+(?=\s)")


class HiddenMarkup:
    """One text, as it grows, with its markup hidden."""

    def __init__(self, *, ssml: bool) -> None:
        self._markup = _SSML if ssml else _PAUSES
        self._known = self._shown = ""
        """The text up to the last place where it is known what is hidden: as it stands, and with that hidden."""

    def hide(self, text: str) -> str:
        """`text` with HIDDEN in place of what is not shown; as long as it."""
        if not text.startswith(self._known):
            self._known = self._shown = ""
        at = len(self._known)
        new = text[at:]
        begun = _BEGUN.search(new, max(0, len(new) - TAG_CHARS_MAX))
        known = len(new) if begun is None else begun.start()
        self._known += new[:known]
        self._shown += self._markup.sub(_hidden, new[:known])
        return self._shown + new[known:]


def shown(text: str, before: str = "") -> str:
    """Without what is hidden, nor the second of two spaces around it; `before` is the character before the text."""
    if HIDDEN not in text:
        return text
    visible = _BETWEEN_SPACES.sub("", text).replace(HIDDEN, "")
    return visible.lstrip() if text[0] == HIDDEN and before.isspace() else visible


def _hidden(found: re.Match[str]) -> str:
    plain = html.unescape(found[0]) if found[0][0] == "&" else ""
    kept = plain if len(plain) == 1 else ""
    return kept + HIDDEN * (len(found[0]) - len(kept))
