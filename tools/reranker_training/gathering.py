"""The candidates of a collection's questions, as the service would be given them."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from evaluation.asking import Asked, ask, stored
from evaluation.labelled import Collection, Split
from evaluation.measures import scores
from evaluation.stages import RERANKED, candidate

from sluice_reranker.domain.features import matrix
from sluice_reranker.domain.reading import Floats, Read
from sluice_retriever.domain.parameters import resolve

#: Gives each candidate of a question a score.
Scorer = Callable[["Question"], Floats]


@dataclass(frozen=True)
class Question:
    """A question's candidates, in the retriever's order."""

    features: Floats
    """Shape (candidates, features)."""
    documents: Sequence[str]
    grades: Mapping[str, float]

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which candidates are of a document that answers."""
        return np.array([document in self.grades for document in self.documents])

    def ranked(self, score: Floats) -> list[str]:
        """Documents, best first; equals keep the retriever's order."""
        order = np.argsort(-score, kind="stable")
        return list(dict.fromkeys(self.documents[index] for index in order))


async def gather(collection: Collection) -> list[Question]:
    """The candidates of all questions that have any."""
    labels = collection.labels[Split.DEV]
    async with stored(collection) as retriever:
        questions = {query: collection.questions[query] for query in labels}
        asked = await ask(retriever, questions, resolve(), collection.name)
    return [_question(found, labels[query]) for query, found in asked.items() if found.passages]


def ndcg(asked: Sequence[Question], scorer: Scorer) -> dict[str, float]:
    """nDCG@10 of each question, by its number."""
    labels = {str(number): dict(each.grades) for number, each in enumerate(asked)}
    rankings = {str(number): each.ranked(scorer(each))[:10] for number, each in enumerate(asked)}
    return scores(labels, rankings)["nDCG@10"]


def fused(asked: Question) -> Floats:
    """The retriever's order."""
    return -np.arange(len(asked.documents), dtype=np.float64)


def mean(values: Mapping[str, float]) -> float:
    """Over the questions."""
    return statistics.fmean(values.values())


def _question(asked: Asked, grades: Mapping[str, float]) -> Question:
    candidates = [candidate(passage) for passage in asked.passages[:RERANKED]]
    features = matrix(asked.text, candidates, [Read.of(each) for each in candidates])
    return Question(features, [passage.document_id for passage in asked.passages[:RERANKED]], grades)
