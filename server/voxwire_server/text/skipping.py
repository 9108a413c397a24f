"""Which tags hold what a model does not mean to be heard: its reasoning, its calls of tools. Names are configurable.

`<think>…</think>`, `[THINK]…[/THINK]` and `◁think▷…◁/think▷`, in whatever case.
"""

from __future__ import annotations

import functools
import re

SKIPPED_NAMES = ("think", "thinking", "reasoning", "scratchpad", "tool_call", "function_calls")
"""What is skipped by default."""

_ATTRIBUTES_CHARS_MAX = 100
_BEGUN_CHARS_MAX = 140


class Skipping:
    """The tags of some names. `tag` matches one that opens (its name is a group) or closes such a block."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._any = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True)) or r"(?!)"
        attributes = rf"(?:\s[^<>\n]{{0,{_ATTRIBUTES_CHARS_MAX}}})?"
        self.tag = re.compile(
            rf"<(?P<tag>{self._any}){attributes}>|\[(?P<square>{self._any})\]|◁(?P<triangle>{self._any})▷"
            rf"|</(?:{self._any})\s?>|\[/(?:{self._any})\]|◁/(?:{self._any})▷",
            re.IGNORECASE,
        )
        self._begun = re.compile(
            rf"</?(?P<tag>[a-z][\w-]*)(?P<attributes>\s[^<>\n]{{0,{_ATTRIBUTES_CHARS_MAX}}})?|[\[◁]/?(?P<other>[a-z][\w-]*)[\]▷]?"
            r"|[<\[◁]/?",
            re.IGNORECASE,
        )
        self.closer_chars = max((len(name) for name in names), default=0) + 4
        """The longest closing tag."""
        self._closers: dict[str, re.Pattern[str]] = {}

    def may_begin(self, text: str, at: int) -> bool:
        """Whether `text[at:]` may go on as one of the tags."""
        if len(text) - at > _BEGUN_CHARS_MAX:
            return False
        found = self._begun.fullmatch(text, at)
        if found is None:
            return False
        name = (found["tag"] or found["other"] or "").lower()
        if found["attributes"]:
            return name in self._names
        return any(each.startswith(name) for each in self._names)

    def closer(self, name: str) -> re.Pattern[str]:
        """What ends a block of this name."""
        if name not in self._closers:
            escaped = re.escape(name)
            self._closers[name] = re.compile(rf"</{escaped}\s?>|\[/{escaped}\]|◁/{escaped}▷", re.IGNORECASE)
        return self._closers[name]


@functools.lru_cache(maxsize=64)
def skipping(names: tuple[str, ...]) -> Skipping:
    """The tags of `names`, compiled once."""
    return Skipping(tuple(name.lower() for name in names))
