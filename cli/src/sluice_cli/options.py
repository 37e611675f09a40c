"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from sluice_cli.client import DEFAULT_URL

Url = Annotated[
    str, typer.Option(envvar="SLUICE_URL", help="The gateway's address.", show_default=DEFAULT_URL)
]
ApiKey = Annotated[
    str, typer.Option(envvar="SLUICE_API_KEY", help="The API key, where keys are on.", show_default=False)
]
Tenant = Annotated[
    str,
    typer.Option(envvar="SLUICE_TENANT", help="The tenant, where keys are off.", show_default=False),
]
KnowledgeBase = Annotated[str, typer.Option("--kb", help="The knowledge base.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Data = Annotated[
    Path, typer.Option(envvar="SLUICE_DATA_DIR", help="The folder that holds everything Sluice keeps.")
]
Objects = Annotated[
    list[Path],
    typer.Option("--file", "-f", help="Objects: a YAML or JSON file, or a folder. May be repeated."),
]

DEFAULT_DATA = Path(".sluice")
