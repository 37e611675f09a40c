"""A classifier of attacks in a folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sluice_api.objects.guardrail_policy import OnnxClassifier
from sluice_guardrail.domain.classifying import labels
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

#: Of what is longer than the model reads, parts are read that overlap by this share.
_OVERLAP = 4


class FolderModel:
    """The model and its tokenizer, warmed up. Thread-safe; the interpreter's lock is free while it runs.

    Args:
        spec: Where it is, and which labels mean an attack.

    Raises:
        FailedPrecondition: the folder holds no model that can be used.
    """

    def __init__(self, spec: OnnxClassifier) -> None:
        folder = Path(spec.path)
        file = model_file(folder)
        config = read_config(folder / "config.json")
        longest = config.get("max_position_embeddings")
        self.max_tokens = min(spec.max_tokens, longest) if isinstance(longest, int) else spec.max_tokens
        self._labels = read_labels(config, folder)
        try:
            self._attacks = labels.attacks(self._labels, spec.attack_labels)
        except ValueError as error:
            raise unfit(f"the classifier in {folder}: {error}") from error
        self._several = config.get("problem_type") == "multi_label_classification" or len(self._labels) == 1
        if not self._several and len(self._attacks) == len(self._labels):
            raise unfit(f"the classifier in {folder}: no label means that a text is harmless")
        self._tokenizer = open_tokenizer(folder)
        self._tokenizer.enable_truncation(self.max_tokens, stride=self.max_tokens // _OVERLAP)
        self.special_tokens: int = self._tokenizer.num_special_tokens_to_add(False)  # noqa: FBT003 - its API
        self.cutting = open_tokenizer(folder)
        """Reads texts of any length."""
        self._session = FolderSession(file, len(self._labels))
        self.logits(["word " * self.max_tokens])  # the longest that it may be asked for
        self.version = digest([file, folder / "tokenizer.json", folder / "config.json"])

    def logits(self, texts: Sequence[str]) -> list[float]:
        """The logit of an attack for each text; where one is longer than the model reads, the highest of its parts."""
        return [
            max(self._attack(self._session.outputs(part)) for part in (encoding, *encoding.overflowing))
            for encoding in self._tokenizer.encode_batch(list(texts))
        ]

    def _attack(self, outputs: Floats) -> float:
        """The logit of an attack, by outputs of shape (labels,)."""
        attacks: Floats = outputs[list(self._attacks)]
        if self._several:
            return float(attacks.max())
        others = np.delete(outputs, self._attacks)
        return float(np.clip(np.logaddexp.reduce(attacks) - np.logaddexp.reduce(others), -1e3, 1e3))
