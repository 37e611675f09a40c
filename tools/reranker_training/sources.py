"""Collections that the ranker learns from, and those it is only checked on."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.labelled import (
    Collection,
    Labels,
    Split,
    cut,
    read_collection,
    read_documents,
    read_labels,
    read_lines,
)

from sluice_retriever.domain.model import Document

#: SciFact's abstracts that are stored, all judged ones among them, and its training claims that are asked.
_ABSTRACTS, _CLAIMS = 900, 400
#: Questions of PubMedQA and claims of CLIMATE-FEVER.
_FIRST = 150

EXPECTED = """\
expected: a folder with

    DATA/retrieval/{scifact,chunkeval,cranfield,cisi}    in BEIR's layout, as bench/eval_retrieval.py has them
    DATA/guardrails/pubmedqa/ori_pqal.json               https://github.com/pubmedqa/pubmedqa
    DATA/guardrails/climate_fever/climate-fever.jsonl    https://github.com/tdiggelm/climate-fever-dataset"""


@dataclass(frozen=True)
class Source:
    """A collection and its labels, no test question among them."""

    name: str
    licence: str
    ships: bool
    """Whether its licence lets weights that were fitted on it be handed on; the others are only checked on."""
    what: str
    read: Callable[[Path], Collection]


def _scifact(data: Path) -> Collection:
    folder = data / "retrieval" / "scifact"
    train = read_labels(folder / "qrels" / "train.tsv")
    train = {query: train[query] for query in sorted(train, key=_digest)[:_CLAIMS]}
    test = read_labels(folder / "qrels" / "test.tsv")  # which documents are judged, and no more
    documents = cut(read_documents(folder / "corpus.jsonl"), {**train, **test}, _ABSTRACTS)
    queries = {row["_id"]: row["text"] for row in read_lines(folder / "queries.jsonl")}
    return Collection("scifact_cut", documents, queries, {Split.DEV: train})


def _digest(query: str) -> bytes:
    return hashlib.sha256(query.encode()).digest()


def _halved(name: str) -> Callable[[Path], Collection]:
    return lambda data: read_collection(data / "retrieval" / name)


def _pubmedqa(data: Path) -> Collection:
    """Questions, and each paragraph of the abstract that answers one as a document."""
    path = data / "guardrails" / "pubmedqa" / "ori_pqal.json"
    rows = list(json.loads(path.read_text(encoding="utf-8")).items())[:_FIRST]
    documents: list[Document] = []
    labels: Labels = {}
    for name, row in rows:
        paragraphs = {f"{name}-{number}": text for number, text in enumerate(row["CONTEXTS"])}
        documents += [Document(key, text, "") for key, text in paragraphs.items()]
        labels[name] = dict.fromkeys(paragraphs, 1.0)
    return Collection(
        "pubmedqa", documents, {name: row["QUESTION"] for name, row in rows}, {Split.DEV: labels}
    )


def _climate_fever(data: Path) -> Collection:
    """Claims, and each sentence of evidence as a document; what supports or refutes a claim is right."""
    path = data / "guardrails" / "climate_fever" / "climate-fever.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[:_FIRST]]
    documents: dict[str, Document] = {}
    labels: Labels = {}
    for row in rows:
        for each in row["evidences"]:
            key = each["evidence_id"]
            documents[key] = Document(key, each["evidence"].strip('"'), each["article"])
            if each["evidence_label"] in ("SUPPORTS", "REFUTES"):
                labels.setdefault(row["claim_id"], {})[key] = 1.0
    queries = {row["claim_id"]: row["claim"] for row in rows}
    return Collection("climate_fever", list(documents.values()), queries, {Split.DEV: labels})


_SHIPS, _CHECKED = True, False

SOURCES: Sequence[Source] = (
    Source(
        "scifact",
        "claims CC BY 4.0, abstracts ODC-By 1.0",
        _SHIPS,
        "400 training claims, 900 abstracts",
        _scifact,
    ),
    Source("chunkeval", "MIT", _SHIPS, "development half of the questions", _halved("chunkeval")),
    Source("pubmedqa", "MIT", _SHIPS, "150 questions, a paragraph a document", _pubmedqa),
    Source("cranfield", "none stated", _CHECKED, "development half of the questions", _halved("cranfield")),
    Source("cisi", "none stated", _CHECKED, "development half of the questions", _halved("cisi")),
    Source("climate_fever", "CC BY-SA", _CHECKED, "150 claims, a sentence a document", _climate_fever),
)
