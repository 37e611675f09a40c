"""The operator's page and role, held to the code."""

import re
from pathlib import Path

import pytest
import yaml

from sluice_api.objects.registry import KINDS
from sluice_api.statuses.base import RECONCILING, STALLED
from sluice_operator import metrics
from sluice_operator.settings import OperatorSettings
from sluice_servicekit.settings import ServiceSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "operator.md").read_text()
ROLE = yaml.safe_load((ROOT / "operator" / "deploy" / "cluster-role.yaml").read_text())


def rows(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in row] for row in found]


def test_the_table_has_all_settings_with_their_defaults() -> None:
    own = OperatorSettings.model_fields.keys() - ServiceSettings.model_fields.keys()
    told = {row[0].strip("`").removeprefix("SLUICE_").lower(): row[1].strip("`") for row in rows("Settings")}

    assert told == {name: _written(OperatorSettings.model_fields[name].default) for name in own}


def _written(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else "[]" if value == () else str(value).lower()


def test_the_table_has_all_reasons_of_the_loop() -> None:
    told = {(row[0].strip("`"), name.strip(" `")) for row in rows("Conditions") for name in row[1].split(",")}

    loops = {(reason, type_.name) for type_ in (RECONCILING, STALLED) for reason in type_.reasons}
    assert told == loops | {("Invalid", "Ready")}


def test_the_table_has_all_metrics() -> None:
    told = {re.sub(r"[`{].*", "", row[0].strip("`")) for row in rows("Watch it")} - {""}
    families = [
        getattr(metrics, name) for name in dir(metrics) if name.isupper() and not name.startswith("_")
    ]
    names = {family.describe()[0].name for family in families}

    assert {name.removesuffix("_total") for name in told if name.startswith("sluice_")} == names


@pytest.mark.parametrize(
    ("suffix", "verbs"), [("", {"get", "list", "watch", "patch"}), ("/status", {"patch"})]
)
def test_the_role_has_all_kinds(suffix: str, verbs: set[str]) -> None:
    rules = [rule for rule in ROLE["rules"] if rule["apiGroups"] == ["sluice.dev"]]

    for kind in KINDS.values():
        given = [rule["verbs"] for rule in rules if f"{kind.PLURAL}{suffix}" in rule["resources"]]
        assert [set(each) for each in given] == [verbs], kind
