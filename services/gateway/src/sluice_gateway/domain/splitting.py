"""A question taken apart by rules: the questions that it asks together, and what only leads to it. Pure.

English first; clauses and courtesies of German, French, Spanish, Italian, Portuguese and Dutch are known too. A
question in another language is one question, unless question marks part it.
"""

import re

from sluice_gateway.domain.leaning import leans
from sluice_lexical.words import terms

#: Questions that one is taken apart into, at most.
MOST_PARTS = 4

#: A longer text is no question to take apart; bounds what the expressions below cost.
_MOST_CHARACTERS = 1000

#: Content words that a part needs to be looked for by itself.
_FEWEST_TERMS = 2

_ASKING = (
    r"what|who|whom|whose|where|when|why|how|which|is|are|was|were|do|does|did|can|could|should|must|may|will|would"
    r"|was|wer|wem|wen|wo|wann|warum|weshalb|wie|welche[rsmn]?|ist|sind|kann|muss|darf"
    r"|qu['’]est-ce|que|quoi|qui|où|quand|pourquoi|comment|combien|quel(?:le)?s?|est-ce"
    r"|qué|quién(?:es)?|dónde|cuándo|cómo|cuánt[oa]s?|cuál(?:es)?|por qué"
    r"|cosa|chi|dove|quando|perché|come|quant[oaie]|qual[ei]"
    r"|quem|onde|como|quais|quanto|por que"
    r"|wat|wie|waar|wanneer|waarom|hoe|welke?"
)
_CONJUNCTION = r"and|or|but|also|as well as|und|oder|sowie|et|ou|y|o|e|ed"
"""Not the Dutch `en` and `of`, which mean something else in other languages."""

_PREPOSITION = (
    r"in|at|on|for|to|from|with|by|since|until|after|before|during|under|an|auf|mit|nach|seit|bis|für|von|bei"
    r"|à|dans|avec|de|depuis|pour|con|desde|para|da|per|em|com|desde|met|naar|voor"
)

#: Where one question ends and another begins: at a question mark, or where a conjunction leads to a word that asks.
_QUESTION_MARK = re.compile(r"(?<=[?？])\s+|(?<=？)")
_CLAUSE = re.compile(
    rf"(?:\s*[,;]\s*|\s+)(?:{_CONJUNCTION})\s+(?:also\s+)?(?=(?:(?:{_PREPOSITION})\s+)?(?:{_ASKING})\b)", re.I
)

_COMPARED = re.compile(
    r"^\W*(?:please\s+)?(?:compare|contrast|vergleiche?|comparez|compare[rn]?|compara|confronta|vergelijk)\s+"
    r"(?P<one>.+?)\s+(?:and|with|to|und|mit|et|avec|y|con|e|en|met)\s+(?P<other>.+)$"
    r"|\b(?:differ(?:ence|ences|s)?|unterschiede?|différences?|diferencias?|differenz[ae]|verschil(?:len)?)\s+"
    r"(?:between|zwischen|entre|tra|fra|tussen)\s+"
    r"(?P<left>.+?)\s+(?:and|und|et|y|e|en)\s+(?P<right>.+)$"
    r"|^(?P<before>.+?)\s+(?:vs\.?|versus)\s+(?P<after>.+)$",
    re.I,
)

#: Two things of one kind: the article or the capital of the first stands where that of the second could.
_COORDINATED = re.compile(
    r"^(?P<until>.*?\s)(?P<one>(?:the|a|an|der|die|das|le|la|les|el|los|las|il|lo|gli|de|het)\s+(?:[\w'’-]+\s+){0,3}?"
    r"[\w'’-]+)\s+(?:and|or|und|oder|et|ou|y|o|e)\s+(?P<other>(?:the|a|an|der|die|das|le|la|les|el|los|las|il"
    r"|lo|gli|de|het)\s+.+)$",
    re.I,
)

#: What leads to a question and names nothing to look for.
_LEADING = re.compile(
    r"^\W*(?:(?:hi|hello|hey|hallo|bonjour|hola|ciao|olá|ok(?:ay)?|so|well|thanks)\b[\s,.!]*)*"
    r"(?:(?:please|bitte|por favor|per favore)\b[\s,]*)?"
    r"(?:(?:can|could|would|will) you (?:please |kindly )?(?:tell|explain(?: to)?|show|help)(?: me)?(?: understand)?"
    r"|(?:do you|d'you) (?:happen to )?know|i(?: would|'d|’d)? (?:like|want|need) to (?:know|understand|ask)"
    r"|i(?: am|'m|’m|was| was) (?:wondering|curious|trying to (?:find out|understand))|tell me|explain(?: to me)?"
    r"|let me know|i have a question(?: about)?"
    r"|(?:kannst du|können sie) (?:mir )?(?:bitte )?(?:sagen|erklären)|ich (?:möchte|will) wissen|sag mir|weißt du"
    r"|(?:peux-tu|pouvez-vous) me dire|je voudrais savoir|dis-moi|savez-vous"
    r"|(?:puedes|puede) decirme|quisiera saber|dime|mi sai dire|vorrei sapere|dimmi|pode dizer-me|diga-me"
    r"|(?:kun je|kunt u) me (?:zeggen|vertellen)|ik wil(?: graag)? weten)\b[\s,:]*"
    r"(?:(?:please|bitte)\b[\s,]*)?(?:(?:if|whether|about|ob|si)\b\s*)?",
    re.I,
)


def parts(question: str) -> tuple[str, ...]:
    """The questions that a question asks together, in their order; empty where it asks one, or where its parts do not
    stand alone."""
    if len(question) > _MOST_CHARACTERS:
        return ()
    question = " ".join(question.split())
    asked = [clause for sentence in _QUESTION_MARK.split(question) for clause in _CLAUSE.split(sentence)]
    if len(asked) == 1 and (things := _several(_compared(question))):
        return things if all(terms(thing) for thing in things) else ()
    alone = _several(asked if len(asked) > 1 else _coordinated(question))
    if any(len(set(terms(part))) < _FEWEST_TERMS or leans(part) for part in alone):
        return ()
    return alone[:MOST_PARTS]


def trimmed(question: str) -> str:
    """The question without what leads to it; all of it where nothing would be left."""
    match = _LEADING.match(question)
    rest = "" if match is None else question[match.end() :].strip()
    return rest if terms(rest) else question


def _several(asked: list[str]) -> tuple[str, ...]:
    """What differs of it; empty where that is one thing."""
    different = tuple(dict.fromkeys(part.strip(" \t,;.") for part in asked))
    return different if len(different) > 1 else ()


def _compared(question: str) -> list[str]:
    match = _COMPARED.search(question.rstrip(" .?!"))
    return [] if match is None else [part for part in match.groups() if part]


def _coordinated(question: str) -> list[str]:
    match = _COORDINATED.match(question)
    if match is None:
        return []
    until = match["until"]
    return [f"{until}{match['one']}", f"{until}{match['other']}"]
