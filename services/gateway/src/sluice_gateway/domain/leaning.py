"""Whether a question leans on the turns before it. Pure."""

import re

#: Openings of a question that goes on from the last one.
_GOES_ON = re.compile(
    r"^\W*(?:and|but|or|so|then|also|what about|how about|what else|why|why not|how come|ok(?:ay)?|more|go on)\b",
    re.I,
)
#: Words that stand for something said before.
_POINTS_BACK = re.compile(
    r"\b(?:it|its|they|them|their|theirs|this|that|these|those|he|she|him|his|her|hers|ones|former|latter)\b",
    re.I,
)
_WORD = re.compile(r"\w+")

#: A longer question says itself what it is about.
_MOST_WORDS = 16
#: A shorter one never does.
_FEWEST_WORDS = 3


def leans(question: str) -> bool:
    """True where a question cannot be understood without earlier ones, as far as its words tell."""
    words = len(_WORD.findall(question))
    if words > _MOST_WORDS:
        return False
    return words < _FEWEST_WORDS or bool(_GOES_ON.search(question) or _POINTS_BACK.search(question))
