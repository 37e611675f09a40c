"""Values that the shell offers after Tab, as the gateway knows them. Where it does not answer, there are none."""

from collections.abc import Callable
from typing import Any

import typer

from sluice_cli.client import DEFAULT_URL, Api, Target
from sluice_cli.controls import without_controls
from sluice_cli.errors import CommandError

Offers = list[tuple[str, str]]
"""Values, each with a few words on it."""

#: Who waits for Tab longer has typed it already.
_SECONDS = 0.5

_RUNS = 20


def models(ctx: typer.Context) -> Offers:
    """The pipelines."""
    return _offered(
        ctx, lambda api: [(model["id"], model["description"]) for model in api.get("/v1/models")["data"]]
    )


def knowledge_bases(ctx: typer.Context) -> Offers:
    """The knowledge bases."""
    return _offered(
        ctx,
        lambda api: [
            (found["name"], found["description"]) for found in api.get("/v1/knowledge")["knowledge_bases"]
        ],
    )


def runs(ctx: typer.Context) -> Offers:
    """The newest runs."""
    return _offered(
        ctx,
        lambda api: [
            (run["run_id"], f"{run['started'][:19]} {run['model']} {run['state']}")
            for run in api.get("/v1/runs", limit=_RUNS)["runs"]
        ],
    )


def experiments(ctx: typer.Context) -> Offers:
    """The experiments; only an admin is offered them."""
    return _offered(
        ctx,
        lambda api: [
            (found["name"], f"{found['model_name']} of {found['model_server']}")
            for found in api.get("/v1/experiments")["experiments"]
        ],
    )


def _offered(ctx: typer.Context, ask: Callable[[Api], Offers]) -> Offers:
    try:
        with Api(_target(ctx.params), _SECONDS) as api:
            return [(_line(value), _line(words)) for value, words in ask(api)]
    except (CommandError, KeyError, TypeError):  # a shell that completes is no place for errors
        return []


def _line(text: str) -> str:
    return " ".join(without_controls(text).split())


def _target(given: dict[str, Any]) -> Target:
    return Target(given.get("url") or DEFAULT_URL, given.get("api_key") or "", given.get("tenant") or "")
