"""The files of a model in a folder, as Hugging Face's tools export them: which they must be, and how they are read."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Encoding, Tokenizer

from sluice_servicekit.errors import FailedPrecondition

Floats = npt.NDArray[np.float64]

#: What a model may ask for.
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})

#: Where the model may be.
_FILES = ("model.onnx", "onnx/model.onnx", "model_quantized.onnx", "onnx/model_quantized.onnx")
#: Hex digits of a digest that names a version.
_DIGITS = 12


class FolderSession:
    """A folder's model on the caller's thread alone. Thread-safe; the interpreter's lock is free while it runs.

    Raises:
        FailedPrecondition: ONNX Runtime cannot load it, or it asks for what no text has.
    """

    def __init__(self, file: Path, labels: int) -> None:
        """`labels`: how many figures it is to give for each text."""
        self._file = file
        self._labels = labels
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(file), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise unfit(f"the classifier {file} cannot be loaded: {str(error)[:300]}") from error
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._output = self._session.get_outputs()[0].name
        if unknown := self._inputs - _INPUTS:
            raise unfit(f"the classifier {file} takes {', '.join(sorted(unknown))}")

    def outputs(self, encoding: Encoding) -> Floats:
        """What it gives for one text or pair, shape (labels,).

        Each goes through the model alone: the steps of an 8-bit model may be chosen by all that is in a batch, so
        that a text would score otherwise beside others. On one core a batch is no faster.

        Raises:
            FailedPrecondition: it fails, or gives something else.
        """
        ids = np.array([encoding.ids], np.int64)
        feeds = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.array([encoding.type_ids], np.int64),
            "position_ids": np.arange(ids.shape[1])[np.newaxis],
        }
        try:
            [found] = self._session.run([self._output], {name: feeds[name] for name in self._inputs})
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise unfit(
                f"the classifier {self._file} fails on {ids.shape[1]} tokens: {str(error)[:300]}"
            ) from error
        if found.shape != (1, self._labels):
            raise unfit(
                f"the classifier {self._file} gives {found.shape[1:]} for each text, "
                f"and config.json names {self._labels} labels"
            )
        if not np.isfinite(found).all():
            raise unfit(f"the classifier {self._file} gives what is no number")
        outputs: Floats = found[0].astype(np.float64)
        return outputs


def model_file(folder: Path) -> Path:
    """The model in a folder.

    Raises:
        FailedPrecondition: there is none.
    """
    for each in _FILES:
        if (folder / each).is_file():
            return folder / each
    missing = f"has no {_FILES[0]} or {_FILES[1]}" if folder.is_dir() else "is not there"
    raise FailedPrecondition(f"the classifier's folder {folder} {missing}", reason="CLASSIFIER_MISSING")


def read_config(path: Path) -> dict[str, Any]:
    """What `config.json` says.

    Raises:
        FailedPrecondition: it is no JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise unfit(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise unfit(f"{path} is no JSON object")
    return config


def read_labels(config: dict[str, Any], folder: Path) -> dict[int, str]:
    """The labels by output.

    Raises:
        FailedPrecondition: not every output has one.
    """
    given = config.get("id2label")
    try:
        named = {int(index): str(label) for index, label in given.items()} if isinstance(given, dict) else {}
    except ValueError:
        named = {}
    if not named or sorted(named) != list(range(len(named))):
        raise unfit(f"{folder / 'config.json'} names no labels in `id2label`")
    return named


def open_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer, which neither pads nor cuts.

    Raises:
        FailedPrecondition: there is none.
    """
    path = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no other
        raise unfit(f"{path} cannot be read: {str(error)[:300]}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def digest(files: Sequence[Path]) -> str:
    """Names what some files hold."""
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()[:_DIGITS]


def unfit(message: str) -> FailedPrecondition:
    """The error of a model that cannot be used."""
    return FailedPrecondition(message, reason="CLASSIFIER_UNFIT")
