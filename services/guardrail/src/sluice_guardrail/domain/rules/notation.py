"""A short notation for phrases, turned into RE2 expressions over folded text.

    a blank            characters that are neither letter nor digit, one at least
    <n>                up to n words in between, within one sentence
    ( | )              alternatives; they never capture
    ~                  any ending of a word
    everything else    as in RE2

A phrase is bounded by non-letters on both sides, except where `bounded` says that its script has no blanks.
RE2 has no backtracking, so no phrase can be made slow by a text.
"""

import re

from sluice_guardrail.domain.normalising.folding import fold

#: What parts words: signs and blanks of ASCII and Latin-1, general punctuation, and that of the CJK scripts. Small
#: ranges, not Unicode classes: those make automata some hundred times larger.
_SIGNS = r"\n -/:-@\[-`{-~\x{a0}-\x{bf}\x{2000}-\x{206f}\x{3000}-\x{303f}"
_GAP = f"[{_SIGNS}]+"
_WORD = f"[^{_SIGNS}]+"
_BOUND = f"[{_SIGNS}]"
#: The same without what ends a sentence.
_WORDS_GAP = r"[\n \"-\-/:<->@\[-`{-~\x{a0}-\x{bf}\x{2000}-\x{206f}]+"
_SENTENCE = r"[^。！？.!?\n]"
_TOKEN = re.compile(r"\\.| ?<(?P<skip>\d+)> ?|(?P<sign>[ ~(])")


def expression(phrase: str, *, bounded: bool = True) -> str:
    """The RE2 expression of a phrase; its first group is the phrase without its bounds."""
    body = _TOKEN.sub(lambda token: _translated(token, bounded=bounded), fold(phrase))
    return f"(?:^|{_BOUND})({body})(?:{_BOUND}|$)" if bounded else f"({body})"


def _translated(token: re.Match[str], *, bounded: bool) -> str:
    if skip := token["skip"]:
        return f"(?:{_WORDS_GAP}{_WORD}){{0,{skip}}}{_GAP}" if bounded else f"{_SENTENCE}{{0,{skip}}}"
    match token["sign"]:
        case " ":
            return _GAP
        case "~":
            return f"(?:{_WORD})?"
        case "(":
            return "(?:"
        case _:
            return token[0]
