"""What the semantic cache would take for the same question: hits on rewordings, false hits on other questions.

    python bench/semantic_cache.py [--questions FILE.jsonl ...]

Pairs are those of `semantic_pairs.yaml`. Of a file with questions (`{"text": …}` in each line, all of them different),
every pair is tried, and every question against itself with a number, a name or a denial changed.
"""

import argparse
import itertools
import json
import random
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import yaml

from sluice_gateway.domain.caching.facts import Facts, facts
from sluice_retriever.encoding.encoder import Encoder

THRESHOLDS = (0.80, 0.85, 0.90, 0.93, 0.95, 0.97)

PAIRS = Path(__file__).with_name("semantic_pairs.yaml")


class Questions:
    """Vectors and facts, each worked out once."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        self._vectors: dict[str, np.ndarray] = {}
        self._facts: dict[str, Facts | None] = {}

    def cosine(self, one: str, other: str) -> float:
        return float(self.vector(one) @ self.vector(other))

    def vector(self, text: str) -> np.ndarray:
        if text not in self._vectors:
            self._vectors[text] = self._encoder.question(text).dense
        return self._vectors[text]

    def same_facts(self, one: str, other: str) -> bool:
        return self.facts(one) is not None and self.facts(one) == self.facts(other)

    def facts(self, text: str) -> Facts | None:
        if text not in self._facts:
            self._facts[text] = facts(text)
        return self._facts[text]


def report(name: str, pairs: Iterable[tuple[str, str]], questions: Questions, *, show: bool) -> None:
    """One line for each threshold: pairs taken for the same by the vectors alone, and with the facts too."""
    scored = [(questions.cosine(*pair), questions.same_facts(*pair), pair) for pair in pairs]
    print(f"\n{name}: {len(scored)} pairs")
    print("| cosine | by the vectors alone | and by the facts |\n| --- | --- | --- |")
    for threshold in THRESHOLDS:
        near = [same for cosine, same, _ in scored if cosine >= threshold]
        print(f"| {threshold:.2f} | {len(near)} | {sum(near)} |")
    if show:
        for cosine, same, pair in scored:
            if same and cosine >= THRESHOLDS[0]:
                print(f"  taken for the same at {cosine:.3f}: {pair[0]!r} / {pair[1]!r}")


def changed(questions: list[str]) -> list[tuple[str, str]]:
    """Each question with one thing changed that changes what it asks."""
    choose = random.Random(7)
    names = sorted({name for text in questions for name in re.findall(r"(?<=[a-z] )[A-Z]\w+", text)})
    pairs = []
    for text in questions:
        if numbers := re.findall(r"\d+", text):
            number = choose.choice(numbers)
            pairs.append((text, text.replace(number, str(int(number) + 1), 1)))
        if found := re.findall(r"(?<=[a-z] )[A-Z]\w+", text):
            other = choose.choice([name for name in names if name not in found] or ["Nobody"])
            pairs.append((text, text.replace(choose.choice(found), other, 1)))
        denied = re.sub(r"\b(is|are|was|were|does|do|did|has|have|can)\b", r"\1 not", text, count=1)
        if denied != text:
            pairs.append((text, denied))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    questions = Questions()
    pairs = yaml.safe_load(PAIRS.read_text())
    report("rewordings", map(tuple, pairs["same"]), questions, show=True)
    report("other questions, made alike", map(tuple, pairs["different"]), questions, show=True)
    for path in options.questions:
        texts = sorted({json.loads(line)["text"] for line in path.read_text().splitlines()})
        report(f"{path.parent.name}, changed", changed(texts), questions, show=True)
        report(f"{path.parent.name}, all pairs", itertools.combinations(texts, 2), questions, show=True)


if __name__ == "__main__":
    main()
