"""A sequence classifier's files in a folder: which they must be, and the model that they make."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Encoding, Tokenizer

from sluice_api.objects.guardrail_policy import OnnxClassifier
from sluice_guardrail.domain.classifying import labels
from sluice_servicekit.errors import FailedPrecondition

Floats = npt.NDArray[np.float64]

#: Where the model may be.
_FILES = ("model.onnx", "onnx/model.onnx", "model_quantized.onnx", "onnx/model_quantized.onnx")
#: What it may ask for.
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})
#: Of what is longer than the model reads, parts are read that overlap by this share.
_OVERLAP = 4
#: Hex digits of a digest that names a version.
_DIGITS = 12


class FolderModel:
    """The model and its tokenizer, warmed up. Thread-safe; the interpreter's lock is free while it runs.

    Args:
        spec: Where it is, and which labels mean an attack.

    Raises:
        FailedPrecondition: the folder holds no model that can be used.
    """

    def __init__(self, spec: OnnxClassifier) -> None:
        folder = Path(spec.path)
        self._file = model_file(folder)
        config = _config(folder / "config.json")
        longest = config.get("max_position_embeddings")
        self.max_tokens = min(spec.max_tokens, longest) if isinstance(longest, int) else spec.max_tokens
        self._labels = _labels(config, folder)
        try:
            self._attacks = labels.attacks(self._labels, spec.attack_labels)
        except ValueError as error:
            raise _unfit(f"the classifier in {folder}: {error}") from error
        self._several = config.get("problem_type") == "multi_label_classification" or len(self._labels) == 1
        if not self._several and len(self._attacks) == len(self._labels):
            raise _unfit(f"the classifier in {folder}: no label means that a text is harmless")
        self._tokenizer = _tokenizer(folder)
        self._tokenizer.enable_truncation(self.max_tokens, stride=self.max_tokens // _OVERLAP)
        self.special_tokens: int = self._tokenizer.num_special_tokens_to_add(False)  # noqa: FBT003 - its API
        self.cutting = _tokenizer(folder)
        """Reads texts of any length."""
        self._session = _session(self._file)
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._output = self._session.get_outputs()[0].name
        if unknown := self._inputs - _INPUTS:
            raise _unfit(f"the classifier {self._file} takes {', '.join(sorted(unknown))}")
        self.logits(["word " * self.max_tokens])  # the longest that it may be asked for
        self.version = _digest([self._file, folder / "tokenizer.json", folder / "config.json"])

    def logits(self, texts: Sequence[str]) -> list[float]:
        """The logit of an attack for each text; where one is longer than the model reads, the highest of its parts.

        Each part goes through the model alone: the steps of an 8-bit model may be chosen by all that is in a batch, so
        that a text would score otherwise beside others. On one core a batch is no faster.
        """
        return [
            max(self._logit(part) for part in (encoding, *encoding.overflowing))
            for encoding in self._tokenizer.encode_batch(list(texts))
        ]

    def _logit(self, encoding: Encoding) -> float:
        ids = np.array([encoding.ids], np.int64)
        feeds = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
            "position_ids": np.arange(ids.shape[1])[np.newaxis],
        }
        try:
            [found] = self._session.run(
                [self._output], {name: feeds[name] for name in feeds if name in self._inputs}
            )
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise _unfit(
                f"the classifier {self._file} fails on {ids.shape[1]} tokens: {str(error)[:300]}"
            ) from error
        if found.shape != (1, len(self._labels)):
            raise _unfit(
                f"the classifier {self._file} gives {found.shape[1:]} for each text, "
                f"and config.json names {len(self._labels)} labels"
            )
        if not np.isfinite(found).all():
            raise _unfit(f"the classifier {self._file} gives what is no number")
        return self._attack(found[0].astype(np.float64))

    def _attack(self, outputs: Floats) -> float:
        """The logit of an attack, by outputs of shape (labels,)."""
        attacks: Floats = outputs[list(self._attacks)]
        if self._several:
            return float(attacks.max())
        others = np.delete(outputs, self._attacks)
        return float(np.clip(np.logaddexp.reduce(attacks) - np.logaddexp.reduce(others), -1e3, 1e3))


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


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unfit(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise _unfit(f"{path} is no JSON object")
    return config


def _labels(config: dict[str, Any], folder: Path) -> dict[int, str]:
    given = config.get("id2label")
    try:
        named = {int(index): str(label) for index, label in given.items()} if isinstance(given, dict) else {}
    except ValueError:
        named = {}
    if not named or sorted(named) != list(range(len(named))):
        raise _unfit(f"{folder / 'config.json'} names no labels in `id2label`")
    return named


def _tokenizer(folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no other
        raise _unfit(f"{path} cannot be read: {str(error)[:300]}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base
        raise _unfit(f"the classifier {file} cannot be loaded: {str(error)[:300]}") from error


def _digest(files: Sequence[Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()[:_DIGITS]


def _unfit(message: str) -> FailedPrecondition:
    return FailedPrecondition(message, reason="CLASSIFIER_UNFIT")
