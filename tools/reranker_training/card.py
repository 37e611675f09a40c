"""The shipped model's card."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from reranker_training.fitting import Sets
from reranker_training.leaving_out import Row
from reranker_training.sources import SOURCES
from sluice_reranker.domain.weights import Weights

_TEMPLATE = Path(__file__).with_name("card.md")


def card(
    weights: Weights,
    digest: str,
    sets: Sets,
    left_out: Sequence[Row],
    shipped: Sequence[Row],
    reliability: Mapping[str, Mapping[str, tuple[int, float, float]]],
) -> str:
    """In Markdown: what it is, what it was fitted on, and what it is worth elsewhere."""
    return _TEMPLATE.read_text(encoding="utf-8").format(
        name=weights.name,
        digest=digest,
        weights="\n".join(f"| `{name}` | {weight:.2f} |" for name, weight in weights.by_feature.items()),
        bias=f"{weights.bias:.2f}",
        sources="\n".join(
            f"| {source.name} | {source.what} | {len(sets[source.name])} | {source.licence} "
            f"| {'fitted' if source.ships else 'only checked'} |"
            for source in SOURCES
        ),
        left_out=table(left_out),
        shipped=table(shipped),
        reliability="\n".join(
            f"| {name} | {bounds} | {count} | {expected:.2f} | {right:.2f} |"
            for name, rows in reliability.items()
            for bounds, (count, expected, right) in rows.items()
        ),
    )


def table(rows: Sequence[Row]) -> str:
    """A line for each collection."""
    lines = [
        "| collection | questions | fused | linear | over fused | trees | over fused |",
        "|---" * 7 + "|",
    ]
    lines += [
        f"| {row.name} | {row.questions} | {row.fused:.4f} | {row.linear:.4f} | {row.linear_over_fused} "
        f"| {row.trees:.4f} | {row.trees_over_fused} |"
        for row in rows
    ]
    return "\n".join(lines)
