"""`sluice crds` prints what `crds/` holds."""

from pathlib import Path

import yaml
from typer.testing import CliRunner

from sluice_cli.main import app

FOLDER = Path(__file__).parents[3] / "crds"


def test_it_prints_the_definitions_as_one_stream() -> None:
    result = CliRunner().invoke(app, ["crds"])

    assert result.exit_code == 0
    printed = {each["metadata"]["name"]: each for each in yaml.safe_load_all(result.stdout)}
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.yaml")]
    assert printed == {each["metadata"]["name"]: each for each in files}
    assert len(printed) == 7
