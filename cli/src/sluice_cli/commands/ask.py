"""`sluice ask`: a question and its answer, as it is written."""

from dataclasses import dataclass, field
from typing import Annotated, Any

import typer
from rich.console import Console

from sluice_cli import exits
from sluice_cli.client import DEFAULT_URL, Api, Json, Target
from sluice_cli.options import ApiKey, AsJson, Tenant, Url
from sluice_cli.rendering import flag_lines, run_line, steps_table, verdict_lines
from sluice_cli.terminal import err, out, print_json


@dataclass
class Answer:
    """A streamed answer, whole."""

    text: str = ""
    finish_reason: str = ""
    sluice: dict[str, Any] = field(default_factory=dict)


def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    model: Annotated[str, typer.Option(help="The pipeline that answers.")] = "default",
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    json: AsJson = False,
) -> None:
    """Ask a question; print the answer with its sources, then the run's steps.

    Exits 0 when it was answered, 3 when a gate blocked it, 1 when the run failed, 2 when the question or the model
    is wrong.
    """
    with Api(Target(url, api_key, tenant)) as api:
        answer = converse(api, question, model, quiet=json)
        run = api.get(f"/v1/runs/{answer.sluice['run_id']}")
    if json:
        print_json(
            {
                **answer.sluice,
                "text": answer.text,
                "finish_reason": answer.finish_reason,
                "steps": run["steps"],
            }
        )
    else:
        explain(answer, run, err)
    if answer.finish_reason == "content_filter":
        raise typer.Exit(exits.BLOCKED)


def converse(api: Api, question: str, model: str, *, quiet: bool) -> Answer:
    """Asks, and prints the pieces as they come unless quiet."""
    answer = Answer()
    for chunk in api.chat({"model": model, "messages": [{"role": "user", "content": question}]}):
        for choice in chunk["choices"]:
            piece = choice["delta"].get("content") or ""
            answer.text += piece
            answer.finish_reason = choice["finish_reason"] or answer.finish_reason
            if piece and not quiet:
                out.print(piece, end="", markup=False)
        answer.sluice = chunk.get("sluice", answer.sluice)
    if not quiet:
        out.print()
    return answer


def explain(answer: Answer, run: Json, console: Console) -> None:
    """How the answer came about: the verdict where a gate said block, what the gates flagged, then the steps."""
    verdict = answer.sluice.get("verdict", {})
    blocks = verdict_lines(verdict) if verdict.get("decision") == "block" else []
    lines = [*blocks, *flag_lines(answer.sluice.get("flags", []))]
    if lines:
        console.print()
    for line in lines:
        console.print(line)
    console.print()
    console.print(steps_table(run))
    console.print(run_line(run))
