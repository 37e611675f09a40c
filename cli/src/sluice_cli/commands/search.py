"""`sluice search`: passages without an answer."""

from typing import Annotated

import typer

from sluice_cli.client import DEFAULT_URL, Api, Target
from sluice_cli.options import ApiKey, KnowledgeBases, Output, OutputFormat, Tenant, Url, prints_data
from sluice_cli.rendering import hit_lines
from sluice_cli.retrieving import Retrieval, explanation_lines, legs_table, retrieval
from sluice_cli.terminal import err, out, print_data


@prints_data
def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    kb: KnowledgeBases = None,
    top_k: Annotated[int, typer.Option(min=1, max=1000, help="How many passages.")] = 5,
    rerank: Annotated[bool, typer.Option(help="Reorder the passages with the reranker.")] = True,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Show where each leg placed each passage, and how it was searched."),
    ] = False,
    max_per_document: Annotated[
        int | None, typer.Option(min=0, help="The most passages of one document; 0 for any number.")
    ] = None,
    min_similarity: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Drop passages without a sentence this similar.")
    ] = None,
    diversity: Annotated[
        float | None, typer.Option(min=0, max=1, help="0 ranks by relevance alone, 1 by difference alone.")
    ] = None,
    token_match: Annotated[
        str | None, typer.Option(metavar="any|exact|off", help="How tokens are matched.")
    ] = None,
    parameters: Retrieval = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = "",
    tenant: Tenant = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Find passages, best first."""
    named = {
        "max_per_document": max_per_document,
        "min_similarity": min_similarity,
        "diversity": diversity,
        "token_match": token_match,
    }
    body = {
        "knowledge_bases": kb or [],
        "query": query,
        "top_k": top_k,
        "rerank": rerank,
        "explain": explain,
        "retrieval": retrieval(parameters or (), named),
    }
    with Api(Target(url, api_key, tenant)) as api:
        found = api.post("/v1/search", body)
    if output is not OutputFormat.TABLE:
        print_data(found, output)
        return
    for number, hit in enumerate(found["hits"], 1):
        out.print(hit_lines(number, hit))
    if explain:
        if found["hits"]:
            out.print()
            out.print(legs_table(found["hits"]))
        for explanation in found["explanations"]:
            for line in explanation_lines(explanation):
                out.print(line)
    if not found["hits"]:
        err.print("nothing was found")
    if left_out := found.get("degraded"):
        err.print(f"left out: {', '.join(left_out)}", markup=False)
    timings = ", ".join(f"{stage} {milliseconds:.1f}" for stage, milliseconds in found["timings_ms"].items())
    err.print(f"[dim]ms: {timings}[/]")
