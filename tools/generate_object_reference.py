"""Writes docs/reference/ from the models: what every kind may say, what it says of itself, and what to do about it."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from object_tables import fields, rules, table

from sluice_api.crds.columns import columns
from sluice_api.crds.definitions import definition
from sluice_api.objects.base import API_VERSION, SluiceObject
from sluice_api.objects.registry import KINDS
from sluice_api.statuses.base import LOOP_CONDITIONS, READY_REASONS, ConditionType
from sluice_api.statuses.registry import STATUSES

FOLDER = Path(__file__).parents[1] / "docs" / "reference"

_GENERATED = (
    "This page is generated from the models in `libs/api/src/sluice_api`; `make reference` writes it anew."
)

#: The page that tells how a kind is used.
_GUIDES = {
    "ModelServer": "inference",
    "LoRAAdapter": "adapters",
    "AdapterExperiment": "experiments",
    "KnowledgeBase": "retrieval",
    "GuardrailPolicy": "guardrails",
    "Pipeline": "pipelines",
}

_HEAD = f"""# Objects

All objects have `apiVersion: {API_VERSION}`, a `kind`, `metadata.name` and a `spec`. The same files drive `sluice up`
on one machine and the operator in a cluster. `sluice compile -f FOLDER` checks them and names file, object and field of
whatever is wrong; in a cluster the API server refuses what breaks a rule, by the definitions in `crds/`.

`kubectl get sluice -A` lists all kinds, and `kubectl explain KIND.spec` tells what stands on these pages.

{_GENERATED}
"""

_WRITING = """
## How values are written

| type | is written |
| --- | --- |
| duration | a number and a unit: `250ms`, `1.5s`, `5m`, `24h`, `7d` |
| quantity | as in pods: `500m`, `4`, `20Gi` |
"""

_CONDITIONS = """
## Conditions

Every kind says in `status.conditions` how it stands. `Ready` sums all others up: `kubectl wait --for=condition=Ready`
waits for it, and `kubectl describe` shows the messages, which say what is so and what to do. A condition's
`observedGeneration` is the generation of the spec that it is about. Each kind's page has its own conditions; what
follows comes from the operator's loop.

### `Ready`

Why the operator could not do its part, whatever the kind; a kind has reasons of its own.

"""

_OF_LOOP = frozenset(READY_REASONS.items())


def main() -> None:
    """Writes the pages, and removes those of no kind."""
    FOLDER.mkdir(exist_ok=True)
    found = pages()
    for path in FOLDER.glob("*.md"):
        if path.name not in found:
            path.unlink()
    for name, text in found.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {len(found)} pages\n")


def pages() -> dict[str, str]:
    """The pages as Markdown by their files' names."""
    kinds = sorted(KINDS.values(), key=lambda kind: kind.KIND)
    return {"objects.md": _index(kinds)} | {f"{kind.KIND.lower()}.md": _page(kind) for kind in kinds}


def _index(kinds: Sequence[type[SluiceObject]]) -> str:
    rows = [
        (f"[`{kind.KIND}`]({kind.KIND.lower()}.md)", f"`{kind.SHORT_NAME}`", _first_line(kind))
        for kind in kinds
    ]
    shown = set(_OF_LOOP)
    listed = table("kind", "short name", "what it is", rows=rows)
    of_loop = "".join(_condition(each, shown) for each in LOOP_CONDITIONS)
    return f"{_HEAD}\n{listed}{_WRITING}{_CONDITIONS}{_reasons(READY_REASONS.items())}{of_loop}"


def _page(kind: type[SluiceObject]) -> str:
    _, conditions = STATUSES[kind.KIND]
    version = definition(kind)["spec"]["versions"][0]
    parts = version["schema"]["openAPIV3Schema"]["properties"]
    guide = _GUIDES.get(kind.KIND)
    more = f" [How it is used](../{guide}.md)." if guide else ""
    shown = [
        (column.name, f"`{column.path}`", column.description + (" With `-o wide`." if column.wide else ""))
        for column in columns(kind.KIND)
    ]
    return (
        f"# {kind.KIND}\n\n{_first_line(kind)} Short name `{kind.SHORT_NAME}`, plural `{kind.PLURAL}`.{more}\n\n"
        f"{_GENERATED}\n\n## What `kubectl get {kind.SHORT_NAME}` shows\n\n"
        f"{table('column', 'of', 'meaning', rows=shown)}\n## Spec\n\n{_fields(parts['spec'], 'spec')}"
        f"{_rules(parts['spec'])}\n## Status\n\nWritten by the operator alone.\n\n"
        f"{_fields(_without_conditions(parts['status']), 'status')}{_conditions(conditions)}"
    )


def _fields(schema: dict[str, Any], path: str) -> str:
    return table("field", "type", "default", "meaning", rows=list(fields(schema, path, {})))


def _rules(spec: dict[str, Any]) -> str:
    found = table("of", "rule", rows=list(dict.fromkeys(rules(spec, "spec"))))
    return f"\n### Rules between fields\n\n{found}" if found else ""


def _without_conditions(status: dict[str, Any]) -> dict[str, Any]:
    """They are the same for all kinds, and what they say has a part of its own."""
    fields_ = {name: each for name, each in status["properties"].items() if name != "conditions"}
    return status | {"properties": fields_}


def _conditions(conditions: Sequence[ConditionType]) -> str:
    if not conditions:
        return ""
    common = (
        "Besides these there are `Reconciling` and `Stalled`, which [all kinds have](objects.md#conditions)."
    )
    meanings: set[tuple[str, str]] = set()
    return f"\n## Conditions\n\n{common}\n" + "".join(_condition(each, meanings) for each in conditions)


def _condition(condition: ConditionType, shown: set[tuple[str, str]]) -> str:
    """A part of a page; what its reasons mean is said once on each page.

    Args:
        shown: Reasons with their meanings that the page has; these come to it.
    """
    reasons = condition.reasons.items()
    again = [reason for reason, meaning in reasons if (reason, meaning) in shown]
    of_loop = [reason for reason, meaning in reasons if (reason, meaning) in _OF_LOOP - shown]
    new = [each for each in reasons if each not in shown | _OF_LOOP]
    shown.update(new)
    parts = (
        f"### `{condition.name}`",
        condition.meaning,
        _reasons(new).strip(),
        f"As above: {_listed(again)}." if again else "",
        f"As for [every kind](objects.md#ready): {_listed(of_loop)}." if of_loop else "",
    )
    return "".join(f"\n{part}\n" for part in parts if part)


def _reasons(reasons: Iterable[tuple[str, str]]) -> str:
    rows = [(f"`{reason}`", meaning) for reason, meaning in reasons]
    return table("reason", "what is so, and what to do", rows=rows)


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _first_line(kind: type[SluiceObject]) -> str:
    return (kind.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


if __name__ == "__main__":
    main()
