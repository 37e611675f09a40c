"""Whether answers cite the right document, and whether questions that nothing answers are refused.

    .venv/bin/python bench/answers.py --data FOLDER [--others FOLDER] [--most N]

FOLDER is laid out as BEIR's collections are. Its documents are ingested and its questions asked through the OpenAI
API. `--others` names a second collection, whose questions the first one's documents do not answer.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from evaluation.labelled import cut, read_documents, read_labels, read_lines

from support.running import Running, running

Json = dict[str, object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--others", type=Path)
    parser.add_argument("--documents", type=int, default=0, help="cut the collection; 0 keeps all")
    parser.add_argument("--most", type=int, default=500, help="questions of each collection")
    arguments = parser.parse_args()
    labels = read_labels(arguments.data / "qrels" / "test.tsv")
    queries = {row["_id"]: row["text"] for row in read_lines(arguments.data / "queries.jsonl")}
    asked = list(labels)[: arguments.most]
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as up:
        corpus = cut(read_documents(arguments.data / "corpus.jsonl"), labels, arguments.documents)
        documents: list[Json] = [{"id": each.id, "title": each.title, "text": each.text} for each in corpus]
        for start in track(range(0, len(documents), 64), "ingesting"):
            up.ingest(documents[start : start + 64])
        answers = _ask(up, [queries[query] for query in asked])
        _report(answers, [set(labels[query]) for query in asked])
        if arguments.others is not None:
            rows = read_lines(arguments.others / "queries.jsonl")
            _report_others(_ask(up, [row["text"] for row in rows[: arguments.most]]))


def _ask(up: Running, questions: Sequence[str]) -> list[Json]:
    with httpx.Client(base_url=up.url, timeout=60.0, verify=False) as http, ThreadPoolExecutor(2) as pool:

        def one(question: str) -> Json:
            body = {"model": "default", "messages": [{"role": "user", "content": question}]}
            reply = http.post("/v1/chat/completions", json=body).raise_for_status().json()
            return {**reply["sluice"], "text": reply["choices"][0]["message"]["content"]}

        return list(track(pool.map(one, questions), "asking", total=len(questions)))


def _report(answers: Sequence[Json], right: Sequence[set[str]]) -> None:
    count: Counter[str] = Counter()
    for answer, documents in zip(answers, right, strict=True):
        cited = list(_cited(answer))
        count["blocked or failed"] += answer["state"] != "answered"
        count["no document cited"] += not cited
        count["first cited is right"] += bool(cited) and cited[0] in documents
        count["a cited one is right"] += any(document in documents for document in cited)
    print(f"{len(answers)} questions that the documents answer")
    for name, value in count.items():
        print(f"  {name:24}{value:5}  {value / len(answers):6.1%}")


def _report_others(answers: Sequence[Json]) -> None:
    refused = sum(not list(_cited(answer)) for answer in answers)
    print(
        f"{len(answers)} questions that they do not answer\n  refused {refused:5}  {refused / len(answers):6.1%}"
    )


def _cited(answer: Json) -> Iterator[str]:
    """The documents in the order in which the text cites them first."""
    citations = {each["number"]: each["document_id"] for each in answer["citations"]}
    text = str(answer["text"])
    yield from (
        citations[number] for number in sorted(citations, key=lambda number: text.find(f"[{number}]"))
    )


if __name__ == "__main__":
    main()
