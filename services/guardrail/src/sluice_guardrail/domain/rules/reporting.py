"""Tells an order from talk about one: "how do I stop users who ask the model to ignore its instructions?"."""

import re

#: Characters before a match that are looked at.
_BEFORE = 120
_SENTENCE_END = re.compile(r"[.!?;\n]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")

#: A word that ends the text before the match and makes it a subordinate clause.
_SUBORDINATING = frozenset(
    """
    to that which who whom it they he she not never cannot can't won't don't doesn't didn't couldn't shouldn't users
    people attackers attacker hackers someone somebody anyone model models llm llms chatbots bots will would could can
    might may must should does do did by of for like as when why how if whether without from
    """.split()
)
#: Words of the same sentence that show it to be a question or a report.
_REPORTING = frozenset(
    """
    how what why whether when does who attacker attackers hackers users someone people anyone attack attacks injection
    injections detect detecting detection prevent preventing avoid example examples phrase phrases string strings
    quote sentence words attempt attempts tries trying tried asks asked says said saying mean means called cannot
    can't won't unable refuse refuses refused malicious jailbreak jailbreaks protect defend against classify
    """.split()
)
#: Words that show the model to be meant all the same.
_ADDRESSING = frozenset(
    "you your yourself yours please chatgpt gpt assistant now want order command u ur".split()
)
_QUOTES = {'"': '"', "“": "”", "‘": "’", "«": "»", "„": "“", "`": "`", "'": "'"}


def is_reported(text: str, start: int, end: int) -> bool:
    """True where `text[start:end]` stands in a sentence about orders rather than being one."""
    sentence = _SENTENCE_END.split(text[max(0, start - _BEFORE) : start])[-1]
    words = _WORD.findall(sentence)
    if not words or not _ADDRESSING.isdisjoint(words) or _REPORTING.isdisjoint(words):
        return False
    return words[-1] in _SUBORDINATING or _is_quoted(sentence, text[end : end + _BEFORE])


def _is_quoted(before: str, after: str) -> bool:
    """A quotation opens right before the match and closes after it."""
    opening = before.rstrip()[-1:]
    return opening in _QUOTES and _QUOTES[opening] in after
