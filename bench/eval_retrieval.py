"""How well each stage of retrieval ranks, on labelled collections, through the retriever's own ingestion and search.

    make eval-retrieval DATA=folder
    .venv/bin/python bench/eval_retrieval.py --data FOLDER [--sets NAME …] [--split dev] [--whole] [--tune]
        [--token-match exact]

Each document is cut and stored as a knowledge base's is, and stands where its best chunk does. What is stored stays
in .cache/evaluation, so that only the first run encodes. `--whole` adds what one vector for each document and BM25 over
whole documents find. `--tune` looks for one set of parameters on the development questions alone and prints the best;
the test's are not read by it. `--token-match` asks with another way to match tokens, and stores what that needs.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation import whole
from evaluation.asking import CACHE, Asked, all_candidates, ask, stored
from evaluation.labelled import EXPECTED, Collection, Split, read_collections
from evaluation.measures import MEASURES, Interval, difference, scores
from evaluation.plots import differences
from evaluation.stages import BM25, DENSE, LEGS, RERANK, STAGED, Candidates, rankings
from evaluation.tuning import LEG_LIMIT, attempt, describe, tuned
from rich.console import Console
from rich.table import Table

from sluice_api.objects.knowledge_base import KnowledgeBaseSpec, TokenVectors
from sluice_api.objects.retrieval import Retrieval, TokenMatch
from sluice_retriever.domain.parameters import Parameters, resolve

#: A staged ranking may be this much under the best leg alone; on SciFact it is to reach this nDCG@10.
_MARGIN, _TARGET = 0.02, 0.73

_PRINTED = 10

_CONSOLE = Console(width=None if sys.stdout.isatty() else 130)

#: Each stage's values by measure and question.
Values = dict[str, dict[str, dict[str, float]]]


def main() -> None:
    """Measures or tunes."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXPECTED, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=lambda given: Path(given) if given else None, required=True)
    parser.add_argument("--sets", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.TEST)
    parser.add_argument("--token-match", type=TokenMatch, choices=list(TokenMatch), default=TokenMatch.ANY)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--tune", action="store_true")
    arguments = parser.parse_args()
    collections = read_collections(arguments.data, arguments.sets)
    parameters = resolve(Retrieval(token_match=arguments.token_match))
    if arguments.tune:
        asyncio.run(tune(collections, parameters))
    else:
        asyncio.run(measure(collections, arguments.split, parameters, with_whole=arguments.whole))


async def measure(
    collections: Sequence[Collection], split: Split, parameters: Parameters, *, with_whole: bool
) -> None:
    """Prints every stage's numbers, and how sure the differences are."""
    better: dict[str, dict[str, Interval]] = {}
    for collection in collections:
        values = await _values(collection, split, parameters, with_whole=with_whole)
        better[collection.name] = {
            leg: difference(values[STAGED]["nDCG@10"], values[leg]["nDCG@10"]) for leg in (*LEGS, RERANK)
        }
        _print(f"{collection.name}, {split}", values, better[collection.name])
        _judge(collection.name, values, better[collection.name])
    path = CACHE / "plots" / f"stages-{split}.png"
    differences(better, STAGED, path)
    _CONSOLE.print(f"plot: {path}")


async def tune(collections: Sequence[Collection], default: Parameters) -> None:
    """Prints the best sets of parameters and whether they are clearly better than the default."""
    found = {}
    for collection in collections:
        asked = await _ask(collection, Split.DEV, all_candidates(default, LEG_LIMIT))
        found[collection.name] = {query: Candidates.of(row) for query, row in asked.items()}
    labels = {collection.name: collection.labels[Split.DEV] for collection in collections}
    present = attempt(default, found, labels)
    best = tuned(default, found, labels)[:_PRINTED]
    table = Table("parameters", *found, "mean", "over the default", title="nDCG@10 on development questions")
    for tried in (present, *best):
        means = [f"{sum(row.values()) / len(row):.3f}" for row in tried.by_collection.values()]
        over = "default" if tried is present else str(tried.over(present))
        table.add_row(describe(tried.parameters), *means, f"{tried.mean:.4f}", over)
    _CONSOLE.print(table)
    clear = best[0].over(present)
    verdict = "clearly better" if clear.low > 0 else "not clearly better: the default stays"
    _CONSOLE.print(f"best: {describe(best[0].parameters)}; {verdict}")


async def _ask(collection: Collection, split: Split, parameters: Parameters) -> dict[str, Asked]:
    questions = {query: collection.questions[query] for query in collection.labels[split]}
    matches = {TokenMatch.ANY, parameters.token_match} - {TokenMatch.OFF}
    spec = KnowledgeBaseSpec(tokens=TokenVectors(match=tuple(sorted(matches))))
    async with stored(collection, spec) as retriever:
        return await ask(retriever, questions, parameters, collection.name)


async def _values(
    collection: Collection, split: Split, parameters: Parameters, *, with_whole: bool
) -> Values:
    asked = await _ask(collection, split, parameters)
    stages = rankings(asked, parameters)
    if with_whole:
        stages |= whole.rankings(collection, {query: found.text for query, found in asked.items()})
    labels = collection.labels[split]
    return {
        stage: scores(labels, {query: documents[:10] for query, documents in by_query.items()})
        for stage, by_query in stages.items()
    }


def _print(title: str, values: Values, better: dict[str, Interval]) -> None:
    questions = len(values[STAGED]["nDCG@10"])
    table = Table("stage", *MEASURES, f"{STAGED} minus it, nDCG@10", title=f"{title}: {questions} questions")
    for stage, measures in values.items():
        means = [f"{sum(row.values()) / questions:.3f}" for row in measures.values()]
        table.add_row(stage, *means, str(better.get(stage, "")))
    _CONSOLE.print(table)


def _judge(name: str, values: Values, better: dict[str, Interval]) -> None:
    """Says whether what is aimed at is reached."""
    means = {stage: sum(row["nDCG@10"].values()) / len(row["nDCG@10"]) for stage, row in values.items()}
    best = max((BM25, DENSE), key=means.__getitem__)
    passed = means[STAGED] >= means[best] - _MARGIN
    _CONSOLE.print(
        f"{name}: staged at most {_MARGIN} under the best leg alone ({best}): {'pass' if passed else 'FAIL'}"
    )
    if name == "scifact":
        reached = "pass" if means[STAGED] >= _TARGET else "FAIL"
        _CONSOLE.print(f"{name}: staged nDCG@10 at least {_TARGET}: {reached} ({means[STAGED]:.4f})")


if __name__ == "__main__":
    main()
