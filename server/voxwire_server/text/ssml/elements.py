"""Says what each element of SSML does. docs/ssml.md tells users the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voxwire_server.speech import Reading
from voxwire_server.text.controls import (
    EMPHASES,
    Mark,
    Pause,
    Style,
    VoiceWish,
    attributes_of,
    break_seconds,
    gain_of,
    linear,
    pitch_of,
    rate_of,
)
from voxwire_server.text.ssml.output import WARNINGS_MAX, Element, SsmlOutput
from voxwire_server.text.xsampa import to_ipa

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

DEPTH_MAX = 32
"""Elements within elements that are followed; what is in deeper ones is read as if their tags were not there."""

_TRANSPARENT = frozenset(("speak", "lang", "w", "token", "lookup"))
_MUTE = frozenset(("desc", "metadata", "meta", "lexicon"))
_ALPHABETS: Mapping[str, Callable[[str], str]] = {"ipa": str, "": str, "x-sampa": to_ipa, "sampa": to_ipa}
_UNSUPPORTED = ("range", "contour")
_VENDOR_POINTS = ("speed", "volume", "emotion")
_GAIN_MAX = 2.0


class SsmlElements(SsmlOutput):
    """Follows the tags of SSML. `steps` counts tags and references: a measure of work.

    `dialect` "cartesia" also knows that vendor's tags.
    """

    def __init__(self, start: int, dialect: str) -> None:
        super().__init__(start)
        self.steps = 0
        self._dialect = dialect
        self._too_deep = 0  # open elements beyond DEPTH_MAX

    def _tag(self, tag: re.Match[str], at: int) -> None:
        name = tag["name"].lower()
        if self._reading is None:
            self._end_token()
        if tag["close"]:
            self._close(name, at)
            return
        attributes: Mapping[str, str] = attributes_of(tag["attributes"])
        if name in ("break", "mark") or (self._dialect and name in _VENDOR_POINTS):
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
                style = _with_language(style, attributes)
            case "prosody":
                style = self._prosody(style, attributes)
            case "emphasis":
                style = self._emphasis(style, attributes)
            case "voice":
                style = _with_language(_voice(style, attributes), attributes)
            case "sub" | "phoneme" | "say-as" | "spell":
                reading = self._reading_of(name, attributes)
            case _ if name in _TRANSPARENT:
                style = _with_language(style, attributes)
            case "audio":
                self._tell("audio", "sounds are not played; the text of an audio element is read instead", at)
            case "break" | "mark":
                pass
            case _ if name in _MUTE:
                if name == "lexicon":
                    self._tell(name, "lexicons that SSML names are not read", at)
            case _:
                self._tell_unknown(name, at)
        self._open += (Element(name, self._style, reading),)
        if name in _MUTE:
            self._muted += 1
        if reading is not None and self._reading is None:
            self._change_style()
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
        if name == "p" and self._said:
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
                self._set_all(self._style.rate if rate is None else rate, self._style.gain)
            case "volume":
                ratio = rate_of(attributes.get("ratio", ""), self._style.gain)
                self._set_all(self._style.rate, self._style.gain if ratio is None else min(ratio, _GAIN_MAX))
            case _:
                self._tell(name, f"{name} is not followed", self._start)

    def _prosody(self, style: Style, attributes: Mapping[str, str]) -> Style:
        rate, volume, pitch = (attributes.get(name) for name in ("rate", "volume", "pitch"))
        if rate is not None:
            style = replace(style, rate=self._known("rate", rate_of(rate, style.rate), style.rate))
        if volume is not None:
            style = replace(style, gain=self._known("volume", gain_of(volume, style.gain), style.gain))
        if pitch is not None:
            semitones = pitch_of(pitch, style.pitch)
            if semitones is None or semitones != style.pitch:
                self._tell("pitch", "no voice here changes its pitch: prosody's pitch is not followed", self._start)
            style = style if semitones is None else replace(style, pitch=semitones)
        for name in _UNSUPPORTED:
            if name in attributes:
                self._tell(name, f"prosody's {name} is not followed", self._start)
        return style

    def _known(self, attribute: str, value: float | None, current: float) -> float:
        if value is None:
            self._broken(f"prosody has a {attribute} that is not known", self._start)
        return current if value is None else value

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
                return self._phoneme(attributes)
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

    def _phoneme(self, attributes: Mapping[str, str]) -> Reading | None:
        alphabet = attributes.get("alphabet", "").strip().lower()
        to_ipa_of = _ALPHABETS.get(alphabet)
        if to_ipa_of is None:
            self._tell("alphabet", f"the phonetic alphabet {alphabet[:40]!r} is not known", self._start)
            return None
        try:
            return Reading(0, 0, "ipa", to_ipa_of(attributes["ph"].strip()))
        except ValueError as error:
            self._broken(f"a phoneme is wrong: {error}", self._start)
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


def _with_language(style: Style, attributes: Mapping[str, str]) -> Style:
    language = attributes.get("xml:lang", "").strip()
    return replace(style, language=language) if language else style
