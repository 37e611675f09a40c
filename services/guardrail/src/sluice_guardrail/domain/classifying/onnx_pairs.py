"""A model of pairs in a folder: natural language inference, or a cross-encoder that ranks passages, on ONNX Runtime."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from tokenizers import Encoding

from sluice_api.objects.guardrail_policy import OnnxClassifier
from sluice_guardrail.domain.classifying.model_folder import (
    Floats,
    FolderSession,
    digest,
    model_file,
    open_tokenizer,
    read_config,
    read_labels,
    unfit,
)
from sluice_guardrail.domain.classifying.onnx_folder import scale
from sluice_guardrail.domain.grounding.scoring import CONTRADICTION, UNSUPPORTED, Score

#: A claim takes no more than this share of what the model reads; the rest is the passage's.
_CLAIM = 2
#: Windows of a passage that is longer than the model reads overlap by this share, and so many are read.
_OVERLAP, _MOST_WINDOWS = 4, 8


class OnnxPairs:
    """Reads every claim with each passage that it may rest on. Thread-safe; the interpreter's lock is free while it
    runs.

    With labels for entailment and the rest a passage is the premise and the claim the hypothesis; with a single label
    the claim is the query and the passage what is ranked. A claim is as doubtful as its best passage leaves it.
    """

    def __init__(self, spec: OnnxClassifier) -> None:
        """Loads and warms up the model.

        Raises:
            FailedPrecondition: the folder holds no model of pairs.
        """
        folder = Path(spec.path)
        file = model_file(folder)
        config = read_config(folder / "config.json")
        self._labels = read_labels(config, folder)
        self._entailment, self._contradiction = _meanings(self._labels, folder)
        self._max_tokens = min(spec.max_tokens, int(config.get("max_position_embeddings") or spec.max_tokens))
        self._tokenizer, self._cutting = open_tokenizer(folder), open_tokenizer(folder)
        self._tokenizer.enable_truncation(
            self._max_tokens,
            stride=self._max_tokens // _CLAIM // _OVERLAP,
            strategy="only_first" if self._infers else "only_second",
        )
        self._session = FolderSession(file, len(self._labels))
        anchors = spec.calibration.get("output", spec.calibration.get("*"))
        self._scale = None if anchors is None else scale(*anchors)
        self.threshold_set = "uncalibrated" if anchors is None else f"{anchors[0]:g}/{anchors[1]:g}"
        self.version = digest([file, folder / "tokenizer.json", folder / "config.json"])
        self._outputs([("word " * self._max_tokens, "word")])

    def read(self, claims: Sequence[tuple[str, Sequence[str]]], until: float) -> Sequence[Score | None]:
        """The score of each claim; None for those that it had no time for, or that have no passage."""
        return [
            self._score(claim, passages) if passages and time.monotonic() < until else None
            for claim, passages in claims
        ]

    @property
    def _infers(self) -> bool:
        return len(self._labels) > 1

    def _score(self, claim: str, passages: Sequence[str]) -> Score:
        outputs = self._outputs([(passage, claim) for passage in passages])
        if not self._infers:
            return Score(self._scaled(-float(outputs.max())), UNSUPPORTED)
        others = np.delete(outputs, self._entailment, axis=1)
        doubts = np.logaddexp.reduce(others, axis=1) - outputs[:, self._entailment]
        denied = self._contradiction is not None and bool(
            (
                outputs[:, self._contradiction] > np.delete(outputs, self._contradiction, axis=1).max(axis=1)
            ).any()
        )
        return Score(self._scaled(float(doubts.min())), CONTRADICTION if denied else UNSUPPORTED)

    def _scaled(self, logit: float) -> float:
        """The score of a logit: the model's own without a calibration."""
        return _probability(logit) if self._scale is None else self._scale.scores([logit])[0]

    def _outputs(self, pairs: Sequence[tuple[str, str]]) -> Floats:
        """What the model gives for each window of each pair of a passage and a claim, shape (windows, labels)."""
        windows = [window for pair in pairs for window in self._windows(*pair)]
        return np.clip([self._session.outputs(window) for window in windows], -1e3, 1e3)

    def _windows(self, passage: str, claim: str) -> Iterator[Encoding]:
        offsets = self._cutting.encode(claim, add_special_tokens=False).offsets
        most = self._max_tokens // _CLAIM
        claim = claim[: offsets[most - 1][1]] if len(offsets) > most else claim
        pair = (passage, claim) if self._infers else (claim, passage)
        encoding = self._tokenizer.encode(*pair)
        yield from [encoding, *encoding.overflowing][:_MOST_WINDOWS]


class PairModels:
    """Loads each folder's model once, and lets go of those that no policy uses any more. Thread-safe."""

    def __init__(self) -> None:
        self._loaded: WeakValueDictionary[tuple[Any, ...], OnnxPairs] = WeakValueDictionary()
        self._lock = Lock()

    def load(self, spec: OnnxClassifier) -> OnnxPairs:
        """A folder's model.

        Raises:
            FailedPrecondition: the folder holds no model of pairs.
        """
        found = model_file(Path(spec.path)).stat()
        key = (spec.model_dump_json(), found.st_mtime_ns, found.st_size)
        with self._lock:
            model = self._loaded.get(key) or OnnxPairs(spec)
            self._loaded[key] = model
        return model


def _meanings(labels: dict[int, str], folder: Path) -> tuple[int, int | None]:
    """Which labels mean entailment and contradiction.

    Raises:
        FailedPrecondition: several labels, and none of them means entailment.
    """
    if len(labels) == 1:
        return 0, None
    found = [
        index
        for index, label in labels.items()
        if label.lower().startswith("entail") or label.lower() in ("supported", "supports", "consistent")
    ]
    if len(found) != 1:
        raise unfit(
            f"the labels of {folder} ({', '.join(labels.values())}) name no entailment, so it is no model of pairs"
        )
    denying = [index for index, label in labels.items() if label.lower().startswith("contradict")]
    return found[0], denying[0] if denying else None


def _probability(logit: float) -> float:
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))
