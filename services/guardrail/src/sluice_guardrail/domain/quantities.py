"""Numbers in one spelling, and the units they are given in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

#: Words for numbers; the small ones also stand for no number at all, as in "one of them".
_OTHERS = (
    "zwei deux dos due twee",
    "drei trois tres tre drie",
    "vier quatre cuatro quattro",
    "fünf cinq cinco cinque vijf",
    "sechs seis sei zes",
    "sieben sept siete sette zeven",
    "acht huit ocho otto",
    "neun neuf nueve nove negen",
    "zehn dix diez dieci tien",
    "elf onze once undici",
    "zwölf douze doce dodici twaalf",
)
WORTH = (
    {word: str(value) for value, words in enumerate(_OTHERS, 2) for word in words.split()}
    | {
        word: str(value)
        for value, word in enumerate(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
            " seventeen eighteen nineteen".split()
        )
    }
    | {
        word: str(value * 10)
        for value, word in enumerate(
            "twenty thirty forty fifty sixty seventy eighty ninety hundred".split(), 2
        )
    }
)
_SCALES = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12, "mio": 6, "mrd": 9, "millionen": 6}

_UNITS = {
    "second": "s sec secs second seconds sekunde sekunden",
    "millisecond": "ms millisecond milliseconds",
    "minute": "min mins minute minutes minuten",
    "hour": "h hr hrs hour hours stunde stunden heure heures",
    "day": "day days tag tage tagen jour jours",
    "week": "week weeks wk wks woche wochen",
    "month": "month months monat monate monaten mois",
    "year": "year years yr yrs jahr jahre jahren",
    "percent": "% percent percentage prozent",
    "gram": "g gram grams gramm",
    "kilogram": "kg kilogram kilograms kilo kilos",
    "milligram": "mg milligram milligrams",
    "microgram": "µg μg ug mcg microgram micrograms",
    "tonne": "tonne tonnes ton tons",
    "pound": "lb lbs",
    "millimetre": "mm millimetre millimetres millimeter millimeters",
    "centimetre": "cm centimetre centimetres centimeter centimeters",
    "metre": "metre metres meter meters",
    "kilometre": "km kilometre kilometres kilometer kilometers",
    "mile": "mile miles mi",
    "foot": "ft foot feet",
    "inch": "inch inches",
    "litre": "l litre litres liter liters",
    "millilitre": "ml millilitre millilitres milliliter milliliters",
    "celsius": "°c celsius",
    "fahrenheit": "°f fahrenheit",
    "bar": "bar",
    "volt": "v volt volts",
    "watt": "w watt watts",
    "kilowatt": "kw kilowatt kilowatts",
    "megabyte": "mb megabyte megabytes",
    "gigabyte": "gb gigabyte gigabytes",
    "kilobyte": "kb kilobyte kilobytes",
    "hertz": "hz hertz",
    "euro": "€ eur euro euros",
    "dollar": "$ usd dollar dollars",
    "sterling": "£ gbp pounds",
}
#: Spellings of units, and what they are a spelling of.
UNITS = {spelling: unit for unit, spellings in _UNITS.items() for spelling in spellings.split()}
_CURRENCY = frozenset("€$£")
_POINTS = re.compile(r"\d{1,3}(?:\.\d{3})+")
_NEXT = re.compile(r"[\s-]{0,2}(?P<word>%|€|\$|£|°\s?[CFcf]\b|[^\W\d_]+)")
#: Longer numbers are compared digit by digit only.
_LONGEST = 24
_HEDGES = frozenset(
    "about around approximately approx roughly nearly almost over under circa ca some ~ etwa rund fast gut".split()
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number as a text gives it."""

    value: str
    """In one spelling: `1,000.50` is `1000.5`."""
    unit: str = ""
    """Empty where none is known."""
    scaled: str = ""
    """What else it may be: `1.5 million` is `1500000` too, and `1.250` may be `1250`."""
    rough: bool = False
    """`about`, `nearly` and the like stand before it."""


def quantity(number: str, behind: str, before: Sequence[str], after: str) -> Quantity:
    """The quantity of a number.

    Args:
        behind: Letters written right behind the number.
        before: The words before it, in lower case.
        after: The text after both.
    """
    value = plain_number(number)
    rough = not _HEDGES.isdisjoint(before[-2:]) or tuple(before[-2:]) in {("more", "than"), ("less", "than")}
    unit = UNITS.get(behind, "")
    following = _NEXT.match(after) if not behind else None
    word = following["word"].lower().replace(" ", "") if following else ""
    scaled = _scaled(value, _SCALES[word]) if word in _SCALES else ""
    if _POINTS.fullmatch(number):
        scaled = number.replace(".", "")
    unit = unit or UNITS.get(word, "")
    if not unit and before and before[-1] in _CURRENCY:
        unit = UNITS[before[-1]]
    return Quantity(value, unit, scaled, rough)


def plain_number(number: str) -> str:
    """A number without thousands separators and trailing zeros."""
    plain = re.sub(r"[,](?=\d{3}(?:\D|$))", "", number).rstrip(".,:")
    plain = plain.rstrip("0").rstrip(".") if "." in plain and plain.count(".") == 1 else plain
    return plain.lstrip("0") or "0" if plain.isdigit() else plain


def is_rounded(value: str, exact: str, *, rough: bool) -> bool:
    """True where a number is another one with fewer digits, or near to it where it is said to be rough."""
    if max(len(value), len(exact)) > _LONGEST:
        return False
    try:
        given, other = float(value), float(exact)
    except ValueError:
        return False
    if rough:
        return abs(given - other) <= 0.1 * abs(other)
    places = len(value.partition(".")[2])
    return len(exact.partition(".")[2]) > places and abs(given - other) <= 0.5 * 10**-places


def _scaled(value: str, power: int) -> str:
    whole, _, fraction = value.partition(".")
    if not whole.isdigit() or (fraction and not fraction.isdigit()):
        return ""
    digits = whole + fraction.ljust(power, "0")[:power] if len(fraction) <= power else ""
    return digits.lstrip("0") or "0" if digits else ""
