"""Whether a filtered graph search also looks at neighbours' neighbours (ACORN). Pure.

It brings back what a filter's holes in the graph lose, and costs five to fifteen times the search. The bounds are of
published measurements (one million points, recall@10 with ACORN off and on): one keyword at 20 % 0.91 and 1.00, at 10 %
0.99 and 1.00, at 1 % 1.00 and 1.00; two keywords together at 4 % 0.40 and 1.00, at 1 % 0.97 and 1.00;
`bench/retrieval.py` finds 0.93 and 1.00 there.
"""

from sluice_api.objects.retrieval import Acorn

#: Below this share the engine looks through what the filter lets pass and asks no graph.
FEWEST = 0.005
#: Above this share the graph has few holes, and the engine itself does without.
MOST = 0.4
#: Values that more points hold get no edges of their own in the graph.
COMMON = 0.17

ASKED = "asked for"
REFUSED = "switched off"
NO_GRAPH = "no graph is searched"
TENANT_ONLY = "the tenant alone restricts the search"
UNKNOWN = "the filter's selectivity was not estimated"
SELECTIVE = "the filter lets so little pass that it is looked through without the graph"
BROAD = "the filter lets so much pass that the graph has few holes"
CONJUNCTION = "conditions that the graph has no edges for together"
COMMON_VALUE = "a condition that too many chunks meet to have edges of its own"
OWN_EDGES = "a single condition, which has edges of its own"


def choose(mode: Acorn, *, graph: bool, conditions: int, selectivity: float | None) -> tuple[bool, str]:
    """The choice, and the constant above that says why.

    Args:
        mode: What is asked for.
        graph: Whether a graph is searched at all.
        conditions: Of the caller's filter, on metadata; tenant, ACL and expiry are none.
        selectivity: Share of the tenant's chunks that the filter lets pass, 0 to 1; None where nobody estimated it.
    """
    if mode is Acorn.OFF:
        return False, REFUSED
    if not graph:
        return False, NO_GRAPH
    if mode is Acorn.ON:
        return True, ASKED
    if conditions == 0:
        return False, TENANT_ONLY
    if selectivity is None:
        return False, UNKNOWN
    if selectivity > MOST:
        return False, BROAD
    if conditions == 1:
        return (True, COMMON_VALUE) if selectivity > COMMON else (False, OWN_EDGES)
    return (True, CONJUNCTION) if selectivity >= FEWEST else (False, SELECTIVE)
