"""The journal as a file: all that was asked for, whole or not at all, from either database."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from sluice_cli.commands.audit import app
from sluice_gateway.gateway import new_run_id
from sluice_gateway.journal.exporting import export as exporting
from sluice_gateway.journal.exporting.export import Format, export
from sluice_gateway.journal.selection import Selection
from sluice_servicekit.errors import FailedPrecondition
from support.journals import BOTH, SqliteJournals, events_of, journals

#: Two days ago.
OLD = time.time() - 2 * 86400


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteJournals:
    return journals(request.param, tmp_path / "gateway", request)


@pytest.fixture
async def runs(store: SqliteJournals) -> list[str]:
    """Two of acme's, the first of them old, and one of another tenant's."""
    journal = store.open()
    ids = [new_run_id() for _ in range(3)]
    for run_id, tenant, at in zip(ids, ("acme", "acme", "other"), (OLD, None, None), strict=True):
        for event in events_of(run_id, tenant, at):
            journal.append(event)
    await journal.commit()
    journal.close()
    return ids


def _exported(
    store: SqliteJournals, selection: Selection, target: Path, kind: Format
) -> list[dict[str, Any]]:
    source = store.source()
    try:
        told: list[int] = []
        count = export(source, selection, target, kind, told.append)
        assert told[-1:] == ([count] if count else [])
        assert source.count(selection) == count
    finally:
        source.close()
    if kind is Format.PARQUET:
        return list(parquet.read_table(target).to_pylist())
    return [json.loads(line) for line in target.read_text().splitlines()]


@pytest.mark.parametrize("kind", list(Format))
def test_every_row_is_exported_as_it_is(
    store: SqliteJournals, runs: list[str], tmp_path: Path, kind: Format, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(exporting, "_BATCH", 5)
    found = _exported(store, Selection(), tmp_path / "rows", kind)
    source = store.source()
    assert found == [row._asdict() for row in source.rows(Selection())]
    source.close()
    assert len(found) == 13
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["rows"]


def test_only_what_is_asked_for_is_exported(store: SqliteJournals, runs: list[str], tmp_path: Path):
    def of(selection: Selection) -> set[str]:
        rows = _exported(store, selection, tmp_path / "rows", Format.JSONL)
        return {row["run_id"] for row in rows} - {""}

    assert of(Selection(since=OLD + 60)) == set(runs[1:])
    assert of(Selection(until=OLD + 60)) == {runs[0]}
    assert of(Selection(since=OLD, until=OLD)) == set()
    assert of(Selection(tenant="other")) == {runs[2]}
    assert of(Selection(run_id=runs[1], tenant="acme")) == {runs[1]}
    assert of(Selection(run_id="' OR true --")) == set()


def test_an_export_that_breaks_off_leaves_the_file_that_was_there(
    store: SqliteJournals, runs: list[str], tmp_path: Path
):
    target = tmp_path / "rows"
    target.write_text("before")

    def breaks_off(_: int) -> None:
        raise KeyboardInterrupt

    source = store.source()
    with pytest.raises(KeyboardInterrupt):
        export(source, Selection(), target, Format.JSONL, breaks_off)
    with pytest.raises(FailedPrecondition, match="cannot be written"):
        export(source, Selection(), tmp_path / "no" / "folder", Format.JSONL)
    source.close()
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["rows"]


def test_without_pyarrow_the_message_says_how_to_get_it(
    store: SqliteJournals, runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    source = store.source()
    with pytest.raises(FailedPrecondition, match="pip install 'sluice-gateway\\[parquet\\]'"):
        export(source, Selection(), tmp_path / "rows", Format.PARQUET)
    source.close()


def test_commands_verify_and_export(store: SqliteJournals, runs: list[str], tmp_path: Path):
    target = tmp_path / "rows.jsonl"
    given = ["--data", str(tmp_path), "--database-url", store.url]
    runner = CliRunner()
    done = runner.invoke(
        app, ["export", *given, "--tenant", "acme", "--since", "2026-01-01", "-o", str(target)]
    )
    assert (done.exit_code, done.stdout) == (0, "")
    assert "8 rows" in done.stderr
    assert len(target.read_text().splitlines()) == 8
    done = runner.invoke(app, ["verify", *given, "--json"])
    assert done.exit_code == 0
    assert (json.loads(done.stdout)["passed"], json.loads(done.stdout)["rows"]) == (True, 13)


def test_what_cannot_be_read_ends_with_2_and_says_no_password(tmp_path: Path):
    command = [sys.executable, "-m", "sluice_gateway.audit", "export", "--format", "jsonl"]
    command += ["--data", str(tmp_path), "--out", str(tmp_path / "rows")]
    url = "postgresql://somebody:hunter2@127.0.0.1:1/none"
    done = subprocess.run(
        command, env={**os.environ, "SLUICE_DATABASE_URL": url}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "database cannot be used" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    assert not (tmp_path / "rows").exists()
