"""`sluice compile`: do the objects fit together?"""

import json as json_module

from rich.markup import escape

from sluice_api.errors import ObjectError
from sluice_cli.errors import usage
from sluice_cli.options import AsJson, Objects
from sluice_cli.supervising.objects import compile_files
from sluice_cli.terminal import err, out, print_json


def compile_command(file: Objects, json: AsJson = False) -> None:
    """Check objects without running them; --json prints the snapshot they make.

    Exits 2 when they do not compile, and names file, object and field.
    """
    try:
        compilation = compile_files(file)
    except ObjectError as error:
        raise usage(str(error)) from error
    for warning in compilation.warnings:
        err.print(f"[yellow]warning:[/] {escape(str(warning))}")
    snapshot = compilation.snapshot
    if json:
        print_json({"digest": snapshot.digest, "snapshot": json_module.loads(snapshot.content)})
        return
    out.print(f"{snapshot.digest}  pipelines: {', '.join(sorted(snapshot.pipelines)) or 'none'}")
