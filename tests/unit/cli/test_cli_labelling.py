"""What goes with documents besides their content."""

from pathlib import Path

import pytest

from sluice_cli.documents import Document
from sluice_cli.errors import CommandError
from sluice_cli.label_options import labelling
from sluice_cli.labelling import Labelling

SIDECAR = """
"*":
  metadata: {source: wiki, since: 2026-01-31}
  acl: [staff]
"contracts/*.pdf":
  metadata: {source: contracts}
  acl: [legal, board]
  ttl: 90d
https://*: {ttl: 1d}
"""


def body(found: Labelling, name: str, **given: object) -> dict[str, object]:
    labelled = found.apply(Document(name, {"id": name, **given}, 1)).body
    return {key: value for key, value in labelled.items() if key != "id"}


def test_values_are_json_where_they_can_be_read_as_such() -> None:
    given = [
        "year=2026",
        "draft=true",
        'tags=["a", "b"]',
        "name=a=b c",
        'quoted="5"',
        "nan=NaN",
        "huge=1e999",
        "empty=",
        "v=1.2.3",
    ]

    assert body(labelling(None, given, [], ""), "a")["metadata"] == {
        "year": 2026,
        "draft": True,
        "tags": ["a", "b"],
        "name": "a=b c",
        "quoted": "5",
        "nan": "NaN",
        "huge": "1e999",
        "empty": "",
        "v": "1.2.3",
    }


def test_nothing_said_adds_nothing() -> None:
    assert body(labelling(None, [], [], ""), "a", text="t") == {"text": "t"}


def test_a_later_rule_goes_before_an_earlier_one_and_options_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "labels.yaml").write_text(SIDECAR)
    file = labelling(tmp_path / "labels.yaml", [], [], "")
    options = labelling(tmp_path / "labels.yaml", ["source=cli"], ["me"], "2d")

    assert body(file, "notes.md") == {"metadata": {"source": "wiki", "since": "2026-01-31"}, "acl": ["staff"]}
    assert body(file, "contracts/old/a.pdf") == {
        "metadata": {"source": "contracts", "since": "2026-01-31"},
        "acl": ["legal", "board"],
        "ttl": "90d",
    }
    assert body(file, "https://a.example/x")["ttl"] == "1d"
    assert body(options, "contracts/a.pdf") == {
        "metadata": {"source": "cli", "since": "2026-01-31"},
        "acl": ["me"],
        "ttl": "2d",
    }


def test_what_a_document_says_itself_stays() -> None:
    found = labelling(None, ["a=1", "b=1"], ["staff"], "1d")

    assert body(found, "x", metadata={"a": 2}, acl=["mine"], expire_time="2027-01-31T12:00:00Z") == {
        "metadata": {"a": 2, "b": 1},
        "acl": ["mine"],
        "expire_time": "2027-01-31T12:00:00Z",
    }
    assert body(found, "x", ttl="5d")["ttl"] == "5d"
    assert body(found, "x", metadata=5)["metadata"] == 5  # refused by the gateway, with its words


@pytest.mark.parametrize(
    ("metadata", "ttl", "says"),
    [(["year"], "", "KEY=VALUE"), (["=1"], "", "KEY=VALUE"), ([], "30", "--ttl"), ([], "soon", "duration")],
)
def test_an_option_that_cannot_be_read_is_wrong_use(metadata: list[str], ttl: str, says: str) -> None:
    with pytest.raises(CommandError, match=says) as caught:
        labelling(None, metadata, [], ttl)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("- a", "does not map"),
        ("", "does not map"),
        ("a: [", "cannot be read"),
        ("a: {acls: [b]}", r"labels.yaml: a: acls"),
        ("a: {acl: b}", r"labels.yaml: a: acl"),
        ("a: {metadata: {x: .nan}}", "cannot be read"),
        ("a: {ttl: 5}", "ttl"),
        ("a: {ttl: soon}", "duration"),
    ],
)
def test_a_file_that_cannot_be_read_is_wrong_use(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "labels.yaml").write_text(content)

    with pytest.raises(CommandError, match=says) as caught:
        labelling(tmp_path / "labels.yaml", [], [], "")
    assert caught.value.code == 2


def test_a_file_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        labelling(tmp_path / "labels.yaml", [], [], "")
