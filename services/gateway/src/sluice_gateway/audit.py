"""`python -m sluice_gateway.audit verify --data DIR`: checks a journal. Exits 0 where it passes, 1 where not,
2 where it cannot be read."""

import argparse
import json
import sqlite3
import sys
from dataclasses import asdict
from pathlib import Path

from sluice_gateway.journal import checkpoints, keys, schema
from sluice_gateway.journal.sqlite import CHECKPOINTS, DATABASE, KEY
from sluice_gateway.journal.verifying import AuditReport, verify
from sluice_servicekit.errors import FailedPrecondition


def audit(data_dir: Path, key_file: Path | None = None) -> AuditReport:
    """Verifies the journal in a folder.

    Raises:
        FailedPrecondition: there is no journal, or its key cannot be read.
    """
    database = data_dir / DATABASE
    if not database.exists() and not (data_dir / CHECKPOINTS).exists():
        raise FailedPrecondition(f"there is no journal in {data_dir}")
    secret = keys.load(key_file or data_dir / KEY)
    # Checkpoints first: rows written meanwhile then only make chains longer, never shorter than promised.
    known, forged = checkpoints.read_all(data_dir / CHECKPOINTS, secret.checkpoints)
    if not database.exists():
        return verify((), known, forged, secret)
    connection = schema.connect_to_read(database)
    try:
        return verify(schema.rows(connection, "true ORDER BY writer, seq"), known, forged, secret)
    except sqlite3.Error as error:
        raise FailedPrecondition(f"the journal {database} cannot be read: {error}") from error
    finally:
        connection.close()


def main() -> None:
    """Reads the command line, prints the report, exits."""
    parser = argparse.ArgumentParser(prog="sluice audit", description="Checks the journal for tampering.")
    parser.add_argument("command", choices=["verify"])
    parser.add_argument("--data", type=Path, required=True, help="the gateway's data folder")
    parser.add_argument("--key-file", type=Path, help="the journal's key, where it is kept elsewhere")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    arguments = parser.parse_args()
    try:
        report = audit(arguments.data, arguments.key_file)
    except FailedPrecondition as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(2)
    sys.stdout.write(_as_json(report) if arguments.json else _as_text(report))
    sys.exit(0 if report.passed else 1)


def _as_json(report: AuditReport) -> str:
    return json.dumps({"passed": report.passed, **asdict(report)}) + "\n"


def _as_text(report: AuditReport) -> str:
    lines = [
        f"{found.fault}: writer {found.writer}, row {found.seq}: {found.message}" for found in report.findings
    ]
    verdict = "passed" if report.passed else f"FAILED with {len(report.findings)} findings"
    lines.append(f"{report.rows} rows of {report.writers} writers: {verdict}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
