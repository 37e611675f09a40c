"""How well the score for unsupported claims tells claims of the evidence from others."""

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from guardrail_training.measuring import Share, area, reached
from guardrail_training.reading import spaced
from rich.progress import track

from sluice_guardrail.domain.model import Answer, Reason
from sluice_guardrail.domain.screening import Screener


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim, what it is to rest on, and whether it does."""

    question: str
    text: str
    evidence: str
    supported: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One set."""

    name: str
    supported: int
    unsupported: int
    area: float
    """That an unsupported claim scores above a supported one."""
    false_alarms: Share
    """Supported claims that the policy flags or blocks as unsupported."""
    caught: Share


def _swapped(data: Path) -> Iterator[Claim]:
    """An abstract's conclusion beside its own abstract, and beside another study's."""
    path = data / "guardrails/pubmedqa/ori_pqal.json"
    rows = list(json.loads(path.read_text(encoding="utf-8")).values())
    for index, row in enumerate(rows):
        other = rows[(index + len(rows) // 2) % len(rows)]
        yield Claim(row["QUESTION"], row["LONG_ANSWER"], " ".join(row["CONTEXTS"]), supported=True)
        yield Claim(row["QUESTION"], row["LONG_ANSWER"], " ".join(other["CONTEXTS"]), supported=False)


def _climate(data: Path) -> Iterator[Claim]:
    path = data / "guardrails/climate_fever/climate-fever.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["claim_label"] in ("SUPPORTS", "REFUTES"):
            evidence = " ".join(each["evidence"] for each in row["evidences"])
            yield Claim("", row["claim"], evidence, supported=row["claim_label"] == "SUPPORTS")


def _scifact(data: Path) -> Iterator[Claim]:
    """Claims beside the abstract that supports or contradicts them. Its file called test holds no labels."""
    folder = data / "guardrails/scifact"
    with (folder / "corpus_train.csv").open(encoding="utf-8", newline="") as file:
        abstracts = {row["doc_id"]: row["abstract"] for row in csv.DictReader(file)}
    with (folder / "claims_validation.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["evidence_label"] in ("SUPPORT", "CONTRADICT") and row["evidence_doc_id"] in abstracts:
                sentences = abstracts[row["evidence_doc_id"]].strip("[]'\"")
                text = re.sub(r"['\"]\s+['\"]", " ", sentences)
                yield Claim("", row["claim"], text, supported=row["evidence_label"] == "SUPPORT")


SETS: dict[str, tuple[str, Callable[[Path], Iterator[Claim]]]] = {
    "pubmedqa, contexts swapped": ("guardrails/pubmedqa", _swapped),
    "climate_fever, supported or refuted": ("guardrails/climate_fever", _climate),
    "scifact, supported or contradicted": ("guardrails/scifact", _scifact),
}


def groundedness_table(screener: Screener, data: Path, most: int = 2000) -> list[Row]:
    """A row for each set that is there; the score is that of the policy's groundedness detector."""
    return [
        _row(name, screener, spaced(list(read(data)), most))
        for name, (folder, read) in SETS.items()
        if (data / folder).is_dir()
    ]


def _row(name: str, screener: Screener, claims: list[Claim]) -> Row:
    scores, told = [], []
    for claim in track(claims, name, transient=True):
        verdict = screener.screen_output(Answer(claim.question, f"{claim.text} [1]", (claim.evidence,)))
        scores.append(
            max((each.score for each in verdict.reports if each.detector == "groundedness"), default=0.0)
        )
        told.append(any(each.reason is Reason.UNGROUNDED and each.decision for each in verdict.findings))
    supported = np.array([claim.supported for claim in claims])
    values, alarms = np.array(scores), np.array(told, np.float64)
    return Row(
        name,
        int(supported.sum()),
        int((~supported).sum()),
        area(values[~supported], values[supported]),
        reached(alarms[supported], 1.0),
        reached(alarms[~supported], 1.0),
    )
