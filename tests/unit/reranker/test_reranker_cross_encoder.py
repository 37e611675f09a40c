"""Cross-encoders in folders: a real ONNX model that adds up words, and folders that hold none that can be used."""

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from sluice_api.objects.ranker import CrossEncoder, Precision
from sluice_reranker.models.cross_encoder import CrossEncoderModel
from sluice_reranker.models.folder import sigmoid
from sluice_servicekit.errors import FailedPrecondition
from support import cross_encoders
from support.cross_encoders import EMPTY, WORTH
from support.pair_models import pairs


def _model(
    folder: Path, precision: Precision = Precision.FLOAT32, batch: int = 8, max_tokens: int = 512
) -> CrossEncoderModel:
    spec = CrossEncoder(path=str(folder), precision=precision, batch=batch, max_tokens=max_tokens)
    return CrossEncoderModel(spec, folder.parent / "cache")


def _expected(*words: str) -> float:
    return sigmoid(EMPTY + sum(WORTH.get(word, 0.0) for word in words))


@pytest.mark.parametrize("file", ["model.onnx", "onnx/model.onnx"])
def test_scores_are_the_sigmoid_of_the_logits(tmp_path, file):
    model = _model(cross_encoders.folder(tmp_path / "m", file=file))
    found = model.relevance(pairs("good", "", "good fair", "poor and long and so on", "best good"))
    expected = [
        _expected("good"),
        _expected(),
        _expected("good", "fair"),
        _expected("poor"),
        _expected("best", "good"),
    ]
    assert found == pytest.approx(expected, abs=1e-6)
    assert model.relevance(pairs("good", question="fair"))[0] == pytest.approx(
        _expected("good", "fair"), abs=1e-6
    )


def test_what_is_beside_a_passage_does_not_change_its_score(tmp_path):
    model = _model(cross_encoders.folder(tmp_path / "m"))
    texts = ["good", "fair " * 30, "", "best " + "x " * 90]
    assert model.relevance(pairs(*texts)) == pytest.approx(
        [model.relevance(pairs(text))[0] for text in texts]
    )


def test_extreme_logits_are_scores_too(tmp_path):
    low, high = _model(cross_encoders.folder(tmp_path / "m")).relevance(pairs("poor " * 400, "best " * 400))
    assert 0.0 <= low < 1e-9
    assert 0.999 < high <= 1.0


def test_the_passage_is_cut_to_what_the_model_reads_and_a_long_question_to_half_of_it(tmp_path):
    model = _model(cross_encoders.folder(tmp_path / "m"), max_tokens=16)
    [found] = model.relevance(pairs("fair " * 12 + "best", question="x"))
    assert found == pytest.approx(
        _expected(*["fair"] * 12), abs=1e-6
    )  # 16 without the question and three marks
    [found] = model.relevance(pairs("best", question="poor " * 900))
    assert found == pytest.approx(_expected("best", *["poor"] * 8), abs=1e-6)


def test_positions_limit_what_is_read(tmp_path):
    folder = cross_encoders.folder(
        tmp_path / "m", model_type="xlm-roberta", max_position_embeddings=34, pad_token_id=1
    )
    assert _model(folder).most_tokens == 32
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 20}))
    assert _model(folder).most_tokens == 20
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": int(1e30)}))
    assert _model(folder).most_tokens == 32


def test_of_two_labels_the_second_means_relevant(tmp_path):
    found = _model(cross_encoders.folder(tmp_path / "m", labels=2)).relevance(pairs("best", "poor"))
    assert found == pytest.approx([_expected("best"), _expected("poor")], abs=1e-6)


def test_a_model_of_integers_is_made_once_and_scores_nearly_the_same(tmp_path):
    folder = cross_encoders.folder(tmp_path / "m")
    model = _model(folder, Precision.INT8)
    assert model.at_once == 1
    found = model.relevance(pairs("good", "fair", "poor"))
    assert found == pytest.approx([_expected("good"), _expected("fair"), _expected("poor")], abs=0.05)
    [made] = (tmp_path / "cache").glob("*/model.onnx")
    before = made.stat().st_mtime_ns
    assert _model(folder, Precision.INT8).name == model.name != _model(folder).name
    assert made.stat().st_mtime_ns == before
    assert [each.name for each in (tmp_path / "cache").iterdir()] == [made.parent.name]


def test_of_several_that_make_it_at_once_all_get_it(tmp_path):
    folder = cross_encoders.folder(tmp_path / "m")
    before = sorted(folder.iterdir())
    names: list[str] = []
    threads = [
        threading.Thread(target=lambda: names.append(_model(folder, Precision.INT8).name)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 3
    assert len(set(names)) == 1
    assert sorted(folder.iterdir()) == before  # it may be mounted read-only
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_model_of_integers_that_is_there_is_taken(tmp_path):
    folder = cross_encoders.folder(tmp_path / "m", file="onnx/model_quantized.onnx")
    assert _model(folder, Precision.INT8).relevance(pairs("good")) == pytest.approx([_expected("good")])
    assert not (tmp_path / "cache").exists()
    with pytest.raises(FailedPrecondition, match="precision to int8"):
        _model(folder, Precision.FLOAT32)


def test_weights_beside_the_model(tmp_path):
    folder = cross_encoders.folder(tmp_path / "m", external="model.onnx_data")
    for precision in Precision:
        assert _model(folder, precision).relevance(pairs("good")) == pytest.approx(
            [_expected("good")], abs=0.05
        )
    (folder / "model.onnx_data").unlink()
    with pytest.raises(FailedPrecondition, match=r"needs model\.onnx_data beside it"):
        _model(folder)


def test_weights_outside_the_folder_are_refused(tmp_path):
    folder = cross_encoders.folder(tmp_path / "m", external="model.onnx_data")
    shutil.move(folder / "model.onnx_data", tmp_path / "model.onnx_data")
    content = (folder / "model.onnx").read_bytes()
    assert content.count(b"model.onnx_data") >= 1
    # The same length, so that the file stays one that can be read.
    (folder / "model.onnx").write_bytes(content.replace(b"model.onnx_data", b"../del.onnx_dat"))
    shutil.move(tmp_path / "model.onnx_data", tmp_path / "del.onnx_dat")
    with pytest.raises(FailedPrecondition, match=r"outside its folder: \.\./del\.onnx_dat"):
        _model(folder)


def test_what_is_missing_is_named_with_what_to_do(tmp_path):
    with pytest.raises(FailedPrecondition, match=r"is not there; copy the model there") as raised:
        _model(tmp_path / "none")
    assert raised.value.reason == "RANKER_MISSING"
    folder = cross_encoders.folder(tmp_path / "m")
    for file, remedy in (
        ("tokenizer.json", "save_pretrained"),
        ("config.json", "No such file"),
        ("model.onnx", "optimum-cli export onnx"),
    ):
        away = (folder / file).rename(tmp_path / "away")
        with pytest.raises(FailedPrecondition, match=remedy) as raised:
            _model(folder)
        assert raised.value.reason == "RANKER_MISSING"
        away.rename(folder / file)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("config.json", "[1]", "no JSON object"),
        ("config.json", "{", "no JSON"),
        ("config.json", '{"id2label": {"0": "a", "1": "b", "2": "c"}}', "3 labels"),
        ("config.json", '{"id2label": {"0": "a"}, "vocab_size": 5}', "another model"),
        ("tokenizer.json", "{}", "cannot be read"),
        ("model.onnx", "no model", "cannot be loaded"),
    ],
)
def test_folders_that_hold_no_cross_encoder(tmp_path, file, content, says):
    folder = cross_encoders.folder(tmp_path / "m")
    (folder / file).write_text(content)
    with pytest.raises(FailedPrecondition, match=says) as raised:
        _model(folder)
    assert raised.value.reason == "RANKER_UNFIT"


def test_an_encoder_is_no_cross_encoder(tmp_path):
    model = _model(cross_encoders.folder(tmp_path / "m", sequence_output=True))
    with pytest.raises(
        FailedPrecondition, match=r"gives \(4, 8\) for each pair, and config.json says \(1,\)"
    ):
        model.relevance(pairs(""))


def test_a_model_of_other_outputs_than_its_configuration_says(tmp_path):
    model = _model(cross_encoders.folder(tmp_path / "m", outputs=3))
    with pytest.raises(FailedPrecondition, match=r"gives \(3,\)"):
        model.relevance(pairs("good"))


def test_a_model_that_gives_no_numbers_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(WORTH, "poor", float("nan"))
    model = _model(cross_encoders.folder(tmp_path / "m"))
    with pytest.raises(FailedPrecondition, match="no number"):
        model.relevance(pairs("poor"))


def test_a_cache_that_cannot_be_written_is_the_systems_error(tmp_path):
    folder = cross_encoders.folder(tmp_path / "m")
    (tmp_path / "cache").write_text("a file is in the way")
    with pytest.raises(OSError, match=os.strerror(17)):
        _model(folder, Precision.INT8)
