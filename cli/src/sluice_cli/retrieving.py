"""Parameters of retrieval as they are typed, and how passages were found as it is shown."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from sluice_cli.errors import usage

Json = dict[str, Any]

Retrieval = Annotated[
    list[str] | None,
    typer.Option(
        "--retrieval",
        metavar="KEY=VALUE",
        help="A parameter of retrieval, as in neighbours=1 or fusion.k=60. May be repeated.",
        show_default=False,
    ),
]


def retrieval(pairs: Sequence[str], named: Mapping[str, object | None] | None = None) -> Json:
    """The parameters that a request overrides; what they mean and allow is the gateway's to say.

    Args:
        pairs: `key=value`; dots reach into parts.
        named: Given by options of their own, where not None; these win.

    Raises:
        CommandError: a pair is none.
    """
    parameters: Json = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not key or not equals:
            raise usage(f"{pair!r} is not KEY=VALUE", "as in --retrieval max_per_document=2")
        _put(parameters, key.strip().split("."), _value(text.strip()), pair)
    return parameters | {
        key: _finite(key, value) for key, value in (named or {}).items() if value is not None
    }


def _put(parameters: Json, path: Sequence[str], value: object, pair: str) -> None:
    *parts, last = path
    for part in parts:
        parameters = parameters.setdefault(part, {})
        if not isinstance(parameters, dict):
            raise usage(f"{pair!r}: {part} is given as a value already")
    parameters[last] = value


def _finite(key: str, value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        raise usage(f"{key}: {value} is not a number that can be sent")
    return value


def _value(text: str) -> object:
    """A number, true or false where it is one, else the text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, int | float) and math.isfinite(value) else text


def legs_table(hits: Sequence[Json]) -> Table:
    """Where each leg placed each passage, counted from one, and its score; legs that found none have no column."""
    legs = list(dict.fromkeys(leg["leg"] for hit in hits for leg in hit["legs"]))
    several = len({hit["knowledge_base"] for hit in hits}) > 1
    table = Table("", "document", *(["kb"] if several else []), "score", *legs)
    table.columns[0].justify = "right"
    table.columns[1].overflow = "fold"  # the end of an id tells more than its beginning
    for number, hit in enumerate(hits, 1):
        placed = {leg["leg"]: f"#{leg['rank'] + 1}  {leg['score']:.3f}" for leg in hit["legs"]}
        where = [escape(hit["knowledge_base"])] if several else []
        cells = [placed.get(leg, "–") for leg in legs]
        table.add_row(str(number), escape(hit["document_id"]), *where, f"{hit['score']:.4f}", *cells)
    return table


def explanation_lines(explanation: Json) -> list[str]:
    """How one knowledge base was searched."""
    lines = [f"[bold]{escape(explanation['knowledge_base'])}[/]"]
    candidates = ", ".join(f"{leg} {count}" for leg, count in sorted(explanation["candidates"].items()))
    selectivity = explanation["selectivity"]
    acorn = ": ".join(part for part in (explanation["acorn"] or "", explanation["acorn_reason"]) if part)
    read = explanation["self_query"]
    phrases = ", ".join(f"“{phrase}”" for phrase in read["phrases"])
    told = {
        "candidates": candidates,
        "selectivity": "" if selectivity is None else f"{selectivity:.1%} of the chunks pass the filter",
        "acorn": acorn,
        "filter read": f"{json.dumps(read['filter'], ensure_ascii=False)} from {phrases}"
        if read["filter"]
        else "",
        "parameters": ", ".join(f"{key}={value}" for key, value in _flat(explanation["parameters"])),
        "model": explanation["model_digest"][:12],
        "generation": explanation["generation"],
    }
    return lines + [f"  {name:<12} {escape(value)}" for name, value in told.items() if value]


def _flat(parameters: Json, above: str = "") -> list[tuple[str, object]]:
    flat: list[tuple[str, object]] = []
    for key, value in parameters.items():
        flat += _flat(value, f"{above}{key}.") if isinstance(value, dict) else [(above + key, value)]
    return flat
