"""`sluice runs start|cancel|resume|fork|override`: runs in the background, and what can be done with runs."""

import time
from typing import Annotated

import typer
from rich.markup import escape

from sluice_cli import exits
from sluice_cli.client import DEFAULT_URL, Api, Json, Target
from sluice_cli.errors import usage
from sluice_cli.lineage import lineage_lines
from sluice_cli.options import ApiKey, Model, Output, OutputFormat, RunId, Tenant, Url, prints_data
from sluice_cli.rendering import run_line
from sluice_cli.terminal import out, print_data

#: Seconds that the gateway is asked to wait at a time, and seconds of silence after which it is taken for gone.
_WAIT, _SILENCE = 30, 45

#: Seconds between two such requests, should a gateway not wait.
_PAUSE = 0.05

Wait = Annotated[bool, typer.Option("--wait", "-w", help="Wait for the run's end, and print what it gave.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands to `sluice runs`."""
    for name, command in (
        ("start", start_run),
        ("cancel", cancel_run),
        ("resume", resume_run),
        ("fork", fork_run),
        ("override", override_gate),
    ):
        app.command(name)(prints_data(command))


def start_run(
    question: Annotated[str, typer.Argument(help="The question.")],
    model: Model = "default",
    wait: Wait = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Start a run in the background; it outlives the gateway's process."""
    body = {"model": model, "messages": [{"role": "user", "content": question}]}
    with Api(Target(url, api_key, tenant), _SILENCE) as api:
        _shown(api, api.post("/v1/runs", body)["run_id"], wait, output)


def cancel_run(
    run_id: RunId,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """End a run that goes on in the background."""
    with Api(Target(url, api_key, tenant)) as api:
        _print(api.post(f"/v1/runs/{run_id}/cancel", {}), output)


def resume_run(
    run_id: RunId,
    wait: Wait = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Have a run that failed or was cancelled go on where it stopped."""
    with Api(Target(url, api_key, tenant), _SILENCE) as api:
        api.post(f"/v1/runs/{run_id}/resume", {})
        _shown(api, run_id, wait, output)


def fork_run(
    run_id: RunId,
    step: Annotated[str, typer.Argument(help="The first step that is run again.")],
    wait: Wait = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Make another run of one that has ended, from a step on."""
    with Api(Target(url, api_key, tenant), _SILENCE) as api:
        made = api.post(f"/v1/runs/{run_id}/fork", {"from_step": step})
        _shown(api, made["run_id"], wait, output)


def override_gate(
    run_id: RunId,
    gate: Annotated[str, typer.Argument(help="guard_input, guard_passages or guard_output.")],
    reason: Annotated[str, typer.Option(help="Why; the journal keeps it.")],
    allow: Annotated[bool, typer.Option("--allow", help="The gate is to allow.")] = False,
    block: Annotated[bool, typer.Option("--block", help="The gate is to block.")] = False,
    wait: Wait = False,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Turn a gate's decision: another run goes on from there. Needs the role admin."""
    if allow == block:
        raise usage("say either --allow or --block")
    body = {"gate": gate, "decision": "allow" if allow else "block", "reason": reason}
    with Api(Target(url, api_key, tenant), _SILENCE) as api:
        made = api.post(f"/v1/runs/{run_id}/override", body)
        _shown(api, made["run_id"], wait, output)


def _shown(api: Api, run_id: str, wait: bool, output: OutputFormat) -> None:
    """Prints a run; once it has ended, where that is waited for. Exits as `sluice ask` does then."""
    run = api.get(f"/v1/runs/{run_id}")
    while wait and run["ended"] is None:
        run = api.get(f"/v1/runs/{run_id}", wait=_WAIT)
        time.sleep(_PAUSE)
    _print(run, output)
    if wait and run["state"] == "blocked":
        raise typer.Exit(exits.BLOCKED)
    if wait and run["state"] in ("failed", "cancelled"):
        raise typer.Exit(exits.FAILED)


def _print(run: Json, output: OutputFormat) -> None:
    if output is not OutputFormat.TABLE:
        print_data(run, output)
        return
    out.print(run_line(run))
    for line in lineage_lines(run):
        out.print(line)
    if run.get("result"):
        out.print()
        out.print(escape(run["result"]["choices"][0]["message"]["content"]))
