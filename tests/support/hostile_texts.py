"""Texts that once made the server work for seconds: what a language model that repeats itself writes, and worse.

`WHOLE` are texts of `CHARS` characters, sent at once; `PIECES` are short ones, sent two thousand times.
"""

from __future__ import annotations

CHARS = 20_000

ALPHABET = ".,!?>[]()*_~`|#-&< "
"""What hypothesis makes hostile texts of."""


def repeated(piece: str, chars: int = CHARS) -> str:
    """A piece again and again, `chars` characters in all."""
    return (piece * (chars // len(piece) + 1))[:chars]


PIECES = {
    "commas": ", , , , , ",
    "full stops apart": ". . . . . ",
    "brackets": "[ [ [ [ [ ",
    "strikes": "~~ ~~ ~~ ",
    "comments": "<!-- <!-- ",
}

WHOLE = {
    name: repeated(piece)
    for name, piece in {
        "full stops": ".",
        "exclamations": "!",
        "ellipses": "…",
        "quotes": ">",
        "a dash": "a-",
        "dotted letters": "a.",
        "letters": "a",
        "digits": "1",
        "spaces": " ",
        "line ends": "\n",
        "quoted lines": "> \n",
        "backticks": "`",
        "open code": "`a ``b ",
        "fences": "```\n",
        "open fence": "```a",
        "tables": "|a|\n",
        "pipes": "|",
        "stars": "*",
        "stars apart": "* ",
        "underscores": "_a",
        "links": "[a](",
        "images": "![](",
        "closed brackets": "](",
        "parentheses": "(",
        "tags": "<a ",
        "attributes": "<a b='",
        "half tags": "<",
        "entities": "&amp",
        "ampersands": "&",
        "addresses": "a@",
        "urls": "http://",
        "domains": "a.b.",
        "slashes": "a/",
        "list items": "- ",
        "headings": "# ",
        "numbers": "1. ",
        "ranges": "0 : 0",
        "abbreviations": "Dr. ",
        "initials": "U.S. ",
        "cjk": "我",
        "cjk stops": "。",
        "emoji": "🙂",
        "joiners": "\u200d",
        "combining": "a\u0301\u0301\u0301",
        "no-break spaces": "\u00a0",
        "wide notes": "【",
        "escapes": "\\",
        "apostrophes": "'",
        "dollars": "$1",
    }.items()
} | {name + ", whole": repeated(piece) for name, piece in PIECES.items()}
