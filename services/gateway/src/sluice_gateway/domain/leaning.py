"""Whether a question leans on the turns before it, by its words alone: English, German, French, Spanish, Italian,
Portuguese and Dutch. Pure.

All languages' expressions are tried on every question, so none may be a common word of another one.
"""

import re

_WORD = re.compile(r"\w+(?:[-'’]\w+)*")

#: A longer question says itself what it is about. The characters also bound what the expressions below cost.
_MOST_WORDS, _MOST_CHARACTERS = 16, 300
#: A shorter one never does.
_FEWEST_WORDS = 3
#: Up to so many words without a verb are the end of an earlier sentence.
_ELLIPSIS_WORDS = 5


def _any(*expressions: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{expression})" for expression in expressions), re.I)


#: What opens a turn and says nothing of what follows.
_OPENER = _any(
    r"^\W*(?:ok(?:ay)?|so|well|now|alright|great|good|thanks|thank you|also gut|bon|vale|bueno|allora)\b\W*"
)

#: Courtesies ask nothing.
_COURTESY = _any(
    r"^\W*(?:thanks?|thank you|hello|hi|bye|ok(?:ay)?|great|danke|hallo|merci|bonjour|gracias|hola|grazie|ciao"
    r"|obrigad[oa]|olá|bedankt|dank je)\b(?: (?:a lot|so much|very much|you|schön|sehr|beaucoup|mil|mille))*\W*$"
)

#: Openings that go on from the last turn.
_GOES_ON = _any(
    r"^\W*(?:and|but|or|then|what about|how about|what else|what if|how come|more|go on|same|likewise|even|compare)\b",
    r"^\W*(?:und|aber|oder|auch|was ist mit|wie (?:ist|sieht|steht) es mit|wieso|sonst|noch)\b",
    r"^\W*(?:et|mais|ou|aussi|qu['’]en est[- ]il|même)\b",
    r"^\W*(?:y(?=\s)|pero|también|qué (?:pasa|hay|tal) con|incluso)\b",
    r"^\W*(?:ed?(?=\s)|ma|anche|che ne è)\b",
    r"^\W*(?:mas|também|e quanto)\b",
    r"^\W*(?:en (?:de|het|een|wat|hoe|wie|waar|in|als|wanneer|voor|dan|met|op)|maar|ook|hoe zit het met)\b",
    r"^\W*(?:why|warum|weshalb|pourquoi|por ?qu[eéê]|perché|waarom)(?: (?:not|nicht|pas|no|non|não|niet))?\W*$",
    r"^\W*(?:tell me more|(?:give|show)(?: me)? (?:an? |some |more |another )?(?:examples?|details)|explain)\W*$",
    r"\b(?:as well|too|instead|otherwise|then|in that case)\W*$",
)

#: Words that stand for something said before.
_POINTS_BACK = _any(
    r"\b(?:them|theirs|he|she|him|hers?|his|former|latter|ones|the others)\b|\bsuch\b(?! as\b)|\bthe same\W*$",
    r"\b(?:this|these)\b(?! (?:year|month|week|project|documentation|manual|site|page|company|product|version)\b)",
    r"\bthose\b(?! (?:who|that|which)\b)",
    r"\bthat\b(?=\W*$|[,;?!.]| one\b)|^\W*(?:is|was|does|did|will|would|can) that\b",
    r"\bthe (?:\w+ )?one\b|\bof the (?:two|three|four)\b|\b(?:both|neither|either)(?: of|\W*$)",
    r"\bthe (?:first|second|third|fourth|last|next|previous|other)\W*$|\bthere\W*$",
    r"\b(?:er|ihn|ihm|diese[mnrs]?|jene[mnrs]?|solche[mnrs]?|dort)\b",
    r"\b(?:damit|dafür|davon|dabei|daran|darüber|dazu)\b",
    r"(?<!gibt )\bes\W*$|\bdas(?=\W*$|\s+\w+\W*$)",
    r"\b(?:der|die|das) (?:erste|zweite|dritte|letzte|nächste|andere)n?\W*$",
    r"(?<!-t-)\b(?:ils|elles?|celui|celle|ceux|celles|cela|ça|ceci)\b",
    r"\bl(?:e|a|es) (?:faire|changer|modifier)\b",
    r"-ils?\b(?! (?:possible|nécessaire|permis|obligatoire|vrai)\b)(?<!a-t-il)(?<!faut-il)",
    r"\bl[ae] (?:premi[eè]re?|deuxième|seconde?|troisième|derni[eè]re?|autre)\W*$",
    r"\b(?:ella|ellos|ellas|eso|esto|aquello|ello|allí|lo mismo)\b|\b\w{3,}(?:ar|er|ir)l[oa]s?\b",
    r"\b(?:el|la|los|las) (?:primer[oa]|segund[oa]|tercer[oa]|últim[oa]|otr[oa])s?\W*$",
    r"\b(?:lui|lei|ess[oaie]|ciò|quest[oaie]|quell[oai]|farl[oaie])\b|\b\w{3,}(?:ar|er|ir)l[ei]\b",
    r"\b(?:il|la|lo|gli|le|i|l['’])\s?(?:prim|second|terz|ultim|altr)[oaie]\W*$",
    r"\b(?:ele|eles|elas?|isso|isto|aquilo|disso|nisso|del[ea]s?)\b|\b\w+-l[oa]s?\b",
    r"\b(?:os?|as?) (?:primeir|segund|terceir|últim|outr)[oa]s?\W*$",
    r"\b(?:hij|zij|haar|hun|deze|daarmee|daarvoor|ervan|ermee|ervoor|erin)\b|\bdat(?=\W*$|\s+\w+\W*$)",
    r"\b(?:de|het) (?:eerste|tweede|derde|laatste|andere)\W*$",
)
#: The same, where a capital makes them a courteous "you".
_POINTS_BACK_SMALL = re.compile(r"\b(?:sie|ihr|ihre[mnrs]?)\b")

_IT = _any(r"\b(?:it|they)\b")
#: "It" that stands for nothing: what it is about follows.
_EXPLETIVE = _any(
    r"\b(?:is|was|it['’]s|it is) (?:it )?(?:possible|necessary|allowed|safe|true|better|worth|legal|normal)\b",
    r"\bit (?:takes?|costs?|means?)\b.+\b(?:to|for|until|before|when|if|that)\b",
)
_POSSESSIVE = _any(r"\b(?:its|their)\b")
#: What they stand for has been said in the same question.
_BOUND_IT = _any(
    r"\b(?:an?|the)\s+\w+(?:\s+(?:that|which))?\s+(?:it|they)\b",
    r"\w+(?:\W+\w+){2,}\W+(?:when|if|while|once|until|because|before|after|unless)\s+(?:it|they)\b",
)
_BOUND_POSSESSIVE = _any(
    r"\b(?:the|an?|each|every|my|our|your)\s+\w+.*\b(?:its|their)\b", r"\bdo \w+s\b.*\btheir\b"
)

#: A fragment that begins so and holds no verb is the end of an earlier sentence.
_FRAGMENT = _any(
    r"^\W*(?:in|on|at|for|with|without|from|by|during|after|before|outside|inside|only|not|except|under|over)\b",
    r"^\W*(?:im|in|bei|mit|ohne|für|nach|vor|nur)\b",
    r"^\W*(?:avec|sans|pour|dans)\b",
    r"^\W*(?:con|sin|para|per|senza|com|sem|met|zonder|voor)\b",
)
_VERB = _any(
    r"\b(?:is|are|was|were|do|does|did|can|could|will|would|shall|should|must|may|might|has|have|had)\b",
    r"\b(?:ist|sind|war|wird|werden|kann|können|muss|darf|hat|haben|gibt|est|sont|peut|faut|doit|es|son|está|hay|puede)\b",
    r"\b(?:debe|è|sono|può|deve|são|pode|há|zijn|kan|moet|mag|heeft|wordt|worden)\b",
)


def leans(question: str) -> bool:
    """True where a question cannot be understood without earlier ones, as far as its words tell."""
    if len(question) > _MOST_CHARACTERS or _COURTESY.search(question):
        return False
    question = _OPENER.sub("", question)
    words = len(_WORD.findall(question))
    if words > _MOST_WORDS:
        return False
    if words < _FEWEST_WORDS or _GOES_ON.search(question) or _points_back(question):
        return True
    return words <= _ELLIPSIS_WORDS and bool(_FRAGMENT.search(question)) and not _VERB.search(question)


def _points_back(question: str) -> bool:
    if _POINTS_BACK.search(question) or _POINTS_BACK_SMALL.search(question):
        return True
    if _IT.search(question) and not (_EXPLETIVE.search(question) or _BOUND_IT.search(question)):
        return True
    return bool(_POSSESSIVE.search(question)) and not _BOUND_POSSESSIVE.search(question)
