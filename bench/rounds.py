"""What rounds of retrieval by rules are worth, on development questions alone: the evidence test and its threshold.

    .venv/bin/python bench/rounds.py --data FOLDER [--sets NAME …] [--coverage 0.6 0.7 …] [--rounds 2] [--split dev]

FOLDER is laid out as BEIR's collections are, see bench/eval_retrieval.py. Compound questions are made of two questions
each, drawn without looking: every other pair is joined by "and", the rest stand behind each other. Retriever, reranker
and rounds are the services' own code. A run hands five passages to the model, so five count: nDCG@5, the share of what
is relevant that is among them, and how often something relevant to every part is.
"""

import argparse
import asyncio
import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from evaluation.asking import KNOWLEDGE_BASE, TENANT, stored
from evaluation.labelled import Collection, Labels, Split, read_collections
from evaluation.measures import confidence
from evaluation.stages import candidate
from rich.console import Console
from rich.table import Table

from sluice_api.objects.pipeline import Audit, PipelineSpec
from sluice_api.objects.retrieval import Retrieval
from sluice_api.objects.rounds import Enough, Rounds
from sluice_api.objects.steps import GenerateStep, RerankStep
from sluice_api.objects.steps import Steps as StepsSpec
from sluice_gateway.domain.clock import SystemClock
from sluice_gateway.domain.gating import Gates
from sluice_gateway.domain.model import Message, Principal, Reranked, RunRequest, ScreenedInput, Verdict
from sluice_gateway.domain.ports import Services
from sluice_gateway.domain.recording import Recorder
from sluice_gateway.domain.rounds import Rounds as RunRounds
from sluice_gateway.domain.run import Event, EventKind
from sluice_gateway.domain.search import Found, Search
from sluice_gateway.domain.stepping import Stepper
from sluice_gateway.domain.steps import Retrieved, Steps
from sluice_reranker.domain.ranking import rank
from sluice_retriever.domain.model import Passage, Reader
from sluice_retriever.domain.parameters import resolve
from sluice_retriever.service import Retriever
from sluice_retriever.store.messages import Lookup

_HANDED = 5
_CONSOLE = Console(width=120)


@dataclass(frozen=True)
class Asked:
    """A question, and for each of its parts what is relevant."""

    text: str
    relevant: tuple[dict[str, float], ...]


class InProcess:
    """Retriever and reranker as a run knows them, without servers; what was found once is remembered."""

    def __init__(self, retriever: Retriever) -> None:
        self._home = retriever.knowledge_bases.home(KNOWLEDGE_BASE)
        self._found: dict[str, Found] = {}

    async def search(self, principal: Principal, search: Search) -> Found:
        if search.query not in self._found:
            parameters = resolve(Retrieval())
            vectors = await self._home.encoder.question(search.query)
            lookup = Lookup(
                Reader(TENANT), search.query, vectors, search.top_k, parameters, None, time.time()
            )
            passages = (await self._home.store.search(lookup)).passages
            self._found[search.query] = Found(passages, vectors)
        return self._found[search.query]

    async def rerank(
        self,
        principal: Principal,
        query: str,
        vectors: object,
        passages: Sequence[Passage],
        top_k: int,
        pipeline: str,
    ) -> Reranked:
        best = rank(query, [candidate(each) for each in passages], top_k, lambda: True).best
        return Reranked([passages[each.index] for each in best], len(passages), "features")


class Events:
    """A journal that only counts further rounds."""

    def __init__(self) -> None:
        self.further = 0

    def append(self, event: Event) -> None:
        self.further += event.kind is EventKind.STEP_ENDED and event.step == "retrieve.2"


async def answered(services: InProcess, question: str, rounds: Rounds) -> tuple[list[str], bool]:
    """The documents of the passages that a run hands to the model, and whether it looked again."""
    spec = PipelineSpec(
        knowledge_base_ref=KNOWLEDGE_BASE,
        guardrail_policy_ref="none",
        rounds=rounds,
        steps=StepsSpec(generate=GenerateStep(model_server_ref="none"), rerank=RerankStep(top_k=_HANDED)),
    )
    events = Events()
    who, messages = Principal(TENANT), (Message("user", question),)
    stepper = Stepper(Recorder(events, SystemClock(), "run", TENANT, "bench", Audit.BEST_EFFORT))
    ports = Services(None, services, services, None)
    request = RunRequest("bench", who, messages)
    gates = Gates(stepper, None, spec, who, "run")
    steps = Steps(stepper, ports, spec, gates, request, waits=True)
    found = await steps.find(question)
    retrieved = Retrieved(ScreenedInput(Verdict("allow")), request, question, found.vectors, found.passages)
    ranked, _ = await steps.rerank(retrieved)
    ranked, _ = await RunRounds(steps, retrieved, time.perf_counter()).run(ranked)
    return [passage.document_id for passage in ranked], bool(events.further)


def single(collection: Collection, labels: Labels) -> list[Asked]:
    return [Asked(collection.questions[query], (labels[query],)) for query in sorted(labels)]


def compound(collection: Collection, labels: Labels) -> list[Asked]:
    """Pairs of questions in one."""
    queries = sorted(labels)
    random.Random(7).shuffle(queries)
    pairs = zip(queries[::2], queries[1::2], strict=False)
    return [
        Asked(
            _joined(index, *(collection.questions[query] for query in pair)), tuple(labels[q] for q in pair)
        )
        for index, pair in enumerate(pairs)
    ]


def _joined(index: int, one: str, other: str) -> str:
    one, other = one.strip(" .?"), other.strip(" .?")
    if index % 2 == 0:
        return f"{one}? {other}?"
    return f"{one} and {other if other[:2].isupper() else other[0].lower() + other[1:]}?"


def measured(documents: Sequence[str], asked: Asked) -> tuple[float, float, float]:
    """nDCG@5, the share found, and whether every part has something."""
    found = list(dict.fromkeys(documents))
    grades: dict[str, float] = {}
    for relevant in asked.relevant:
        for document, grade in relevant.items():
            grades[document] = max(grade, grades.get(document, 0.0))
    ideal = sorted(grades.values(), reverse=True)[:_HANDED]
    gained = sum(grades.get(document, 0.0) / math.log2(place + 2) for place, document in enumerate(found))
    best = sum(grade / math.log2(place + 2) for place, grade in enumerate(ideal))
    share = len(grades.keys() & set(found)) / len(grades)
    return gained / best, share, float(all(relevant.keys() & set(found) for relevant in asked.relevant))


async def measure(collection: Collection, split: Split, coverages: Sequence[float], most: int) -> None:
    labels = collection.labels[split]
    async with stored(collection) as retriever:
        services = InProcess(retriever)
        for kind, questions in (
            ("compound", compound(collection, labels)),
            ("single", single(collection, labels)),
        ):
            title = f"{collection.name}, {split}: {len(questions)} {kind} questions"
            table = Table(
                "coverage", "looked again", "nDCG@5", "found", "every part", "nDCG@5 gained", title=title
            )
            base: list[tuple[float, float, float]] = []
            for coverage in (None, *coverages):
                rounds = Rounds(
                    max_rounds=1 if coverage is None else most, enough=Enough(coverage=coverage or 0.0)
                )
                rows, again = [], 0
                for asked in questions:
                    documents, looked = await answered(services, asked.text, rounds)
                    rows.append(measured(documents, asked))
                    again += looked
                base = base or rows
                gained = np.array([row[0] - before[0] for row, before in zip(rows, base, strict=True)])
                table.add_row(
                    "one round" if coverage is None else f"{coverage:g}",
                    f"{again / len(rows):.0%}",
                    *(f"{mean(column):.3f}" for column in zip(*rows, strict=True)),
                    "" if coverage is None else str(confidence([gained])),
                )
            _CONSOLE.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--coverage", nargs="*", type=float, default=[0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--split", type=Split, choices=list(Split), default=Split.DEV)
    arguments = parser.parse_args()
    for collection in read_collections(arguments.data, arguments.sets):
        asyncio.run(measure(collection, arguments.split, arguments.coverage, arguments.rounds))


if __name__ == "__main__":
    main()
