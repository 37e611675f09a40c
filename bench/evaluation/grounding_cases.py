"""Claims with the passages they are held against, and whether those carry them: from public sets, and by perturbing."""

import csv
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluation.labelled import Split, half
from sluice_guardrail.domain.claims import sentences

csv.field_size_limit(1 << 24)

#: So many contexts further on stands another study's.
_OTHER = 7


@dataclass(frozen=True)
class Case:
    """An answer of one or more claims."""

    source: str
    """Whose it is: cases of one source are drawn together."""
    answer: str
    passages: tuple[str, ...]
    carried: bool
    question: str = ""


Cases = list[Case]


def pubmedqa(folder: Path, split: Split) -> dict[str, Cases]:
    """Conclusions with their own abstract, with another study's, and without the sentences nearest to them."""
    rows = json.loads((folder / "ori_pqal.json").read_text(encoding="utf-8"))
    kept = [(name, row) for name, row in rows.items() if half(name) is split]
    own = [
        Case(name, row["LONG_ANSWER"], tuple(row["CONTEXTS"]), carried=True, question=row["QUESTION"])
        for name, row in kept
    ]
    swapped = [
        replace(case, passages=own[(index + _OTHER) % len(own)].passages, carried=False)
        for index, case in enumerate(own)
    ]
    return {"carried": own, "another's context": swapped}


def context_sentences(folder: Path, split: Split, seed: int = 0) -> dict[str, Cases]:
    """Sentences of PubMedQA's contexts, as they are or shortened, and perturbed one way each."""
    rng = random.Random(seed)
    rows = json.loads((folder / "ori_pqal.json").read_text(encoding="utf-8"))
    found: dict[str, Cases] = {"carried": []}
    for name, row in rows.items():
        if half(name) is not split:
            continue
        passages = tuple(row["CONTEXTS"])
        every = [text for passage in passages for text in _sentences(passage) if 8 <= len(text.split()) <= 45]
        if len(every) < 4:
            continue
        sentence = rng.choice(every)
        found["carried"].append(Case(name, _shortened(sentence, rng), passages, carried=True))
        one, other = rng.sample(every, 2)
        joined = f"{_shortened(one, rng).rstrip('.')}, and {_lower_first(_shortened(other, rng))}"
        found["carried"].append(Case(name, joined, passages, carried=True))
        for kind, perturb in PERTURBATIONS.items():
            for text in rng.sample(every, len(every)):
                changed = perturb(text, passages, rng)
                if changed is not None and changed != text:
                    found.setdefault(kind, []).append(Case(name, changed, passages, carried=False))
                    break
        less = tuple(passage.replace(sentence, " ") for passage in passages)
        found.setdefault("sentence dropped", []).append(Case(name, sentence, less, carried=False))
    return found


def scifact(folder: Path, file: str) -> dict[str, Cases]:
    """Claims with evidence: against their abstract, another one, their own without the evidence; and contradicted."""
    abstracts = {row["doc_id"]: row for row in _rows(folder / "corpus_train.csv")}
    found: dict[str, Cases] = {
        "carried": [],
        "contradicted": [],
        "another's abstract": [],
        "evidence dropped": [],
    }
    evidence: dict[tuple[str, str, str], set[int]] = {}
    claims: dict[str, str] = {}
    for row in _rows(folder / file):
        if row["evidence_label"] in ("SUPPORT", "CONTRADICT"):
            numbers = {int(each) for each in re.findall(r"\d+", row["evidence_sentences"])}
            evidence.setdefault(
                (row["id"], row["evidence_doc_id"].split(".")[0], row["evidence_label"]), set()
            ).update(numbers)
            claims[row["id"]] = row["claim"]
    documents = sorted({document for _, document, _ in evidence if document in abstracts})
    for (claim, document, label), numbers in evidence.items():
        if document not in abstracts:
            continue
        lines = lines_of(abstracts[document]["abstract"])
        title = abstracts[document]["title"]
        case = Case(claim, claims[claim], (f"{title}\n{' '.join(lines)}",), carried=label == "SUPPORT")
        if label == "CONTRADICT":
            found["contradicted"].append(case)
            continue
        found["carried"].append(case)
        other = documents[(documents.index(document) + _OTHER) % len(documents)]
        text = f"{abstracts[other]['title']}\n{' '.join(lines_of(abstracts[other]['abstract']))}"
        found["another's abstract"].append(replace(case, passages=(text,), carried=False))
        left = " ".join(line for index, line in enumerate(lines) if index not in numbers)
        found["evidence dropped"].append(replace(case, passages=(f"{title}\n{left}",), carried=False))
    return found


def climate_fever(folder: Path, split: Split) -> dict[str, Cases]:
    """Claims with the five sentences that were found for each: supporting ones among them or not, or refuting."""
    names = {"SUPPORTS": "carried", "REFUTES": "refuted", "NOT_ENOUGH_INFO": "not enough"}
    found: dict[str, Cases] = {name: [] for name in names.values()}
    for line in (folder / "climate-fever.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if half(row["claim_id"]) is split and row["claim_label"] in names:
            passages = tuple(f"{each['article']}\n{each['evidence']}" for each in row["evidences"])
            carried = row["claim_label"] == "SUPPORTS"
            found[names[row["claim_label"]]].append(Case(row["claim_id"], row["claim"], passages, carried))
    return found


Perturb = Callable[[str, Sequence[str], random.Random], str | None]

_NUMBER = re.compile(r"(?<![\w.,/-])\d+(?:\.\d+)?(?![\w/-]|[.,]\d)")
_NAME = re.compile(r"(?<=[a-z] )[A-Z][A-Za-z0-9]{2,}(?:-\d+)?\b")
_VERB = re.compile(r"\b(was|were|is|are|has|have|had|can|may|should|did|does)\b(?! not)")
_FLIPS = dict(
    pair.split("/")
    for pair in """
    increased/decreased decreased/increased higher/lower lower/higher more/less less/more greater/smaller
    before/after after/before improved/worsened reduced/raised significantly/hardly with/without common/rare all/none
    larger/smaller better/worse positive/negative negative/positive high/low low/high increase/decrease
    decrease/increase first/last early/late male/female men/women women/men effective/useless associated/unrelated
    similar/different major/minor
    """.split()
)
_FLIP = re.compile(r"\b(" + "|".join(_FLIPS) + r")\b")
_UNIT = re.compile(r"(?<=\d) ?(years?|months?|weeks?|days?|hours?|minutes?|mg|kg|g|ml|mm|cm|%)(?!\w)")
_UNITS = ("years", "months", "weeks", "days", "hours", "minutes", "mg", "kg", "ml", "mm", "cm", "%")
_STRANGE = ("Helsinki", "Marlowe", "Quantrex", "Zanzibar", "Abernathy", "Veltraxin", "Osaka", "Lindqvist")


def _number_absent(text: str, passages: Sequence[str], rng: random.Random) -> str | None:
    there = set(re.findall(r"\d+(?:\.\d+)?", " ".join(passages)))

    def change(match: re.Match[str]) -> str:
        for _ in range(20):
            value = float(match[0]) * rng.choice((0.4, 0.6, 0.8, 1.3, 1.7, 2.2)) + rng.choice((1, 2, 3))
            new = f"{value:.1f}" if "." in match[0] else str(round(value))
            if new not in there:
                return new
        return match[0]

    return _one(_NUMBER, text, change, rng)


def _number_swapped(text: str, passages: Sequence[str], rng: random.Random) -> str | None:
    there = sorted(set(_NUMBER.findall(" ".join(passages))) - set(_NUMBER.findall(text)))
    return _one(_NUMBER, text, lambda _: rng.choice(there), rng) if there else None


def _name_absent(text: str, passages: Sequence[str], rng: random.Random) -> str | None:
    there = " ".join(passages)
    return _one(_NAME, text, lambda _: rng.choice([name for name in _STRANGE if name not in there]), rng)


def _name_swapped(text: str, passages: Sequence[str], rng: random.Random) -> str | None:
    there = sorted(set(_NAME.findall(" ".join(passages))) - set(_NAME.findall(text)))
    return _one(_NAME, text, lambda _: rng.choice(there), rng) if there else None


def _negated(text: str, passages: Sequence[str], rng: random.Random) -> str | None:
    return _one(_VERB, text, lambda match: f"{match[0]} not", rng)


def _flipped(text: str, passages: Sequence[str], rng: random.Random) -> str | None:
    return _one(_FLIP, text, lambda match: _FLIPS[match[0]], rng)


def _unit_changed(text: str, passages: Sequence[str], rng: random.Random) -> str | None:
    def change(match: re.Match[str]) -> str:
        others = [unit for unit in _UNITS if unit.rstrip("s") != match[1].rstrip("s")]
        return f" {rng.choice(others)}"

    return _one(_UNIT, text, change, rng)


PERTURBATIONS: dict[str, Perturb] = {
    "number absent": _number_absent,
    "number swapped": _number_swapped,
    "name absent": _name_absent,
    "name swapped": _name_swapped,
    "unit changed": _unit_changed,
    "negated": _negated,
    "antonym": _flipped,
}


def _one(
    pattern: re.Pattern[str], text: str, change: Callable[[re.Match[str]], str], rng: random.Random
) -> str | None:
    matches = list(pattern.finditer(text))
    if not matches:
        return None
    match = rng.choice(matches)
    return text[: match.start()] + change(match) + text[match.end() :]


def _shortened(sentence: str, rng: random.Random) -> str:
    """The sentence, or without what stands in brackets, or one of its clauses."""
    choice = rng.randrange(3)
    if choice == 1:
        return re.sub(r" ?\([^()]*\)", "", sentence)
    clauses = [clause for clause in re.split(r"(?<=\D), |; ", sentence) if len(clause.split()) >= 6]
    return f"{clauses[0].rstrip('.')}." if choice == 2 and clauses else sentence


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _sentences(passage: str) -> Iterator[str]:
    yield from (passage[span.start : span.end].strip() for span in sentences(passage))


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def lines_of(array: str) -> list[str]:
    """The strings of an array as numpy prints it."""
    found = re.findall(r"'((?:[^'\\]|\\.|'(?=\w))*)'|\"((?:[^\"\\]|\\.)*)\"", array)
    return [(one or other).replace("\\'", "'") for one, other in found]
