"""A sequence classifier in a folder, as Hugging Face's tools export it, on ONNX Runtime."""

import math
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from sluice_api.objects.guardrail_policy import OnnxClassifier
from sluice_guardrail.domain.classifying.folder_model import FolderModel
from sluice_guardrail.domain.classifying.model_folder import model_file
from sluice_guardrail.domain.classifying.scale import Scale
from sluice_guardrail.domain.model import Channel, Span

#: Tokens of a prompt's window, special ones included. Documents are read in windows as long as the model reads.
_PROMPT = 128
#: Windows overlap by a quarter.
_OVERLAP = 4
#: Without a calibration.
_UNCALIBRATED = (0.5, 0.5)
#: The least distance between two anchors of a scale, in logits.
_APART = 1e-6


class OnnxFolderClassifier:
    """A model on one channel: how long its windows are, and what its scores are worth."""

    name: ClassVar[str] = "onnx"

    def __init__(self, model: FolderModel, spec: OnnxClassifier, channel: Channel) -> None:
        self._model = model
        size = min(model.max_tokens, _PROMPT) if channel is Channel.USER else model.max_tokens
        self._size = max(1, size - model.special_tokens)
        self._stride = max(1, self._size - self._size // _OVERLAP)
        anchors = spec.calibration.get(channel.value, spec.calibration.get("*", _UNCALIBRATED))
        self._scale = scale(*anchors)
        self.version = model.version
        calibrated = anchors != _UNCALIBRATED
        self.threshold_set = f"{anchors[0]:g}/{anchors[1]:g}" if calibrated else "uncalibrated"

    def windows(self, text: str) -> Sequence[Span]:
        """Stretches of 128 tokens at most of a prompt, else of as many as the model reads; overlapping by a quarter."""
        offsets = self._model.cutting.encode(text, add_special_tokens=False).offsets
        firsts = range(0, max(1, len(offsets) - self._size + self._stride), self._stride)
        return [
            Span(offsets[at][0], offsets[min(at + self._size, len(offsets)) - 1][1])
            for at in firsts
            if offsets
        ]

    def scores(self, windows: Sequence[str], channel: Channel, totals: Sequence[int] = ()) -> Sequence[float]:
        """The calibrated score of each window, the same in long texts and short ones. `channel` is the one this
        classifier is for."""
        return self._scale.scores(self._model.logits(windows)) if windows else []


class FolderModels:
    """Loads each folder's model once, and lets go of those that no policy uses any more. Thread-safe."""

    def __init__(self) -> None:
        self._loaded: WeakValueDictionary[tuple[Any, ...], FolderModel] = WeakValueDictionary()
        self._lock = Lock()

    def classifier(self, spec: OnnxClassifier, channel: Channel) -> OnnxFolderClassifier:
        """A folder's classifier for a channel.

        Raises:
            FailedPrecondition: the folder holds no model that can be used.
        """
        found = model_file(Path(spec.path)).stat()
        key = (spec.path, spec.attack_labels, spec.max_tokens, found.st_mtime_ns, found.st_size)
        with self._lock:
            model = self._loaded.get(key) or FolderModel(spec)
            self._loaded[key] = model
        return OnnxFolderClassifier(model, spec, channel)


def scale(one_in_hundred: float, one_in_thousand: float) -> Scale:
    """The scale on which a model's own scores, probabilities, come to 0.3 and 0.5."""
    low, high = _logit(one_in_hundred), _logit(one_in_thousand)
    high = max(high, low + _APART)
    # One in twenty is as far below as it would be if the share fell evenly with the logit.
    return Scale((low - math.log10(5) * (high - low), low, high))


def _logit(probability: float) -> float:
    bounded = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(bounded / (1 - bounded))
