"""`sluice search`: passages without an answer."""

from typing import Annotated

import typer

from sluice_cli.client import DEFAULT_URL, Api, Target
from sluice_cli.options import ApiKey, KnowledgeBase, Output, OutputFormat, Tenant, Url, prints_data
from sluice_cli.rendering import hit_lines
from sluice_cli.terminal import err, out, print_data


@prints_data
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    kb: KnowledgeBase = "default",
    top_k: Annotated[int, typer.Option(min=1, max=1000, help="How many passages.")] = 5,
    rerank: Annotated[bool, typer.Option(help="Reorder the passages with the reranker.")] = True,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Find passages, best first."""
    body = {"knowledge_base": kb, "query": query, "top_k": top_k, "rerank": rerank}
    with Api(Target(url, api_key, tenant)) as api:
        found = api.post("/v1/search", body)
    if output is not OutputFormat.TABLE:
        print_data(found, output)
        return
    for number, hit in enumerate(found["hits"], 1):
        out.print(hit_lines(number, hit))
    if not found["hits"]:
        err.print("nothing was found")
    timings = ", ".join(f"{stage} {milliseconds:.1f}" for stage, milliseconds in found["timings_ms"].items())
    err.print(f"[dim]ms: {timings}[/]")
