"""`sluice ask`: a question and its answer, as it is written."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from sluice_cli import exits
from sluice_cli.client import DEFAULT_URL, Api, Json, Target
from sluice_cli.conversing import Answer, chat, converse, typed
from sluice_cli.errors import usage
from sluice_cli.options import ApiKey, Model, Output, OutputFormat, Tenant, Url, prints_data
from sluice_cli.rendering import flag_lines, run_line, steps_table, verdict_lines
from sluice_cli.retrieving import Retrieval, retrieval
from sluice_cli.terminal import err, print_data

_STDIN = "-"


@prints_data
def ask(
    question: Annotated[
        str, typer.Argument(help="What you want to know; - reads it from stdin.", show_default=False)
    ] = "",
    model: Model = "default",
    talk: Annotated[
        bool, typer.Option("--chat", help="Go on asking; each question takes the last turns along.")
    ] = False,
    parameters: Retrieval = None,
    task: Annotated[str, typer.Option(help="Selects an adapter by its task.", show_default=False)] = "",
    locale: Annotated[
        str, typer.Option(help="Selects an adapter by its language, such as fr-CA.", show_default=False)
    ] = "",
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Ask a question; print the answer with its sources, then the run's steps.

    Without a question, on a terminal, it is a conversation: /quit or Ctrl-D ends it.

    Exits 0 when it was answered, 3 when a gate blocked it, 1 when the run failed, 2 when the question or the model
    is wrong.
    """
    talk = talk or (not question and sys.stdin.isatty())
    if talk and output is not OutputFormat.TABLE:
        raise usage("a conversation is printed as text only", f"give a question, to have it as {output}")
    selectors = {name: word for name, word in (("task", task), ("locale", locale)) if word}
    how = {"model": model, "retrieval": retrieval(parameters or ()), "metadata": selectors}
    with Api(Target(url, api_key, tenant)) as api:
        if talk:
            chat(lambda asked, history: _turn(api, asked, how, history), typed(question))
            return
        if question in ("", _STDIN):
            question = _from_stdin()
        answer = converse(api, question, how, quiet=output is not OutputFormat.TABLE)
        run = api.get(f"/v1/runs/{answer.sluice['run_id']}")
    if output is not OutputFormat.TABLE:
        print_data(
            {
                **answer.sluice,
                "text": answer.text,
                "finish_reason": answer.finish_reason,
                "steps": run["steps"],
            },
            output,
        )
    else:
        explain(answer, run, err)
    if answer.finish_reason == "content_filter":
        raise typer.Exit(exits.BLOCKED)


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


def _turn(api: Api, question: str, how: Json, history: Sequence[Json]) -> Answer:
    answer = converse(api, question, how, quiet=False, history=history)
    run = api.get(f"/v1/runs/{answer.sluice['run_id']}")
    if answer.finish_reason == "content_filter":
        explain(answer, run, err)
    else:
        err.print(f"[dim]{run_line(run)}[/]")
    return answer


def _from_stdin() -> str:
    try:
        question = sys.stdin.read().strip()
    except UnicodeDecodeError as error:
        raise usage("the question on stdin is not UTF-8") from error
    if not question:
        raise usage("there is no question", 'give one: sluice ask "…", or sluice ask --chat')
    return question
