"""Turns SSML into speakable text, with its pauses, marks, styles and readings, while it is still being written.

`Ssml` stands where `markup.Markup` does for other text, and gives the same output for any split of its input. It reads
W3C SSML 1.1, or fragments of it without `speak`; inside is plain text. What is broken is read as well as can be, with a
warning that says where: a `<` or `&` that begins nothing is text, an end tag without its start is passed over.

It reads tags itself: an XML parser stops at the first error, can't be copied for a `retract`, and gives text when its
buffer pleases. Documents that are well-formed are read as expat reads them (`tests/unit/text/test_ssml.py`). A document
type declaration is passed over, and with it all entities but XML's and HTML's own: nothing expands.
"""

from __future__ import annotations

import copy
import html
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voxwire_server.speech import Reading
from voxwire_server.text import xsampa
from voxwire_server.text.controls import (
    EMPHASES,
    NAME,
    PLAIN,
    VALUE,
    Mark,
    Pause,
    Style,
    StyleChange,
    VoiceWish,
    attributes_of,
    break_seconds,
    gain_of,
    linear,
    pitch_of,
    rate_of,
)
from voxwire_server.text.speakable import CJK, EMOJI, GLUE, HARD_BREAK, INVISIBLE, SPACE, Skipped, SpeakableText

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TOKEN_CHARS_MAX = 2048
TAG_CHARS_MAX = 2048
DEPTH_MAX = 32
"""Elements within elements that are followed; what is in deeper ones is read as if their tags were not there."""
READING_CHARS_MAX = 100
"""The longest text of one `sub`, `phoneme` or `say-as`: it is never cut."""
PARAGRAPH_SECONDS = 0.4
"""The pause between two paragraphs, beside the one after a sentence."""
WARNINGS_MAX = 8
"""So many places where SSML is broken are told of each context, and so many names of unknown elements."""

_TAG = re.compile(rf"<(?P<close>/?)(?P<name>{NAME})(?P<attributes>(?:\s++{NAME}\s*+=\s*+{VALUE})*+)\s*+(?P<empty>/?)>")
_TAG_BEGUN = re.compile(
    rf"</?(?:{NAME}(?:\s++{NAME}\s*+=\s*+{VALUE})*+"
    rf"(?:\s++(?:{NAME}\s*+(?:=\s*+(?:\"[^\"<]*+|'[^'<]*+|[^\s\"'<>=/]++)?+)?+)?+)?+\s*+/?)?+"
)
_REFERENCE = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9._-]{0,30});")
_REFERENCE_BEGUN = re.compile(r"&(?:#(?:\d{0,7}|[xX][0-9a-fA-F]{0,6})|[A-Za-z][A-Za-z0-9._-]{0,30})?")
_DECLARED = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<!DOCTYPE", ">"), ("<?", "?>"))
_DECLARED_CHARS = max(len(opens) for opens, _ in _DECLARED)
_DOCTYPE_SIGN = re.compile(r"[\"'\[\]>]")
_SPECIAL = re.compile("[<&]")
_SPACE = re.compile(rf"[{SPACE}]")
_EMOJI = re.compile(rf"[{EMOJI}]")
_SILENT = re.compile(rf"[{EMOJI}{INVISIBLE}\U000e0020-\U000e007f\ufe0e\ufe0f\u20e3]")
_TOKEN_ENDS = re.compile(rf"(?s:.*)[{SPACE} {CJK}]")
_SPEAKABLE = re.compile(r"[^\W_]")
_CLOSING = frozenset(".,;:!?…)]}»”’\"'。、，！？；：」』）")  # said with the word before
_CLOSED = frozenset(".!?…:;,؟۔।،؛。！？：；，、—–-")

_TRANSPARENT = frozenset(("speak", "lang", "w", "token", "lookup"))
_MUTE = frozenset(("desc", "metadata", "meta", "lexicon"))
_ALPHABETS = {"ipa": str, "x-sampa": xsampa.ipa, "sampa": xsampa.ipa, "": str}
_UNSUPPORTED = ("range", "contour")


@dataclass(frozen=True, slots=True)
class _Element:
    """An element that is open: the style before it, and the reading of its text."""

    name: str
    style: Style
    reading: Reading | None = None


class Ssml(SpeakableText):
    """The speakable text of one utterance, growing; the interface is that of `Markup`.

    `steps` counts tags and references: a measure of work. `dialect` "cartesia" also knows that vendor's tags.
    """

    busy = False  # a slice is read at once
    line_ended = False

    def __init__(self, language: str, start: int = 0, dialect: str = "") -> None:
        super().__init__(start)
        self.steps = 0
        self._language = language
        self._dialect = dialect
        self._raw = ""  # input not decided yet
        self._start = start  # input index of _raw[0]
        self._until = ""  # what ends the comment, CDATA section, instruction or declaration that is open
        self._brackets = 0  # of a document type declaration
        self._quote = ""
        self._token = ""  # the end of the text so far, which has no space or end yet
        self._origins: list[int] = []  # of _token
        self._ends: dict[int, int] = {}  # index in _token -> end of the input, of references
        self._open: tuple[_Element, ...] = ()
        self._too_deep = 0  # open elements beyond DEPTH_MAX
        self._muted = 0  # open elements whose text is not read
        self._style = PLAIN
        self._style_due: int | None = None  # the style changes behind closing punctuation; the tag's end
        self._styled_at = -1  # output index of the last change of style or pause
        self._gap = False  # a paragraph has ended
        self._reading: list[tuple[str, int]] | None = None  # characters of the reading that is open
        self._reading_at = 0  # which of the open elements it is of
        self._told: frozenset[str] = frozenset()
        self._faults = 0

    # -- the interface of Markup -----------------------------------------------------------

    @property
    def held_chars(self) -> int:
        """Input characters not decided yet."""
        return len(self._raw) + len(self._token) + len(self._reading or ())

    @property
    def read_to(self) -> int:
        """The input index behind everything fed."""
        return self._start + len(self._raw)

    @property
    def held(self) -> str:
        """The unfinished token after `text`, or "" where nothing is known of it."""
        return self._token if not self._raw and self._reading is None and self._style_due is None else ""

    @property
    def peek(self) -> str:
        """What will follow `text` up to the first letter or digit, if that is certain and is here; else ""."""
        token = self._token
        if not token or not token[0].isalnum() or self._style_due is not None or self._gap:
            return ""
        return (self._pause or "") + token[0]

    def feed(self, piece: str) -> None:
        """Append input and decide what can be decided."""
        self._raw += piece
        self._decide(final=False)

    def finish(self) -> None:
        """Decide everything: no more input comes."""
        self._decide(final=True)
        self._end_token()
        if self._reading is not None:
            self._end_reading(self._start)
            self._reading = []
        self._change_style()

    def go_on(self) -> None:
        """Do nothing: everything fed has been decided."""

    def release(self) -> None:
        """Append the unfinished token to the output as it stands."""
        self._end_token()

    def copy(self) -> Ssml:
        """A copy with the same state, independent from now on."""
        twin = copy.copy(self)
        twin.origins, twin.tails, twin.skipped = self.origins[:], self.tails.copy(), []
        twin.controls, twin.readings = self.controls[:], self.readings[:]
        twin._origins, twin._ends = self._origins[:], self._ends.copy()
        twin._reading = None if self._reading is None else self._reading[:]
        return twin

    def next_utterance(self, start: int) -> Ssml:
        """The text of the utterance that begins at input index `start`: elements that are open go on."""
        following = Ssml(self._language, start, self._dialect)
        following._open, following._too_deep, following._muted = self._open, self._too_deep, self._muted
        following._style, following._told, following._faults = self._style, self._told, self._faults
        following._until, following._brackets, following._quote = self._until, self._brackets, self._quote
        following._reading, following._reading_at = None if self._reading is None else [], self._reading_at
        if following._style != PLAIN:
            following._control(StyleChange(following._style), start)
        return following

    # -- tokens ----------------------------------------------------------------------------

    def _decide(self, *, final: bool) -> None:
        while self._raw:
            self.steps += 1
            if self._until:
                moved = self._pass_declared()
            elif self._raw[0] == "<":
                moved = self._markup(final=final)
            elif self._raw[0] == "&":
                moved = self._reference(final=final)
            else:
                special = _SPECIAL.search(self._raw)
                self._text(self._advance(len(self._raw) if special is None else special.start()))
                moved = True
            if not moved:
                return

    def _advance(self, count: int) -> str:
        taken, self._raw = self._raw[:count], self._raw[count:]
        self._start += count
        return taken

    def _markup(self, *, final: bool) -> bool:
        """Read the tag or declaration at hand; False while it can't be told what it is."""
        raw = self._raw
        for opens, closes in _DECLARED:
            if raw.startswith(opens):
                self._declared(opens, closes)
                return True
            if not final and len(raw) < _DECLARED_CHARS and opens.startswith(raw):
                return False
        tag = _TAG.match(raw, 0, TAG_CHARS_MAX)
        if tag is not None:
            at = self._start
            self._advance(tag.end())
            self._tag(tag, at)
            return True
        begun = len(raw) < TAG_CHARS_MAX and _TAG_BEGUN.fullmatch(raw) is not None
        if begun and not final:
            return False
        if begun and len(raw) > 1:
            self._broken("a tag has no end", self._start)
            self._advance(len(raw))
            return True
        self._broken("a '<' begins no tag", self._start)
        self._text(self._advance(1))
        return True

    def _declared(self, opens: str, closes: str) -> None:
        if opens == "<!DOCTYPE":
            self._tell("doctype", "a document type declaration is not read, nor the entities in it", self._start)
            self._brackets, self._quote = 0, ""
        self._until = closes
        self._advance(len(opens))

    def _pass_declared(self) -> bool:
        """Pass over what is in a comment, instruction or declaration; of a CDATA section it is text."""
        closes = self._until
        if closes == ">":
            return self._pass_doctype()
        end = self._raw.find(closes)
        count = end if end >= 0 else len(self._raw) - _overlap(self._raw, closes)
        if closes == "]]>":
            self._text(self._advance(count))
        else:
            self._advance(count)
        if end < 0:
            return False
        self._advance(len(closes))
        self._until = ""
        return True

    def _pass_doctype(self) -> bool:
        at = 0
        while sign := _DOCTYPE_SIGN.search(self._raw, at):
            at = sign.end()
            if self._quote:
                self._quote = "" if sign[0] == self._quote else self._quote
            elif sign[0] in "\"'":
                self._quote = sign[0]
            elif sign[0] != ">":
                self._brackets += 1 if sign[0] == "[" else -1
            elif self._brackets <= 0:
                self._until = ""
                break
        self._advance(at if not self._until else len(self._raw))
        return not self._until

    def _reference(self, *, final: bool) -> bool:
        """Read the reference at hand; False while it can't be told whether it is one."""
        found = _REFERENCE.match(self._raw)
        if found is None:
            if not final and _REFERENCE_BEGUN.fullmatch(self._raw):
                return False
            self._broken("an '&' begins no reference", self._start)
            self._text(self._advance(1))
            return True
        at = self._start
        self._advance(found.end())
        plain = html.unescape(found[0])
        if plain == found[0]:
            self._broken("a reference is to an entity that is not known", at)
            return True
        self._append_token(plain, [at] * len(plain), self._start)
        return True

    def _broken(self, what: str, at: int) -> None:
        """Tell where SSML is broken."""
        self._faults += 1
        if self._faults <= WARNINGS_MAX:
            message = f"broken SSML is read as well as can be: at character {at} {what}"
            self._tell(f"broken {at}", message, at, "ssml_malformed")

    def _tell(self, key: str, message: str, at: int, code: str = "ssml_unsupported") -> None:
        """Warn of something, once in a context."""
        if key not in self._told:
            self._told |= {key}
            self.skipped.append(Skipped(message, (at, max(self._start, at + 1)), code))

    # -- text ------------------------------------------------------------------------------

    def _text(self, piece: str) -> None:
        """Take characters that were written as they are; they end where the input is read to."""
        if piece:
            self._append_token(piece, list(range(self._start - len(piece), self._start)))

    def _append_token(self, piece: str, origins: list[int], end: int | None = None) -> None:
        """Take characters of the text. With `end`, all of them were written as a reference that ends there."""
        if self._muted:
            return
        if not piece.isprintable():
            piece = _SPACE.sub(" ", piece)
        if _SILENT.search(piece):
            self._skip_emoji(piece, origins)
            kept = [i for i, char in enumerate(piece) if not _SILENT.match(char)]
            piece, origins = "".join([piece[i] for i in kept]), [origins[i] for i in kept]
        if self._reading is not None:
            self._take_reading(piece, origins)
            return
        if self._style_due is not None and piece:
            count = next((i for i, char in enumerate(piece) if char not in _CLOSING), None)
            if count is None or count:
                self._emit(piece[:count], origins[:count])
                piece, origins = piece[count or len(piece) :], origins[count or len(piece) :]
            if count is not None:
                self._change_style()
            if not piece:
                return
        self._token += piece
        self._origins += origins
        if end is not None:
            self._ends[len(self._token) - 1] = end
        whole = _TOKEN_ENDS.match(self._token)
        self._give_token(len(self._token) if len(self._token) > TOKEN_CHARS_MAX else whole.end() if whole else 0)

    def _skip_emoji(self, piece: str, origins: Sequence[int]) -> None:
        found = _EMOJI.search(piece)
        if found is not None and "emoji" not in self._told:
            self._told |= {"emoji"}
            at = origins[found.start()]
            self.skipped.append(Skipped("an emoji", (at, at + 1)))

    def _end_token(self) -> None:
        """The token at hand is whole: a tag follows, or nothing."""
        self._give_token(len(self._token))

    def _give_token(self, count: int) -> None:
        """Append the first `count` characters of the token to the output."""
        if not count:
            return
        text, origins, ends = self._token[:count], self._origins[:count], self._ends
        self._token, self._origins = self._token[count:], self._origins[count:]
        self._ends = {i - count: end for i, end in ends.items() if i >= count} if ends else {}
        if not self._gap:
            self._emit_token(text, origins, ends)
            return
        lead = len(text) - len(text.lstrip(" "))
        self._emit(text[:lead], origins[:lead])
        if lead < count:
            self._give_gap(origins[lead])
            self._emit_token(text[lead:], origins[lead:], {i - lead: end for i, end in ends.items()})

    def _emit_token(self, text: str, origins: list[int], ends: Mapping[int, int]) -> None:
        count, at = len(text), 0
        for i in [i for i in ends if 0 <= i < count]:
            self._emit(text[at : i + 1], origins[at : i + 1])
            self.tails[self.base + len(self.text) - 1] = ends[i]
            at = i + 1
        self._emit(text[at:], origins[at:])

    def _end_sentence(self, at: int) -> None:
        """A sentence or paragraph begins or ends here."""
        self._end_token()
        self._trim_spaces()
        last = self.text[-1:]
        if not last or last in (HARD_BREAK, " "):
            return
        if last not in _CLOSED and self._styled_at != self.base + len(self.text) and self._style_due is None:
            self._emit(".", (at,))
        self._change_style()
        self._emit(HARD_BREAK, (at,))

    # -- readings --------------------------------------------------------------------------

    def _take_reading(self, piece: str, origins: list[int]) -> None:
        """Take text of the element that says how it is to be read. One that is too long is read as it stands."""
        assert self._reading is not None
        room = 4 * READING_CHARS_MAX - len(self._reading)
        self._reading += zip(piece[:room], origins[:room], strict=True)
        if len(piece) > room:
            self._end_reading(origins[room])
            self._append_token(piece[room:], origins[room:])

    def _end_reading(self, end: int) -> None:
        """Append the text of the reading that is open, in one piece; `end` is where its element ends."""
        taken, self._reading = self._reading or [], None
        text, origins = _collapsed(taken)
        reading = self._open[self._reading_at].reading
        assert reading is not None
        if len(text) > READING_CHARS_MAX:
            self._tell("reading", f"text with a reading of its own may have {READING_CHARS_MAX} characters", end)
            self._append_token("".join([char for char, _ in taken]), [origin for _, origin in taken])
            return
        if not _SPEAKABLE.search(text) and reading.kind != "say-as":
            text = reading.value
            origins = [taken[0][1] if taken else end - 1] * len(text)
        if not _SPEAKABLE.search(text) or (reading.kind == "alias" and text == reading.value):
            self._append_token(text, origins)
            return
        self._change_style()
        if taken[:1] and taken[0][0] == " ":
            self._emit(" ", (taken[0][1],))
        self._give_gap(origins[0])
        at = self.base + len(self.text) + len(self._pause or "")
        self._emit(text.replace(" ", GLUE), origins)
        self.readings.append(replace(reading, start=at, end=self.base + len(self.text)))
        self.tails[self.base + len(self.text) - 1] = end
        if taken and taken[-1][0] == " ":
            self._emit(" ", (taken[-1][1],))

    def _give_gap(self, at: int) -> None:
        if self._gap:
            self._gap = False
            self._control(Pause(PARAGRAPH_SECONDS), at)

    # -- elements --------------------------------------------------------------------------

    def _tag(self, tag: re.Match[str], at: int) -> None:
        name = tag["name"].lower()
        if self._reading is None:
            self._end_token()
        if tag["close"]:
            self._close(name, at)
            return
        attributes: Mapping[str, str] = attributes_of(tag["attributes"])
        if name in ("break", "mark") or (self._dialect and name in ("speed", "volume", "emotion")):
            self._point(name, attributes)
            if tag["empty"]:
                return
            attributes = {}
        if len(self._open) >= DEPTH_MAX or self._too_deep:
            self._too_deep += 0 if tag["empty"] else 1
            self._tell("depth", f"elements within more than {DEPTH_MAX} others are not followed", at)
            return
        self._begin(name, attributes, at)
        if tag["empty"]:
            self._close(name, at)

    def _begin(self, name: str, attributes: Mapping[str, str], at: int) -> None:
        """An element opens."""
        reading = None
        style = self._style
        match name:
            case "p" | "s":
                self._end_paragraph(name, at)
                style = self._with_language(style, attributes)
            case "prosody":
                style = self._prosody(style, attributes)
            case "emphasis":
                style = self._emphasis(style, attributes)
            case "voice":
                style = self._with_language(_voice(style, attributes), attributes)
            case "sub" | "phoneme" | "say-as" | "spell":
                reading = self._reading_of(name, attributes)
            case _ if name in _TRANSPARENT:
                style = self._with_language(style, attributes)
            case "audio":
                self._tell("audio", "sounds are not played; the text of an audio element is read instead", at)
            case "break" | "mark":
                pass
            case _ if name in _MUTE:
                if name == "lexicon":
                    self._tell(name, "lexicons that SSML names are not read", at)
            case _:
                self._tell_unknown(name, at)
        self._open += (_Element(name, self._style, reading),)
        if name in _MUTE:
            self._muted += 1
        if reading is not None and self._reading is None:
            self._reading, self._reading_at = [], len(self._open) - 1
        self._set_style(style, now=True)

    def _close(self, name: str, at: int) -> None:
        """An end tag."""
        if self._too_deep:
            self._too_deep -= 1
            return
        index = max((i for i, element in enumerate(self._open) if element.name == name), default=-1)
        if index < 0:
            self._broken(f"an end tag </{name[:40]}> has no start", at)
            return
        if index < len(self._open) - 1:
            self._broken(f"</{name[:40]}> comes before the end of an element within", at)
        for element in reversed(self._open[index:]):
            if self._reading is not None and len(self._open) - 1 == self._reading_at:
                self._end_reading(self._start)
            self._open = self._open[:-1]
            if element.name in _MUTE:
                self._muted -= 1
            if element.name in ("p", "s"):
                self._end_paragraph(element.name, at)
            self._set_style(element.style, now=False)

    def _end_paragraph(self, name: str, at: int) -> None:
        if self._reading is not None:
            return
        self._end_sentence(at)
        if name == "p" and (self.text or self.base):
            self._gap = True

    def _point(self, name: str, attributes: Mapping[str, str]) -> None:
        """A break, a mark, or one of a vendor's changes of style from here on."""
        match name:
            case "break":
                seconds = break_seconds(attributes.get("time"), attributes.get("strength"))
                if seconds is None:
                    self._broken("a break has no time that is known", self._start)
                elif seconds and self._reading is None:
                    self._change_style()
                    self._gap = False
                    self._control(Pause(seconds), self._start)
                    self._styled_at = self._fixed
            case "mark":
                self._give_gap(self._start)
                self._control(Mark(attributes.get("name", "")), self._start)
            case "speed":
                rate = rate_of(attributes.get("ratio", ""), self._style.rate)
                self._set_all(rate=self._style.rate if rate is None else rate)
            case "volume":
                ratio = rate_of(attributes.get("ratio", ""), self._style.gain)
                self._set_all(gain=self._style.gain if ratio is None else min(ratio, 2.0))
            case _:
                self._tell(name, f"{name} is not followed", self._start)

    def _set_all(self, **changes: float) -> None:
        """Change the style from here on, also behind the elements that are open."""
        self._open = tuple(replace(each, style=replace(each.style, **changes)) for each in self._open)
        self._set_style(replace(self._style, **changes), now=True)

    def _set_style(self, style: Style, *, now: bool) -> None:
        """Say what follows in a style: at once, or behind punctuation that closes the word before."""
        if style == self._style:
            return
        self._style = style
        self._style_due = self._start
        if now:
            self._change_style()

    def _change_style(self) -> None:
        if self._style_due is not None:
            end, self._style_due = self._style_due, None
            self._control(StyleChange(self._style), end)
            self._styled_at = self._fixed

    # -- attributes ------------------------------------------------------------------------

    def _with_language(self, style: Style, attributes: Mapping[str, str]) -> Style:
        language = attributes.get("xml:lang", "").strip()
        return replace(style, language=language) if language else style

    def _prosody(self, style: Style, attributes: Mapping[str, str]) -> Style:
        changes: dict[str, float] = {}
        for attribute, name, value_of in (
            ("rate", "rate", rate_of),
            ("volume", "gain", gain_of),
            ("pitch", "pitch", pitch_of),
        ):
            written = attributes.get(attribute)
            if written is None:
                continue
            value = value_of(written, getattr(style, name))
            if value is None and attribute != "pitch":
                self._broken(f"prosody has a {attribute} that is not known", self._start)
            elif value is not None:
                changes[name] = value
        if "pitch" in attributes and changes.get("pitch") != style.pitch:
            self._tell("pitch", "no voice here changes its pitch: prosody's pitch is not followed", self._start)
        for attribute in _UNSUPPORTED:
            if attribute in attributes:
                self._tell(attribute, f"prosody's {attribute} is not followed", self._start)
        return replace(style, **changes) if changes else style

    def _emphasis(self, style: Style, attributes: Mapping[str, str]) -> Style:
        factors = EMPHASES.get(attributes.get("level", "moderate").strip().lower())
        if factors is None:
            self._broken("emphasis has a level that is not known", self._start)
            return style
        rate, decibels = factors
        return replace(style, rate=style.rate * rate, gain=style.gain * linear(decibels))

    def _reading_of(self, name: str, attributes: Mapping[str, str]) -> Reading | None:
        """How the text of an element is to be read; None: as it stands."""
        match name:
            case "sub" if attributes.get("alias", "").strip():
                return Reading(0, 0, "alias", " ".join(attributes["alias"].split()))
            case "phoneme" if attributes.get("ph", "").strip():
                to_ipa = _ALPHABETS.get(attributes.get("alphabet", "").strip().lower())
                if to_ipa is None:
                    alphabet = attributes["alphabet"][:40]
                    self._tell("alphabet", f"the phonetic alphabet {alphabet!r} is not known", self._start)
                    return None
                return Reading(0, 0, "ipa", to_ipa(attributes["ph"].strip()))
            case "say-as" if attributes.get("interpret-as", "").strip():
                kind = attributes["interpret-as"].strip().lower()
                detail = attributes.get("format", "") or attributes.get("detail", "")
                return Reading(0, 0, "say-as", kind, detail.strip().lower())
            case "spell" if self._dialect:
                return Reading(0, 0, "say-as", "characters")
            case "spell":
                self._tell_unknown(name, self._start)
                return None
            case _:
                self._broken(f"{name} does not say how its text is read", self._start)
                return None

    def _tell_unknown(self, name: str, at: int) -> None:
        """Warn of an element that is not known, once for each name."""
        if sum(told.startswith("element ") for told in self._told) < WARNINGS_MAX:
            self._tell(f"element {name[:40]}", f"the element {name[:40]} is not known; its text is read", at)


def _voice(style: Style, attributes: Mapping[str, str]) -> Style:
    names = tuple(attributes.get("name", "").split())[:8]
    gender = attributes.get("gender", "").strip().lower()
    languages = attributes.get("languages", attributes.get("language", "")).split()
    wish = VoiceWish(names, gender) if names or gender else style.voice
    language = languages[0].partition(":")[0] if languages else style.language
    return replace(style, voice=wish, language=language)


def _overlap(text: str, closes: str) -> int:
    """How many characters at the end of `text` may be the beginning of `closes`."""
    return next((n for n in range(min(len(closes) - 1, len(text)), 0, -1) if text.endswith(closes[:n])), 0)


def _collapsed(characters: Sequence[tuple[str, int]]) -> tuple[str, list[int]]:
    """Text with single spaces and none at its ends, and the origins of its characters."""
    kept = [each for i, each in enumerate(characters) if each[0] != " " or (i and characters[i - 1][0] != " ")]
    while kept and kept[-1][0] == " ":
        kept.pop()
    if kept and kept[0][0] == " ":
        del kept[0]
    return "".join([char for char, _ in kept]), [origin for _, origin in kept]
