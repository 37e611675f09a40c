"""What the worker and the retriever hand each other."""

import pickle
from dataclasses import astuple, dataclass

from sluice_retriever.domain.model import Leg, LegScore, Passage, SentenceScore, Span
from sluice_retriever.domain.pickling import by_position

PASSAGE = Passage(
    "document",
    "document#0",
    "Title",
    "A text. Another.",
    "{}",
    0.5,
    (LegScore(Leg.DENSE, 0, 0.7), LegScore(Leg.TOKENS, 3, 0.2)),
    (SentenceScore(Span(0, 7), 0.7), SentenceScore(Span(8, 16), 0.1)),
    "handbook",
)


def test_passage_arrives_as_it_was_sent():
    received = pickle.loads(pickle.dumps(PASSAGE))
    assert received == PASSAGE
    assert received.legs[0].leg is Leg.DENSE


@by_position
@dataclass(frozen=True, slots=True)
class _Pair:
    first: object
    second: object = "default"


def test_fields_go_by_position_and_nothing_else_does():
    assert _Pair(1, _Pair(2)).__reduce__() == (_Pair, (1, _Pair(2)))
    assert astuple(pickle.loads(pickle.dumps(_Pair(1, None)))) == (1, None)
