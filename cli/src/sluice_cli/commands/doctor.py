"""`sluice doctor`: can Sluice run here, does it, and what to do where not?"""

import os
from pathlib import Path
from typing import Annotated

import typer

from sluice_cli.errors import usage
from sluice_cli.options import DEFAULT_DATA, ApiKey, Data, Objects, Output, OutputFormat, Tenant, prints_data
from sluice_cli.terminal import err, out, print_data


@prints_data
def doctor(
    context: typer.Context,
    file: Objects = [],  # noqa: B006 - typer reads it, nobody changes it
    data: Data = DEFAULT_DATA,
    listen: Annotated[
        str, typer.Option(help="Where the HTTP API is to listen; by default where it does, or as for `up`.")
    ] = "",
    grpc_listen: Annotated[str, typer.Option(help="Where the gRPC API is to listen.")] = "",
    api_keys: Annotated[
        Path | None, typer.Option(help="The API keys file; by default that of SLUICE_API_KEYS_FILE.")
    ] = None,
    url: Annotated[
        str,
        typer.Option(envvar="SLUICE_URL", help="The gateway's address; by default the one that runs here."),
    ] = "",
    api_key: ApiKey = "",
    tenant: Tenant = "",
    deep: Annotated[bool, typer.Option("--deep", help="Search, and verify the journal, too.")] = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Say whether Sluice can run here, or runs well, and what to do about everything that is wrong.

    Changes nothing. Exits 0 when all is well or there are only warnings, 1 when something failed, 2 on wrong use.
    """
    from sluice_cli.diagnosing import (  # heavy, and of no use to other commands
        configuration,
        groups,
        reporting,
        subject,
    )
    from sluice_cli.diagnosing.examining import examine

    for option, address in (("--listen", listen), ("--grpc-listen", grpc_listen)):
        _check_address(option, address)
    options = configuration.of_commands(context.find_root().command, {})
    found = subject.gather(
        subject.Asked(
            objects=file,
            data=data,
            listen=listen,
            grpc_listen=grpc_listen,
            api_keys=api_keys,
            url=url.rstrip("/"),
            api_key=api_key,
            tenant=tenant,
            deep=deep,
            command_variables=frozenset(setting.variable for setting in options.settings),
        ),
        os.environ,
    )
    if output is OutputFormat.TABLE:
        err.print("looking …")
    entries = examine(groups.checks(found))
    if output is OutputFormat.TABLE:
        for line in reporting.as_lines(entries):
            out.print(line)
        out.print(reporting.last_line(entries, found), markup=False)
    else:
        print_data(reporting.as_data(entries), output)
    raise typer.Exit(reporting.exit_code(entries))


def _check_address(option: str, address: str) -> None:
    from sluice_servicekit.addresses import parse_address

    try:
        if address:
            parse_address(address)
    except ValueError as error:
        raise usage(f"{option}: {error}") from error
