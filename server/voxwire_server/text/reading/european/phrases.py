"""How amounts, dates, telephone numbers, addresses and letters are said in one language. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voxwire_server.text.reading.european import numbers
from voxwire_server.text.reading.european.numbers import Number, ascii_digits

if TYPE_CHECKING:
    from voxwire_server.text.reading.european.language import Currency, Language, Noun


class Phrases:
    """What is said, by the tables of one language."""

    def __init__(self, language: Language) -> None:
        self._language = language

    def counted(self, number: Number, noun: Noun) -> str:
        """A number of something: "one hour"."""
        said = numbers.say(number, self._language, noun.gender if number.is_count else "")
        one = number.n < 2 if self._language.singular_below_two else number.is_count and number.n == 1
        return f"{said} {noun.one if one else noun.many}".replace("' ", "'")

    def amount(self, number: Number, currency: Currency) -> str:
        """A number of a currency, with its hundredth parts."""
        language = self._language
        if not number.mark or number.parts or number.is_digits or len(number.decimals) > 2:
            millions = number.is_count and number.n and number.n % 1_000_000 == 0 and not language.point_is_decimal
            said = numbers.say(number, language)
            return f"{said} {language.of(currency.whole.many)}" if millions else self.counted(number, currency.whole)
        parts = int(number.decimals.ljust(2, "0"))
        if not parts:
            return self.amount(Number(number.whole, grouped=True), currency)
        whole = self.counted(Number(number.whole, grouped=True), currency.whole)
        cents = self.counted(Number(str(parts)), currency.part)
        return f"{whole}{language.and_cents}{cents}" if number.n else cents

    def scaled(self, number: Number, scale: str, currency: Currency) -> str:
        """A number of thousands or millions of a currency."""
        language = self._language
        value = language.scale_values.get(scale)
        if value is not None and number.is_count:
            return self.amount(Number(str(number.n * value), grouped=True), currency)
        name = language.scales[scale]
        said = self.counted(number, name)
        return f"{said} {currency.whole.many if value is not None else language.of(currency.whole.many)}"

    def fraction(self, a: int, b: int) -> str:
        """`a` / `b`."""
        language = self._language
        if (a, b) == (24, 7):
            return f"{language.cardinal(a, '')} {language.cardinal(b, '')}"
        return language.fraction(a, b)

    def date(self, day: int, month: int, year: int) -> str | None:
        """A day of a month of a year; None if there is no such day."""
        return self._language.date(day, month, year) if 0 < day < 32 and 0 < month < 13 else None

    def some_date(self, day: int, month: int, year: int) -> str | None:
        """A date that lacks parts: a day or month of 0, a year of -1."""
        return self._language.date(day, month, year) or None

    def phone(self, written: str) -> str:
        """A telephone number, by its groups."""
        language = self._language
        groups = re.findall(r"\d+", ascii_digits(written))
        country = written[0] == "+"
        if len(groups) == 1 or (country and len(groups) == 2):
            groups = [*groups[:-1], *self._language.phone_groups(groups[-1])]
        said = [
            numbers.integer(group, language)
            if (country and i == 0) or (language.phone_pairs and len(group) < 3)
            else numbers.digits(group, language)
            for i, group in enumerate(groups)
        ]
        return f"{language.plus} " * country + ", ".join(said)

    def chain(self, written: str) -> str:
        """Groups of digits with hyphens between, digit by digit."""
        return ", ".join(numbers.digits(group, self._language) for group in re.split("[-./ ]", written))

    def characters(self, text: str) -> str:
        """Each letter, digit and sign by its name."""
        language = self._language
        said = []
        for character in text:
            if character.isdecimal():
                said.append(language.cardinal(int(character), ""))
            elif character.isspace():
                continue
            else:
                known = language.letters.get(character.lower()) or language.signs.get(character)
                said.append(known or language.address_signs.get(character) or character)
        return " ".join(said)

    def spell(self, word: str) -> str:
        """The names of the letters of a word."""
        return " ".join(self._language.letters.get(letter.lower(), letter) for letter in word)

    def address(self, written: str) -> str:
        """An e-mail address or the host and path of a URL."""
        host = re.sub(r"^(?:https?://)?(?:www\.)?", "", written)
        said = re.sub(r"\d+|[^\w]|_", lambda found: f" {self._address_part(found[0])} ", host.rstrip("/"))
        return " ".join(said.split()) or self._language.point

    def _address_part(self, part: str) -> str:
        language = self._language
        if part[0].isdecimal():
            return numbers.integer(part, language)
        known = {".": language.point, "@": language.at} | dict(language.address_signs) | {"&": language.signs["&"]}
        return known.get(part) or language.signs.get(part) or " "
