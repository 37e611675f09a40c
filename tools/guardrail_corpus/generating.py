"""The corpus: so many texts of each family, the same for the same seed."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from guardrail_corpus.grammar import Grammar

_HERE = Path(__file__).parent
#: A text that has come out before is not given again; after so many attempts for each, a family has no more to give.
_PATIENCE = 6


@dataclass(frozen=True, slots=True)
class Generated:
    """One text."""

    text: str
    family: str
    attack: bool
    channel: str
    payload: str = ""
    """The part that attacks, where it is only a part."""


#: Texts of each family, at most.
_EACH = {"override": 500, "soft_override": 260, "leak": 420, "game": 300, "persona": 420, "persuasion": 240}
_ATTACKS, _PAYLOADS, _LANGUAGE = 160, 330, 70
_HARMLESS = {
    "ordinary": 700,
    "trigger_words": 700,
    "about_attacks": 380,
    "roles": 480,
    "long_brief": 420,
    "tool": 700,
}
_HARMLESS_ELSE = 320


def corpus(seed: int = 0) -> list[Generated]:
    """All of it, in order."""
    return [*_users(seed), *_indirect(seed), *_languages(seed)]


def _users(seed: int) -> Iterator[Generated]:
    for file, attack, channel in (
        ("attacks_user", True, "user"),
        ("harmless_user", False, "user"),
        ("harmless_documents", False, "document"),
    ):
        grammar, content = _grammar(file)
        for family, templates in content["families"].items():
            most = _EACH.get(family, _ATTACKS) if attack else _HARMLESS.get(family, _HARMLESS_ELSE)
            own = "tool" if family == "tool" else channel
            for text in _texts(grammar, templates, most, f"{seed}{file}{family}"):
                yield Generated(text, family, attack, own)


def _indirect(seed: int) -> Iterator[Generated]:
    grammar, content = _grammar("attacks_indirect")
    choice = random.Random(f"{seed}carriers")
    for family, templates in content["payloads"].items():
        for payload in _texts(grammar, templates, _PAYLOADS, f"{seed}{family}"):
            carrier = grammar.expand(choice.choice(content["carriers"]).replace("«payload»", "\0"), choice)
            text = carrier.replace("\0", payload)
            yield Generated(text, f"indirect-{family}", attack=True, channel="document", payload=payload)


def _languages(seed: int) -> Iterator[Generated]:
    content = _read("languages")
    shared = {**_read("fragments"), "persona": _read("attacks_user")["lists"]["persona"], **_read("mixtures")}
    for language, lists in content.items():
        grammar = Grammar({**shared, **lists})
        for attack, templates in ((True, shared["attack"]), (False, shared["no_attack"])):
            for text in _texts(grammar, templates, _LANGUAGE, f"{seed}{language}{attack}"):
                yield Generated(text, f"language-{language}", attack, "user")


def _texts(grammar: Grammar, templates: Sequence[str], most: int, seed: str) -> Iterator[str]:
    """Each template in turn, so that those with few variants are not drowned by others."""
    choice = random.Random(seed)
    seen: set[str] = set()
    for tried in range(_PATIENCE * most):
        text = _dressed(grammar.expand(templates[tried % len(templates)], choice), choice)
        if text not in seen:
            seen.add(text)
            yield text
        if len(seen) == most:
            return


def _dressed(text: str, choice: random.Random) -> str:
    """As people type: blanks once, now and then in capitals or without a capital or full stop."""
    text = "\n".join(" ".join(line.split(" ")) for line in text.split("\n"))
    while "  " in text and "    " not in text:
        text = text.replace("  ", " ")
    text = text.replace(" .", ".").replace("..", ".").strip()
    drawn = choice.random()
    if drawn < 0.5:
        return text[:1].upper() + text[1:]
    if drawn < 0.6:
        return text.rstrip(".")
    return text


def _grammar(file: str) -> tuple[Grammar, Mapping[str, Any]]:
    content = _read(file)
    return Grammar({**_read("fragments"), **content.get("lists", {})}), content


def _read(file: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((_HERE / f"{file}.yaml").read_text(encoding="utf-8"))
    return content
