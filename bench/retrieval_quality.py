"""Ranking quality of the retriever on a labelled collection, through its own ingestion and search.

    python bench/retrieval_quality.py --data FOLDER [--documents N] [--split NAME] [--token-match any exact off]

FOLDER holds `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels/test.tsv`
(query, document, grade; a header line), as BEIR's collections do. With `--documents` the collection is cut:
all judged documents stay, others fill up; its numbers then compare only with others of the same cut. With
`--token-match` every question is asked in each of these ways.
"""

import argparse
import asyncio
import csv
import json
import math
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from sluice_api.objects.knowledge_base import KnowledgeBaseSpec, TokenVectors
from sluice_api.objects.retrieval import Retrieval, TokenMatch
from sluice_retriever.domain.model import Document, Passage, Reader
from sluice_retriever.ingestion import Ingestion
from sluice_retriever.questions import Questions, Search
from sluice_retriever.service import Retriever, opened
from sluice_retriever.settings import RetrieverSettings

KNOWLEDGE_BASE = "bench"
TENANT = "bench"
GROUP = 64
TOP = 10

Labels = dict[str, dict[str, float]]


def main() -> None:
    """Prints nDCG@10 of the fusion and of each leg, and the time they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=0, help="cut the collection; 0 keeps all")
    parser.add_argument("--split", default="test", help="whose questions are asked")
    parser.add_argument("--token-match", nargs="+", type=TokenMatch, default=[TokenMatch.ANY])
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.data, arguments.documents, arguments.split, arguments.token_match))


async def measure(data: Path, documents: int, split: str, matches: Sequence[TokenMatch]) -> None:
    """Ingests and asks."""
    labels = read_labels(data / "qrels" / f"{split}.tsv")
    corpus = read_corpus(data / "corpus.jsonl", labels, documents)
    queries = {row["_id"]: row["text"] for row in read_lines(data / "queries.jsonl")}
    stored = TokenVectors(match=tuple(match for match in matches if match is not TokenMatch.OFF))
    async with retriever(KnowledgeBaseSpec(tokens=stored)) as running:
        await ingest(running.ingestion, corpus)
        for match in matches:
            print(f"token match {match}")
            parameters = Retrieval(token_match=match)
            await ask(running.questions, {query: queries[query] for query in labels}, labels, parameters)


@asynccontextmanager
async def retriever(spec: KnowledgeBaseSpec = KnowledgeBaseSpec()) -> AsyncIterator[Retriever]:  # noqa: B008 - frozen
    """A retriever with an empty knowledge base, gone with all its data after the block."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(RetrieverSettings(data_dir=Path(folder))) as running:
            await running.knowledge_bases.apply({KNOWLEDGE_BASE: spec})
            yield running


async def ingest(ingestion: Ingestion, corpus: list[Document]) -> None:
    """Stores the collection."""
    started, chunks = time.perf_counter(), 0
    for start in range(0, len(corpus), GROUP):
        async for result in ingestion.ingest(TENANT, KNOWLEDGE_BASE, corpus[start : start + GROUP]):
            chunks += result.chunks
    seconds = time.perf_counter() - started
    print(f"{len(corpus)} documents, {chunks} chunks in {seconds:.0f} s: {chunks / seconds:.1f} chunks/s")


async def ask(questions: Questions, queries: dict[str, str], labels: Labels, parameters: Retrieval) -> None:
    """Asks all questions, one after the other."""
    scores: dict[str, list[float]] = defaultdict(list)
    times: dict[str, list[float]] = defaultdict(list)
    for query, text in queries.items():
        answer = await questions.search(
            Search(Reader(TENANT), KNOWLEDGE_BASE, text, 50, parameters=parameters)
        )
        for stage, milliseconds in answer.timings_ms.items():
            times[stage].append(milliseconds)
        scores["fused"].append(ndcg(documents_of(answer.passages), labels[query]))
        for leg in ("dense", "sparse", "tokens"):
            placed = [
                (score.rank, passage)
                for passage in answer.passages
                for score in passage.legs
                if score.leg == leg
            ]
            ranked = [passage for _, passage in sorted(placed, key=lambda pair: pair[0])]
            scores[f"{leg} (of the fused 50)"].append(ndcg(documents_of(ranked), labels[query]))
    for name, values in scores.items():
        if not any(values):
            continue  # of a leg that was not asked
        print(f"nDCG@{TOP} {name:<26} {statistics.fmean(values):.4f}  ({len(values)} questions)")
    for stage, taken in times.items():
        cuts = statistics.quantiles(taken, n=20)
        print(f"{stage:<6} p50 {cuts[9]:.1f} ms  p95 {cuts[18]:.1f} ms")


def documents_of(passages: list[Passage]) -> list[str]:
    """The documents of the passages, each once, best first."""
    return list(dict.fromkeys(passage.document_id for passage in passages))[:TOP]


def ndcg(found: list[str], grades: dict[str, float]) -> float:
    """Normalised discounted cumulative gain, with BEIR's linear gain."""
    gain = sum(grades.get(document, 0.0) / math.log2(rank + 2) for rank, document in enumerate(found))
    best = sorted(grades.values(), reverse=True)[:TOP]
    return gain / sum(grade / math.log2(rank + 2) for rank, grade in enumerate(best))


def read_labels(path: Path) -> Labels:
    """Grades above zero by query and document."""
    labels: Labels = defaultdict(dict)
    with path.open(encoding="utf-8") as lines:
        for query, document, grade in list(csv.reader(lines, delimiter="\t"))[1:]:
            if float(grade) > 0:
                labels[query][document] = float(grade)
    return dict(labels)


def read_corpus(path: Path, labels: Labels, most: int) -> list[Document]:
    """The collection, cut to `most` documents where that is not 0."""
    rows = read_lines(path)
    if most:
        judged = {document for grades in labels.values() for document in grades}
        kept = [row for row in rows if row["_id"] in judged]
        others = [row for row in rows if row["_id"] not in judged]
        rows = kept + others[: max(0, most - len(kept))]
    return [Document(row["_id"], row["text"], row.get("title", "")) for row in rows if row["text"].strip()]


def read_lines(path: Path) -> list[dict[str, str]]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
