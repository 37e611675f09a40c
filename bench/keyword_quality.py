"""What a keyword store adds to the fusion, on a labelled collection in the layout that `eval_retrieval.py` says.

    python bench/keyword_quality.py --data FOLDER [--documents N] [--split train] [--questions N]

The collection is ingested once, with the embedded keyword store; every question is then asked with other weights.
"""

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

from evaluation.asking import KNOWLEDGE_BASE, TENANT, ingest
from evaluation.labelled import Labels, cut, read_documents, read_labels, read_lines
from evaluation.measures import scores

from sluice_api.objects.knowledge_base import EmbeddedKeyword, Keyword, KnowledgeBaseSpec
from sluice_api.objects.retrieval import Fusion, Retrieval
from sluice_retriever.domain.model import Reader
from sluice_retriever.questions import Questions, Search
from sluice_retriever.service import opened
from sluice_retriever.settings import RetrieverSettings

#: Weights of the fusion by what is compared.
FUSIONS = {
    "dense, sparse, tokens": Fusion(keyword=0.0),
    "and keyword": Fusion(),
    "and keyword, half": Fusion(keyword=0.5),
    "keyword in place of sparse": Fusion(sparse=0.0),
    "sparse alone": Fusion(dense=0.0, tokens=0.0, keyword=0.0),
    "keyword alone": Fusion(dense=0.0, tokens=0.0, sparse=0.0),
}


def main() -> None:
    """Prints nDCG@10 of each fusion."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=0, help="cut the collection; 0 keeps all")
    parser.add_argument("--split", default="train")
    parser.add_argument("--questions", type=int, default=0, help="asks the first ones only; 0 asks all")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.data, arguments.documents, arguments.split, arguments.questions))


async def measure(data: Path, documents: int, split: str, questions: int) -> None:
    """Ingests and asks."""
    labels = read_labels(data / "qrels" / f"{split}.tsv")
    corpus = cut(read_documents(data / "corpus.jsonl"), labels, documents)
    queries = {row["_id"]: row["text"] for row in read_lines(data / "queries.jsonl")}
    spec = KnowledgeBaseSpec(keyword=Keyword(embedded=EmbeddedKeyword()))
    with tempfile.TemporaryDirectory() as folder:
        async with opened(RetrieverSettings(data_dir=Path(folder))) as retriever:
            await retriever.knowledge_bases.apply({KNOWLEDGE_BASE: spec})
            await ingest(retriever.ingestion, corpus, data.name)
            asked = {query: labels[query] for query in list(labels)[: questions or None]}
            await ask(retriever.questions, {query: queries[query] for query in asked}, asked)


async def ask(questions: Questions, queries: dict[str, str], labels: Labels) -> None:
    """Asks every question with every fusion, encoded once."""
    rankings: dict[str, dict[str, list[str]]] = {name: {} for name in FUSIONS}
    for query, text in queries.items():
        vectors = await questions.embed(text)
        for name, fusion in FUSIONS.items():
            # A leg that is late would count for one that finds nothing.
            parameters = Retrieval.model_validate({"fusion": fusion, "keyword_timeout": "10s"})
            search = Search(Reader(TENANT), KNOWLEDGE_BASE, text, 50, vectors, parameters=parameters)
            answer = await questions.search(search)
            if answer.degraded:
                raise RuntimeError(f"{name}: {answer.degraded}")
            rankings[name][query] = list(dict.fromkeys(passage.document_id for passage in answer.passages))
    for name, found in rankings.items():
        values = scores(labels, found)["nDCG@10"].values()
        print(f"nDCG@10 {name:<28} {statistics.fmean(values):.4f}  ({len(values)} questions)")


if __name__ == "__main__":
    main()
