"""Files as documents."""

import base64
import json
from pathlib import Path

import pytest

from sluice_cli.documents import Document, Unreadable, batches, document_id, find, read
from sluice_cli.errors import CommandError
from sluice_cli.urls import listed


def test_folders_are_searched_and_order_is_stable(tmp_path: Path):
    for name in (
        "b.md",
        "a.txt",
        "sub/c.rst",
        ".git/d.md",
        "e.png",
        ".f.md",
        "README",
        "g.PNG",
        "h.txt.gz",
        "Makefile",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = find([tmp_path, tmp_path / "b.md"])
    names = [file.relative_to(tmp_path).as_posix() for file in found.files]
    assert names == ["README", "a.txt", "b.md", "h.txt.gz", "sub/c.rst"]
    assert found.left_out == {".png": 2, "no suffix": 1}


@pytest.mark.parametrize("name", ["nowhere", "picture.png", "empty"])
def test_nothing_to_read_is_an_error(tmp_path: Path, name: str):
    (tmp_path / "picture.png").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError) as raised:
        find([tmp_path / name])
    assert raised.value.code == 2


def test_id_is_the_path_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert document_id(Path("docs/../docs/a.md")) == "docs/a.md"
    assert document_id(tmp_path / "docs" / "a.md") == "docs/a.md"
    assert document_id(Path("/elsewhere/a.md")) == "/elsewhere/a.md"


def test_a_file_goes_as_it_is(tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_bytes(b"ok \xff")
    (document,) = read(file)
    assert isinstance(document, Document)
    assert base64.b64decode(document.body["content"]) == b"ok \xff"
    assert document.size == 4


def test_json_lines_one_by_one(tmp_path: Path):
    file = tmp_path / "a.jsonl"
    long = json.dumps({"text": "x" * (17 << 20)})
    file.write_text('{"id": "one", "text": "t"}\n\n{"text": "t"}\nnope\n' + long + '\n{"url": "http://a"}')
    found = list(read(file))
    ids = [document.id.rsplit("/", 1)[-1] for document in found]
    assert ids == ["one", "a.jsonl:3", "a.jsonl:4", "a.jsonl:5", "a"]
    assert [type(document) for document in found] == [Document, Document, Unreadable, Unreadable, Document]


def test_batches_are_bounded_by_count_and_bytes():
    documents = [Document(str(n), {}, size) for n, size in enumerate([1, 1, 1, 50, 5, 5, 1])]
    groups = [[document.size for document in group] for group in batches(documents, 3, 10)]
    assert groups == [[1, 1, 1], [50], [5, 5], [1]]


@pytest.mark.parametrize(
    "line",
    [
        '{"id": 5, "text": "t"}',
        '{"id": null, "text": "t"}',
        '{"id": "", "text": "t"}',
        '{"url": 5}',
        '{"text": "\\ud800"}',
        '{"id": "\\uDFFF", "text": "t"}',
        '{"text": "t", "metadata": {"x": NaN}}',
        '{"text": "t", "metadata": {"x": 1e999}}',
    ],
)
def test_a_line_that_no_request_could_hold_costs_no_other(tmp_path: Path, line: str):
    file = tmp_path / "a.jsonl"
    file.write_text(f'{line}\n{{"id": "pair", "text": "\\ud83e\\udda6 1.5", "metadata": {{"x": 1.5}}}}\n')
    bad, good = read(file)
    assert isinstance(bad, Unreadable)
    assert bad.reason
    assert isinstance(good, Document)
    assert good.body["text"] == "🦦 1.5"


def test_a_list_of_urls_may_hold_comments_and_nothing_else():
    assert listed(["# ours", "", " https://a.example/x ", "HTTP://b.example"], "urls") == [
        "https://a.example/x",
        "HTTP://b.example",
    ]
    with pytest.raises(CommandError, match=r"urls:2: 'b\.example' is not a URL"):
        listed(["https://a.example", "b.example"], "urls")
