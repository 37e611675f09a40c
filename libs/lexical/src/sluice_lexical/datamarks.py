"""Datamarked text: words of untrusted text joined by a sign, so that a model sees what is data (arXiv 2403.14720).

The guardrail marks, the prompt says what the sign means, and what quotes or compares texts reads past it.
"""

import re

#: Stands in no ordinary text: the modifier letter circumflex.
SIGN = "\u02c6"
#: Blanks, and the places between characters of scripts that have none.
_BETWEEN = re.compile(
    r"\s+|(?<=[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff])(?=[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff])"
)

#: What stands where a part of a text was left out.
OMISSION = "[…]"


def marked(text: str) -> str:
    """The text with the sign before its first word and between its words."""
    return SIGN + _BETWEEN.sub(SIGN, text.strip())


def is_marked(text: str) -> bool:
    """True where a part of the text is marked."""
    return SIGN in text


def unmarked(text: str) -> str:
    """The text's words without the sign."""
    return text.replace(SIGN, " ") if SIGN in text else text
