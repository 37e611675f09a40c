"""`sluice compile`: do the objects fit together?"""

import json

from rich.markup import escape

from sluice_cli.errors import usage
from sluice_cli.options import Objects, Output, OutputFormat, prints_data
from sluice_cli.terminal import err, out, print_data


@prints_data
def compile_command(file: Objects, output: Output = OutputFormat.TABLE) -> None:
    """Check objects without running them; json and yaml print the snapshot they make.

    Exits 2 when they do not compile, and names file, object and field.
    """
    from sluice_api.errors import ObjectError
    from sluice_cli.supervising.objects import compile_files  # see `up`

    try:
        compilation = compile_files(file)
    except ObjectError as error:
        raise usage(str(error)) from error
    for warning in compilation.warnings:
        err.print(f"[yellow]warning:[/] {escape(str(warning))}")
    snapshot = compilation.snapshot
    if output is not OutputFormat.TABLE:
        print_data({"digest": snapshot.digest, "snapshot": json.loads(snapshot.content)}, output)
        return
    out.print(f"{snapshot.digest}  pipelines: {', '.join(sorted(snapshot.pipelines)) or 'none'}")
