"""`python -m sluice_gateway.audit verify|export --data DIR …`: checks a journal, or copies it into a file.

`SLUICE_DATABASE_URL` names the PostgreSQL that holds it; a command line is no place for a password. Exits 0 where all
is well, 1 where `verify` finds something, 2 where it cannot be read or written.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from sluice_gateway.journal import keys
from sluice_gateway.journal.exporting.export import Format, export
from sluice_gateway.journal.places import CHECKPOINTS, KEY
from sluice_gateway.journal.selection import Selection
from sluice_gateway.journal.sources import open_source, verified
from sluice_gateway.journal.sqlite import DATABASE
from sluice_gateway.journal.verifying import AuditReport
from sluice_servicekit.errors import FailedPrecondition, ServiceError

_URL = "SLUICE_DATABASE_URL"


def audit(data_dir: Path, key_file: Path | None = None, url: str = "") -> AuditReport:
    """Verifies a journal.

    Args:
        data_dir: The gateway's folder: checkpoints and key, and the journal itself unless there is a URL.

    Raises:
        FailedPrecondition: there is no journal, or its key cannot be read.
        Unavailable: the database is away.
    """
    if not url and not (data_dir / DATABASE).exists() and not (data_dir / CHECKPOINTS).exists():
        raise FailedPrecondition(f"there is no journal in {data_dir}")
    return verified(data_dir, keys.load(key_file or data_dir / KEY), url)


def main() -> None:
    """Reads the command line, does it, exits."""
    arguments = _arguments()
    try:
        code = (_verify if arguments.command == "verify" else _export)(arguments)
    except ServiceError as error:
        sys.stderr.write(f"{error.message}\n")
        code = 2
    sys.exit(code)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sluice audit", description="Checks or exports the journal.")
    commands = parser.add_subparsers(dest="command", required=True)
    verifying = commands.add_parser("verify", help="check it for tampering")
    verifying.add_argument("--key-file", type=Path, help="the journal's key, where it is kept elsewhere")
    verifying.add_argument("--json", action="store_true", help="print the report as JSON")
    exporting = commands.add_parser("export", help="copy rows into a file; progress as JSON lines")
    exporting.add_argument("--format", type=Format, choices=list(Format), required=True)
    exporting.add_argument("--out", type=Path, required=True)
    exporting.add_argument("--since", type=float)
    exporting.add_argument("--until", type=float)
    exporting.add_argument("--tenant", default="")
    exporting.add_argument("--run", default="")
    for command in (verifying, exporting):
        command.add_argument("--data", type=Path, required=True, help="the gateway's data folder")
    return parser.parse_args()


def _verify(arguments: argparse.Namespace) -> int:
    report = audit(arguments.data, arguments.key_file, os.environ.get(_URL, ""))
    sys.stdout.write(_as_json(report) if arguments.json else _as_text(report))
    return 0 if report.passed else 1


def _export(arguments: argparse.Namespace) -> int:
    selection = Selection(arguments.since, arguments.until, arguments.tenant, arguments.run)
    source = open_source(arguments.data, os.environ.get(_URL, ""))
    try:
        total = source.count(selection)
        _tell(0, total)
        written = export(
            source, selection, arguments.out, arguments.format, lambda written: _tell(written, total)
        )
    finally:
        source.close()
    _tell(written, written)
    return 0


def _tell(written: int, total: int) -> None:
    sys.stdout.write(json.dumps({"written": written, "total": total}) + "\n")
    sys.stdout.flush()


def _as_json(report: AuditReport) -> str:
    return json.dumps({"passed": report.passed, **asdict(report)}) + "\n"


def _as_text(report: AuditReport) -> str:
    lines = [
        f"{found.fault}: writer {found.writer}, row {found.seq}: {found.message}" for found in report.findings
    ]
    verdict = "passed" if report.passed else f"FAILED with {len(report.findings)} findings"
    cut = f", {report.cut} older ones cut by retention" if report.cut else ""
    lines.append(f"{report.rows} rows of {report.writers} writers{cut}: {verdict}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
