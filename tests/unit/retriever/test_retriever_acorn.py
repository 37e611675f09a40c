"""When a filtered graph search looks further."""

import pytest

from sluice_api.objects.retrieval import Acorn
from sluice_retriever.domain import acorn
from sluice_retriever.domain.acorn import choose


@pytest.mark.parametrize(
    ("conditions", "selectivity", "expected"),
    [
        (0, 0.05, (False, acorn.TENANT_ONLY)),
        (0, None, (False, acorn.TENANT_ONLY)),
        (1, None, (False, acorn.UNKNOWN)),
        (1, 0.01, (False, acorn.OWN_EDGES)),
        (1, 0.17, (False, acorn.OWN_EDGES)),
        (1, 0.2, (True, acorn.COMMON_VALUE)),
        (1, 0.41, (False, acorn.BROAD)),
        (2, 0.0049, (False, acorn.SELECTIVE)),
        (2, 0.005, (True, acorn.CONJUNCTION)),
        (3, 0.04, (True, acorn.CONJUNCTION)),
        (2, 0.4, (True, acorn.CONJUNCTION)),
        (2, 0.5, (False, acorn.BROAD)),
        (2, None, (False, acorn.UNKNOWN)),
    ],
)
def test_auto_looks_further_where_the_graph_has_holes(
    conditions: int, selectivity: float | None, expected: tuple[bool, str]
) -> None:
    assert choose(Acorn.AUTO, graph=True, conditions=conditions, selectivity=selectivity) == expected


def test_what_is_asked_for_is_done() -> None:
    assert choose(Acorn.ON, graph=True, conditions=0, selectivity=None) == (True, acorn.ASKED)
    assert choose(Acorn.OFF, graph=True, conditions=2, selectivity=0.1) == (False, acorn.REFUSED)


@pytest.mark.parametrize("mode", [Acorn.ON, Acorn.AUTO])
def test_without_a_graph_there_is_nothing_to_look_further_in(mode: Acorn) -> None:
    assert choose(mode, graph=False, conditions=2, selectivity=0.1) == (False, acorn.NO_GRAPH)
