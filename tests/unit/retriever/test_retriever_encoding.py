"""The pure parts of the embedding models."""

import json
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest

from sluice_api.objects.knowledge_base import Pooling
from sluice_retriever.encoding import pooling, wire
from sluice_retriever.encoding.endpoint import retry_after
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


def test_message_of_nested_and_flat_error_bodies():
    assert wire.message({"error": {"message": "nested"}}) == "nested"
    assert wire.message({"error": "flat", "error_type": "Validation"}) == "flat"
    assert wire.message("<html>") == "<html>"


def test_time_to_wait_is_read_in_seconds_and_as_a_date():
    assert retry_after({"retry-after": "3"}) == 3.0
    assert (retry_after({"retry-after": formatdate(4102444800 + 3600)}) or 0) > 3590
    assert retry_after({"retry-after": formatdate(0)}) == 0.0
    assert retry_after({"retry-after": "soon"}) is None
    assert retry_after({}) is None
