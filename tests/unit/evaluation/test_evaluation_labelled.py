"""Collections in BEIR's layout, and which questions parameters may be chosen on."""

import json
from pathlib import Path

import pytest
from evaluation.labelled import Split, half, read_collection, read_collections


def _collection(folder: Path, *, train: bool = False) -> Path:
    (folder / "qrels").mkdir(parents=True)
    rows = [{"_id": f"d{i}", "title": "", "text": "words" if i else " "} for i in range(3)]
    (folder / "corpus.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    queries = [{"_id": f"q{i}", "text": "question"} for i in range(400)]
    (folder / "queries.jsonl").write_text("\n".join(json.dumps(row) for row in queries))
    labels = [f"q{i}\td{i % 3}\t{1 if i else -1}" for i in range(400)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(["query\tdocument\tgrade", *labels[:40]]))
    if train:
        (folder / "qrels" / "train.tsv").write_text("\n".join(["query\tdocument\tgrade", *labels[40:]]))
    return folder


def test_halves_hold_each_question_once_and_stay_the_same(tmp_path: Path) -> None:
    labels = read_collection(_collection(tmp_path)).labels
    assert not labels[Split.DEV].keys() & labels[Split.TEST].keys()
    assert labels[Split.DEV].keys() | labels[Split.TEST].keys() == {f"q{i}" for i in range(1, 40)}
    assert [half(query) for query in ("q1", "q2", "q3", "q4", "q5")] == ["test", "dev", "dev", "test", "dev"]


def test_with_training_labels_tuning_sees_a_sample_of_them_only(tmp_path: Path) -> None:
    labels = read_collection(_collection(tmp_path, train=True)).labels
    assert labels[Split.TEST].keys() == {f"q{i}" for i in range(1, 40)}
    assert len(labels[Split.DEV]) == 300
    assert labels[Split.DEV].keys() < {f"q{i}" for i in range(40, 400)}


def test_documents_without_text_are_left_out(tmp_path: Path) -> None:
    assert [document.id for document in read_collection(_collection(tmp_path)).documents] == ["d1", "d2"]


def test_what_is_expected_is_said_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="DATA is not set\nexpected: a folder"):
        read_collections(None, [])
    with pytest.raises(SystemExit, match="any collection"):
        read_collections(tmp_path, [])
    with pytest.raises(SystemExit, match="nosuch"):
        read_collections(tmp_path, ["nosuch"])
