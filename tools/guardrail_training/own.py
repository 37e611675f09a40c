"""Examples of our own: the generated corpus, alone and in the midst of real texts, and with letters disguised."""

import random
from collections.abc import Iterator, Sequence

from guardrail_corpus.generating import Generated, corpus

from guardrail_training.reading import Example, Role
from sluice_guardrail.domain.model import Channel

#: What stands between a harmless beginning and an attack.
_JOINTS = (" ", "\n", "\n\n", " ", ". ", "\n---\n")
_FAMILIES = frozenset({"override", "soft_override", "leak", "fake_turns", "delimiters", "languages"})
_CARRIED, _DISGUISED, _JOINED = 0.25, 0.08, 700
_REQUESTS, _SHORT = 900, 200
#: Attacks only where they are: the same words from a user are none.
REQUESTS = "own:requests"
#: Users' texts are cut where they would drown the attack.
_LONGEST = 900


def own_examples(harmless: Sequence[Example], seed: int = 0) -> list[Example]:
    """The corpus as training examples.

    Args:
        harmless: Texts that are trained on; some of them carry attacks.
    """
    choice = random.Random(seed)
    users = [each.text[:_LONGEST] for each in harmless if each.channel is Channel.USER]
    documents = [each.text[: 2 * _LONGEST] for each in harmless if each.channel is Channel.DOCUMENT]
    examples: list[Example] = []
    for generated in corpus(seed):
        examples.append(_example(generated))
        if generated.attack:
            examples += _varied(generated, users, documents, choice)
    examples += _joined(users, documents, choice)
    examples += _requests(users, documents, choice)
    return examples


def _example(generated: Generated, text: str = "", payload: str = "") -> Example:
    return Example(
        text or generated.text,
        f"own:{generated.family}",
        Role.TRAIN,
        Channel(generated.channel),
        generated.attack,
        payload or generated.payload,
    )


def _family(generated: Generated) -> str:
    return "languages" if generated.family.startswith("language-") else generated.family


def _varied(
    generated: Generated, users: Sequence[str], documents: Sequence[str], choice: random.Random
) -> Iterator[Example]:
    """The attack behind, before or within a real text; and disguised."""
    attack = generated.payload or generated.text
    if generated.payload and choice.random() < 2 * _CARRIED and documents:
        yield _example(generated, _within(choice.choice(documents), attack, choice), attack)
    if _family(generated) in _FAMILIES and choice.random() < _CARRIED and users:
        before, joint = choice.choice(users), choice.choice(_JOINTS)
        joined = f"{before}{joint}{attack}" if choice.random() < 0.75 else f"{attack}{joint}{before}"
        yield _example(generated, joined, attack)
    if not generated.payload and choice.random() < _DISGUISED:
        yield _example(generated, disguised(attack, choice))


def _within(document: str, attack: str, choice: random.Random) -> str:
    """Between two sentences or lines of a document."""
    places = [at + 1 for at, letter in enumerate(document) if letter in ".\n|"] or [len(document)]
    at = choice.choice([0, len(document), choice.choice(places), choice.choice(places)])
    return f"{document[:at]} {attack} {document[at:]}".strip()


def _joined(users: Sequence[str], documents: Sequence[str], choice: random.Random) -> Iterator[Example]:
    """Two harmless texts one after the other, so that a seam alone means nothing."""
    if not users or not documents:
        return
    for _ in range(_JOINED):
        first = choice.choice(users)
        second = choice.choice(users) if choice.random() < 0.5 else choice.choice(documents)
        text = choice.choice(_JOINTS).join((first, second) if choice.random() < 0.7 else (second, first))
        yield Example(text, "own:joined", Role.TRAIN, Channel.USER, attack=False)


def _requests(users: Sequence[str], documents: Sequence[str], choice: random.Random) -> Iterator[Example]:
    """What users ask, in the midst of a document, where nobody asks an assistant anything. Harmless from a user."""
    short = [text for text in users if len(text) < _SHORT]
    if not short or not documents:
        return
    for request in choice.sample(short, min(_REQUESTS, len(short))):
        document = choice.choice(documents)
        yield Example(
            _within(document, request, choice),
            REQUESTS,
            Role.TRAIN,
            Channel.DOCUMENT,
            attack=True,
            payload=request,
        )


_LEET = str.maketrans("aeiost", "431057")


def disguised(text: str, choice: random.Random) -> str:
    """With figures for letters, blanks or dots between letters, letters swapped, or all in capitals."""
    kind = choice.randrange(5)
    if kind == 0:
        return text.translate(_LEET)
    if kind == 1:
        return text.upper()
    if kind == 2:
        return " ".join(choice.choice((" ", ".", "-")).join(word) for word in text.split(" ")[:12])
    words = [_swapped(word, choice) if choice.random() < 0.4 else word for word in text.split(" ")]
    if kind == 3:
        return " ".join(words)
    return " ".join(word.translate(_LEET) if choice.random() < 0.5 else word for word in text.split(" "))


def _swapped(word: str, choice: random.Random) -> str:
    if len(word) < 4:
        return word
    at = choice.randrange(1, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
