"""The one sentence that says that the documents do not hold the answer, in the question's language. Pure."""

import re

from sluice_lexical.marks import MARK

ENGLISH = "The documents do not answer this question."

SENTENCES = {
    "en": ENGLISH,
    "de": "Die Dokumente beantworten diese Frage nicht.",
    "fr": "Les documents ne répondent pas à cette question.",
    "es": "Los documentos no responden a esta pregunta.",
    "it": "I documenti non rispondono a questa domanda.",
    "pt": "Os documentos não respondem a esta pergunta.",
    "nl": "De documenten beantwoorden deze vraag niet.",
}

#: Frequent words of questions by which languages are told apart; a word of two languages speaks for both.
_WORDS = {
    "en": "the what which how where when who why is are does do did can of and in to it for",
    "de": "der die das was welche welcher wie wo wann wer warum ist sind und ein eine nicht ich für kann den dem",
    "fr": "le la les quel quelle quels quelles comment où quand qui pourquoi est sont et un une des du je que pour",
    "es": "el la los las qué cuál cuáles cómo dónde cuándo quién por es son y un una del que para puedo",
    "it": "il la gli quale quali come dove quando chi perché è sono e un una del della che cosa per posso",
    "pt": "o a os as qual quais como onde quando quem por é são e um uma do da que para posso",
    "nl": "de het wat welke hoe waar wanneer wie waarom is zijn en een van niet ik voor kan",
}
_VOCABULARY = {language: frozenset(words.split()) for language, words in _WORDS.items()}
_WORD = re.compile(r"\w+")

#: Signs that models like to put around a sentence.
_WRAPPING = " \"'“”„«»*_`.!"


def sentence(question: str) -> str:
    """The sentence in the question's language; in English where that cannot be told."""
    words = _WORD.findall(question.lower())
    counts = {language: sum(word in known for word in words) for language, known in _VOCABULARY.items()}
    best = max(counts.values())
    told = [language for language, count in counts.items() if count == best]
    return SENTENCES[told[0]] if len(told) == 1 else ENGLISH


def says_so(answer: str) -> bool:
    """True where an answer is one of the sentences and nothing else, but for marks and quotes around it."""
    return _bare(answer) in _BARE


def _bare(text: str) -> str:
    return " ".join(MARK.sub("", text).split()).strip(_WRAPPING).casefold()


_BARE = frozenset(_bare(each) for each in SENTENCES.values())
