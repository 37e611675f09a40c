"""Makes labelled cases out of the seeds, always the same ones."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any

import yaml

from evaluation.variants import layouts
from evaluation.variants.disguises import DISGUISES

_FOLDER = Path(__file__).parents[3] / "tests" / "data" / "guardrails"
_ALL = ("user", "document", "tool")
#: Variants that do not make sense everywhere.
_CHANNELS = {
    23: ("user",),
    24: ("user",),
    25: ("document", "tool"),
    26: ("document", "tool"),
    27: ("tool",),
    28: ("document", "tool"),
}
#: Variants whose texts stay as they are: wrapped, their parts would not meet, or they already are a tool's result.
_BARE = frozenset({19, 24, 27})

NAMES = dict(
    enumerate(
        """
        plain override|paraphrase|prompt leak|persona|markup tokens|fake turns|delimiter|letter spacing|invisible
        characters|tag characters|selectors, sneaky bits|homoglyphs|styled letters|bidi, reversed|leet, misspelling
        |encodings|ciphers|nested encodings|split payloads|translated|buried|floods, suffixes|persuasion|crescendo
        |hidden markup|task-style|tools|exfiltration|guard-directed|answers
        """.replace("\n        ", " ")
        .replace(" |", "|")
        .strip()
        .split("|"),
        start=1,
    )
)


class Half(StrEnum):
    """Which seeds."""

    TUNED = "variants.yaml"
    """Rules may be tuned on these."""
    HELD_OUT = "variants_heldout.yaml"
    """Other sentences in the same disguises; looked at in sum only."""


@dataclass(frozen=True)
class Case:
    """What is screened together, and whether it is an attack."""

    name: str
    variant: int
    """1 to 30, as `NAMES` has them."""
    dress: str
    channel: str
    attack: bool
    texts: tuple[str, ...]
    """Turns, passages or tool results in order; of an answer, its text."""
    question: str = ""
    passages: tuple[str, ...] = ()


def cases(half: Half) -> list[Case]:
    """All cases of one half."""
    seeds = yaml.safe_load((_FOLDER / half).read_text(encoding="utf-8"))
    return [
        case
        for variant in NAMES
        for label, attack in (("attacks", True), ("harmless", False))
        for serial, (dress, texts) in enumerate(_texts(variant, label, seeds))
        for case in _in_channels(f"{variant}-{label}-{serial}", variant, dress, texts, attack=attack)
    ]


def _texts(variant: int, label: str, seeds: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for text in seeds["written"].get(variant, {}).get(label, ()):
        yield "written", text
    for index, sentence in enumerate(seeds["sentences"][label]):
        random = Random(f"{variant} {sentence}")
        for name, dress in DISGUISES.get(variant, {}).items():
            yield name, dress(sentence, random)
        match variant:
            case 19:
                yield from layouts.split_within(sentence)
                yield from layouts.split_over(sentence)
            case 21 if index == 0:
                for offset in layouts.OFFSETS:
                    yield f"at {offset}", layouts.buried(sentence, offset, random)
            case 22:
                yield from layouts.flooded(sentence, random)
    if variant == 22 and label == "harmless":
        yield "few-shot", layouts.few_shot(Random(variant))


def _in_channels(name: str, variant: int, dress: str, texts: Any, *, attack: bool) -> Iterator[Case]:
    if isinstance(texts, dict):
        question, passages = texts["question"], tuple(texts["passages"])
        yield Case(name, variant, dress, "output", attack, (texts["text"],), question, passages)
        return
    parts = texts if isinstance(texts, list) else [texts]
    for channel in _CHANNELS.get(variant, _ALL):
        arriving = parts if variant in _BARE else [_wrapped(part, channel) for part in parts]
        yield Case(f"{name}-{channel}", variant, dress, channel, attack, tuple(arriving))


def _wrapped(text: str, channel: str) -> str:
    """As a text arrives there."""
    match channel:
        case "tool":
            return json.dumps({"status": "ok", "content": text}, ensure_ascii=False)
        case "document":
            return f"Notes\n\n{text}\n"
        case _:
            return text
