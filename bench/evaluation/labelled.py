"""Labelled collections in BEIR's layout, and how their questions are split."""

import csv
import hashlib
import json
import sys
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sluice_retriever.domain.model import Document

#: Grades above zero, by question and document.
Labels = dict[str, dict[str, float]]

#: Questions of a training file that tuning looks at.
_DEV_QUESTIONS = 300

EXPECTED = """\
expected: a folder with a folder for each collection, in BEIR's layout:

    DATA/NAME/corpus.jsonl      {"_id": …, "title": …, "text": …} a line
    DATA/NAME/queries.jsonl     {"_id": …, "text": …} a line
    DATA/NAME/qrels/test.tsv    query, document, grade; a header line
    DATA/NAME/qrels/train.tsv   where there is one, tuning sees only that

The documents' numbers are of these, all public:
    scifact     BEIR's SciFact (claims CC BY 4.0, abstracts ODC-By): https://github.com/beir-cellar/beir
    cranfield   Cranfield 1400 and
    cisi        CISI: https://ir.dcs.gla.ac.uk/resources/test_collections/
    chunkeval   Chroma's chunking evaluation (MIT), its five texts cut in passages of 150 words:
                https://github.com/brandonstarxel/chunking_evaluation"""


class Split(StrEnum):
    """Which questions."""

    DEV = "dev"
    """Those that parameters may be chosen on."""
    TEST = "test"


@dataclass(frozen=True)
class Collection:
    """Documents, questions and what answers them."""

    name: str
    documents: list[Document]
    questions: dict[str, str]
    labels: dict[Split, Labels]

    @property
    def digest(self) -> str:
        """Names the documents' content."""
        content = hashlib.sha256()
        for document in self.documents:
            content.update(json.dumps([document.id, document.title, document.text]).encode())
        return content.hexdigest()


def read_collections(data: Path | None, names: list[str]) -> list[Collection]:
    """The named collections below a folder, or all there are; ends the process where there are none."""
    if data is None or not data.is_dir():
        sys.exit(f"no labelled collections: {data or 'DATA is not set'}\n{EXPECTED}")
    folders = [data / name for name in names] or sorted(path.parent for path in data.glob("*/corpus.jsonl"))
    missing = [folder.name for folder in folders if not (folder / "corpus.jsonl").is_file()]
    if missing or not folders:
        sys.exit(f"not in {data}: {', '.join(missing) or 'any collection'}\n{EXPECTED}")
    return [read_collection(folder) for folder in folders]


def read_collection(folder: Path) -> Collection:
    """A collection; without `qrels/train.tsv`, one half of the questions is for tuning and the other for the test."""
    test = read_labels(folder / "qrels" / "test.tsv")
    if (folder / "qrels" / "train.tsv").exists():
        train = read_labels(folder / "qrels" / "train.tsv")
        kept = sorted(train, key=_digest)[:_DEV_QUESTIONS]
        labels = {Split.DEV: {query: train[query] for query in kept}, Split.TEST: test}
    else:
        labels = {split: {query: test[query] for query in test if half(query) is split} for split in Split}
    queries = {row["_id"]: row["text"] for row in read_lines(folder / "queries.jsonl")}
    return Collection(folder.name, read_documents(folder / "corpus.jsonl"), queries, labels)


def half(query: str) -> Split:
    """Which half a question is in, by a hash of its id: decided before anyone looked."""
    return (Split.DEV, Split.TEST)[_digest(query)[0] % 2]


def read_labels(path: Path) -> Labels:
    """Grades above zero by query and document."""
    labels: Labels = defaultdict(dict)
    with path.open(encoding="utf-8") as lines:
        for query, document, grade in list(csv.reader(lines, delimiter="\t"))[1:]:
            if float(grade) > 0:
                labels[query][document] = float(grade)
    return dict(labels)


def read_documents(path: Path) -> list[Document]:
    """The documents that have a text."""
    rows = read_lines(path)
    return [Document(row["_id"], row["text"], row.get("title", "")) for row in rows if row["text"].strip()]


def cut(documents: list[Document], labels: Labels, most: int) -> list[Document]:
    """So many of the documents, all judged ones among them; all when `most` is 0."""
    judged = {document for grades in labels.values() for document in grades}
    kept = [document for document in documents if document.id in judged]
    others = [document for document in documents if document.id not in judged]
    return kept + others[: max(0, most - len(kept))] if most else documents


def read_lines(path: Path) -> list[dict[str, str]]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _digest(query: str) -> bytes:
    return hashlib.sha256(query.encode()).digest()
