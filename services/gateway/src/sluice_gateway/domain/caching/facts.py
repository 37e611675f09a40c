"""Whether two questions ask for the same facts, by their words. Pure.

Vectors are near where the topic is the same: `kiln 3` and `kiln 4`, `with` and `without`, `from A to B` and `from B to
A` differ by less than two wordings of one question do. So words have the last say: whatever names, counts, denies,
limits or relates must be in both questions, in the same order; of content words only such as say the same may differ.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sluice_lexical.words import terms

_NUMBERS = {
    word: str(number)
    for number, words in enumerate(
        """
        zero|null;one|first|once|single;two|second|twice|double|both;three|third|thrice;four|fourth;five|fifth;six|sixth;
        seven|seventh;eight|eighth;nine|ninth;ten|tenth;eleven|eleventh;twelve|twelfth
        """.replace("\n", "").split(";")
    )
    for word in words.strip().split("|")
}

_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")

_WORD = re.compile(r"\w+(?:['’]\w+)?")

#: What is quoted, written as code, or looks like a name of a file, option, product or person. A word that only starts a
#: sentence does not count.
_NAME = re.compile(
    r"`[^`]+`|\"[^\"]+\"|“[^”]+”|«[^»]+»|(?<!\w)'[^']+'(?!\w)"
    r"|\w*\d\w*|\w+(?:[./_@:\\-]\w+)+|--?\w[\w-]*"
    r"|\b[A-ZÀ-Þ]{2,}\b|\b\w+[a-z][A-Z]\w*\b|(?<=[^.!?:\s]\s)[A-ZÀ-Þ]\w+"
)

#: Denials and limits, in the languages whose questions the gateway reads.
_DENIES = frozenset(
    """
    not no non nor never none neither nothing nobody without except excluding unless only cannot fail fails failed
    nicht kein keine keinen keiner nie niemals ohne außer nur weder pas sans jamais sauf aucun aucune ni rien
    sin nunca excepto salvo solo ningún ninguna senza mai nessun tranne não sem exceto apenas niet geen nooit zonder
    behalve alleen
    """.split()
)

#: How things stand to each other, whose they are, and when. To `terms` most of them are no content words.
_RELATES = frozenset(
    """
    on off in out up down before after above below over under more less most least than all every any some many few
    from to into onto until since within between during again always sometimes often rarely by with for against or
    he she they him her them his their was were did had this that these those
    first last next previous min max minimum maximum least
    must should may might will would can could
    """.split()
)

#: What is asked for.
_KIND = re.compile(
    r"\b(?:who(?:se|m)?|when|where|why|how (?:much|many|long|often|far|old|big|large|fast|soon|late|early|high|deep))\b"
)

#: Ask for anything; without one of them either, a question asks for yes or no.
_ANYTHING = re.compile(r"\b(?:what|which|how)\b")

#: Openings that ask nothing themselves, whose words would else count as relations.
_OPENS = re.compile(
    r"\b(?:(?:can|could|would|will) you (?:please )?(?:tell|show|explain)(?: (?:to )?me)?"
    r"|(?:is|what is) the way to|how to|how (?:can|could|might))\b"
)

#: Words that add nothing to a question.
_EMPTY = frozenset(
    terms(
        "way ways possible able need want like know question exactly actually just help here there also ok hi hello"
        " thanks thank kindly anyone someone people one does go let me find look see say says said"
    )
)

_SYNONYMS = (
    "delete remove erase",
    "change modify edit alter",
    "begin start launch",
    "end finish",
    "show display view",
    "create make",
    "configure set setup",
    "permit allow allowed permitted",
    "buy purchase",
    "price cost costs",
    "big large",
    "fix repair",
    "fast quick",
    "error fault",
    "required necessary mandatory",
    "folder directory",
    "take last",
)

_SAME = {stem: group.split()[0] for group in _SYNONYMS for stem in terms(group)}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a question names, counts, denies, relates, asks for, and speaks of. Where two questions' facts are equal,
    nothing in their words says that they differ."""

    numbers: tuple[str, ...]
    names: tuple[str, ...]
    denials: int
    relations: tuple[str, ...]
    kinds: frozenset[str]
    content: tuple[str, ...]


#: A longer question is seldom asked again in other words.
_MOST_CHARACTERS = 1000


def facts(question: str) -> Facts | None:
    """Reads a question; None where its words tell too little, or are too many, to compare it by."""
    if len(question) > _MOST_CHARACTERS:
        return None
    asked = _OPENS.sub(" ", question.lower())
    words = [word.replace("’", "'") for word in _WORD.findall(asked)]
    relations = tuple(word for word in words if word in _RELATES)
    content = [_SAME.get(term, term) for term in terms(_KIND.sub(" ", asked)) if term not in _EMPTY]
    if not content:
        return None
    return Facts(
        numbers=tuple(_numbers(words)),
        names=tuple(name.strip("`\"“”«»'").lower() for name in _NAME.findall(question)),
        denials=sum(word in _DENIES or word.endswith("n't") for word in words),
        relations=relations,
        kinds=frozenset(_KIND.findall(asked)) or frozenset(_ANYTHING.findall(question.lower()) and ["what"]),
        # Where something leads from one thing to another, the order says which. Else a part may stand in front.
        content=tuple(content) if _leads(relations) else _turned(content),
    )


def _turned(words: list[str]) -> tuple[str, ...]:
    """The same for every rotation of the words: `in the office, how late …` and `how late … in the office`."""
    return min((tuple(words[start:] + words[:start]) for start in range(len(words))), default=())


def _leads(relations: Iterable[str]) -> bool:
    return not {"from", "to", "into", "before", "after", "over", "under", "than", "between"}.isdisjoint(
        relations
    )


def _numbers(words: list[str]) -> Iterable[str]:
    for word in words:
        if word in _NUMBERS:
            yield _NUMBERS[word]
        elif _NUMBER.search(word):
            yield word
