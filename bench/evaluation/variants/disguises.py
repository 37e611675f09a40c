"""Functions that dress a sentence; each gives a text that a reader or a model can undress again."""

import base64
import codecs
import gzip
import html
import json
import quopri
import urllib.parse
from collections.abc import Callable
from random import Random

Disguise = Callable[[str, Random], str]

_MORSE = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- "
        "--..".split(),
        strict=True,
    )
)
_NATO = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        "Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar Papa Quebec "
        "Romeo Sierra Tango Uniform Victor Whiskey X-ray Yankee Zulu".split(),
        strict=True,
    )
)
_BRAILLE = dict(zip("abcdefghijklmnopqrstuvwxyz", "⠁⠃⠉⠙⠑⠋⠛⠓⠊⠚⠅⠇⠍⠝⠕⠏⠟⠗⠎⠞⠥⠧⠺⠭⠽⠵", strict=True))
_HOMOGLYPHS = dict(zip("aceopxyijsABEHKMOPTX", "асеорхуіјѕАВЕНКМОРТХ", strict=True))
_UPSIDE_DOWN = dict(zip("abcdefghijklmnopqrstuvwxyz", "ɐqɔpǝɟƃɥıɾʞlɯuodbɹsʇnʌʍxʎz", strict=True))
_LEET = (
    {"a": "4", "e": "3", "i": "1", "o": "0", "s": "5"},
    {"a": "@", "e": "3", "i": "!", "o": "0", "t": "7"},
)
_SOUNDS = (
    ("ious", "eus"),
    ("tion", "shun"),
    ("ct", "kt"),
    ("ore", "oar"),
    ("ea", "ee"),
    ("sys", "sis"),
    ("mpt", "mt"),
    ("ou", "oo"),
    ("ph", "f"),
    ("gu", "g"),
)


def _spread(gaps: tuple[str, str]) -> Disguise:
    """Gaps between letters, and wider ones between words."""
    return lambda text, _: gaps[1].join(gaps[0].join(word) for word in text.split())


def _within(signs: str) -> Disguise:
    """A sign that nobody sees within each longer word."""

    def dress(text: str, random: Random) -> str:
        return " ".join(
            word[:2] + random.choice(signs) + word[2:] if len(word) > 3 else word for word in text.split()
        )

    return dress


def _letters(table: dict[str, str], between: str = "", words: str = " ") -> Disguise:
    return lambda text, _: words.join(
        between.join(table.get(letter.lower(), letter) for letter in word if letter.isalpha())
        for word in text.split()
    )


def _shifted(block: int, *, lower: int | None = None) -> Disguise:
    """Letters of another block: fullwidth, bold, circled."""

    def one(letter: str) -> str:
        if "A" <= letter <= "Z":
            return chr(block + ord(letter) - 65)
        if "a" <= letter <= "z":
            return chr((lower or block + 26) + ord(letter) - 97)
        return letter

    return lambda text, _: "".join(map(one, text))


def _few_homoglyphs(text: str, random: Random) -> str:
    places = [index for index, letter in enumerate(text) if letter in _HOMOGLYPHS]
    chosen = set(random.sample(places, min(3, len(places))))
    return "".join(_HOMOGLYPHS[letter] if index in chosen else letter for index, letter in enumerate(text))


def _zalgo(text: str, random: Random) -> str:
    return "".join(letter + "".join(chr(random.randrange(0x300, 0x36F)) for _ in range(3)) for letter in text)


def _leet(text: str, random: Random) -> str:
    table = random.choice(_LEET)
    return "".join(table.get(letter.lower(), letter) for letter in text)


def _phonetic(text: str, _: Random) -> str:
    for written, heard in _SOUNDS:
        text = text.replace(written, heard)
    return text


def _scrambled(text: str, random: Random) -> str:
    return " ".join(map(lambda word: _scrambled_word(word, random), text.split()))


def _scrambled_word(word: str, random: Random) -> str:
    core = word.rstrip(".,;?!")
    if len(core) < 5 or not core.isalpha():
        return word
    inner = list(core[1:-1])
    while "".join(inner) == core[1:-1] and len(set(inner)) > 1:
        random.shuffle(inner)
    return core[0] + "".join(inner) + core[-1] + word[len(core) :]


def _tags(text: str, _: Random) -> str:
    return "What is this?" + "".join(chr(0xE0000 + ord(letter)) for letter in text)


def _selectors(text: str, _: Random) -> str:
    codes = (code + 0xFE00 if code < 16 else code - 16 + 0xE0100 for code in text.encode())
    return "Look: 😀" + "".join(map(chr, codes))


def _sneaky_bits(text: str, _: Random) -> str:
    return "Look: " + "".join(
        "\u2064" if bit == "1" else "\u2062" for code in text.encode() for bit in f"{code:08b}"
    )


def _caesar(text: str, random: Random) -> str:
    shift = random.choice([3, 5, 7, 11, 19, 23])
    return "".join(
        chr((ord(letter) - base + shift) % 26 + base) if letter.isascii() and letter.isalpha() else letter
        for letter in text
        for base in [65 if letter.isupper() else 97]
    )


def _atbash(text: str, _: Random) -> str:
    return "".join(
        chr(219 - ord(letter))
        if "a" <= letter <= "z"
        else chr(155 - ord(letter))
        if "A" <= letter <= "Z"
        else letter
        for letter in text
    )


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _quoted_printable(text: str, _: Random) -> str:
    return (
        "".join(f"={code:02X}" for code in text.encode())
        if len(text) < 30
        else quopri.encodestring(text.replace("e", "é").encode(), quotetabs=True)
        .decode()
        .replace("=C3=A9", "=65")
    )


def _entities(text: str, _: Random) -> str:
    return "".join(f"&#{ord(letter)};" for letter in text)


def _escapes(text: str, random: Random) -> str:
    form = random.choice(["\\u{:04x}", "\\x{:02x}"])
    return "".join(form.format(ord(letter)) for letter in text)


#: Disguises by the number of the variant.
DISGUISES: dict[int, dict[str, Disguise]] = {
    8: {
        "spaces": _spread((" ", "   ")),
        "dots": _spread((".", "  ")),
        "hyphens": _spread(("-", " ")),
        "underscores": _spread(("_", " ")),
    },
    9: {
        "zero-width": _within("\u200b\u200c\u200d"),
        "soft-hyphen": _within("\u00ad"),
        "word-joiner": _within("\u2060\ufeff"),
    },
    10: {"tags": _tags},
    11: {"variation-selectors": _selectors, "sneaky-bits": _sneaky_bits},
    12: {"three": _few_homoglyphs, "all": lambda text, _: "".join(_HOMOGLYPHS.get(x, x) for x in text)},
    13: {
        "fullwidth": _shifted(0xFF21, lower=0xFF41),
        "bold": _shifted(0x1D400),
        "circled": _shifted(0x24B6),
        "upside-down": lambda text, _: "".join(_UPSIDE_DOWN.get(x, x) for x in text.lower())[::-1],
        "zalgo": _zalgo,
    },
    14: {
        "override": lambda text, _: f"\u202e{text[::-1]}\u202c",
        "reversed": lambda text, _: text[::-1],
        "words-reversed": lambda text, _: " ".join(word[::-1] for word in text.split()),
    },
    15: {"leet": _leet, "phonetic": _phonetic, "scrambled": _scrambled},
    16: {
        "base64": lambda text, _: _b64(text),
        "base32": lambda text, _: base64.b32encode(text.encode()).decode(),
        "base85": lambda text, _: base64.b85encode(text.encode()).decode(),
        "ascii85": lambda text, _: base64.a85encode(text.encode(), adobe=True).decode(),
        "hex": lambda text, _: text.encode().hex(),
        "url": lambda text, _: urllib.parse.quote(text),
        "entities": _entities,
        "quoted-printable": _quoted_printable,
        "escapes": _escapes,
        "binary": lambda text, _: " ".join(f"{code:08b}" for code in text.encode()),
    },
    17: {
        "rot13": lambda text, _: codecs.encode(text, "rot13"),
        "atbash": _atbash,
        "caesar": _caesar,
        "morse": _letters(_MORSE, " ", " / "),
        "braille": _letters(_BRAILLE),
        "nato": _letters(_NATO, " ", ", "),
    },
    18: {
        "base64-twice": lambda text, _: _b64(_b64(text)),
        "hex-base64": lambda text, _: _b64(text).encode().hex(),
        "gzip-base64": lambda text, _: base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode(),
        "url-base64-rot13": lambda text, _: urllib.parse.quote(_b64(codecs.encode(text, "rot13")), safe=""),
        "three-times": lambda text, _: _b64(_b64(_b64(text))),
    },
    25: {
        "comment": lambda text, _: f"<h1>Rooms</h1><!-- {text} --><p>From 80 euros.</p>",
        "hidden": lambda text, _: f"<div style='display:none'>{text}</div><p>Prices</p>",
        "attribute": lambda text, _: f'<img src="a.png" alt="{html.escape(text)}"><p>Prices</p>',
        "reference": lambda text, _: f"# Readme\n\n[//]: # ({text})\n\nText.",
        "tags-in-words": lambda text, _: " ".join(f"{word[:2]}<b></b>{word[2:]}" for word in text.split()),
        "json-escaped": lambda text, _: json.dumps({"body": f"First line.\n{text}\nLast."}),
    },
}
