"""A cross-encoder by sentence-transformers, which is installed where it is wanted."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sluice_api.objects.ranker import SentenceTransformers
from sluice_reranker.batching.pairs import Pair
from sluice_reranker.models.folder import sigmoid, unfit
from sluice_servicekit.errors import FailedPrecondition

_INSTALL = "pip install 'sluice-reranker[sentence-transformers]'"


class SentenceTransformersModel:
    """Its `CrossEncoder` on one thread.

    Args:
        spec: Where the model is.

    Raises:
        FailedPrecondition: sentence-transformers is not installed, or the folder holds no model that it can use.
    """

    def __init__(self, spec: SentenceTransformers) -> None:
        folder = Path(spec.path)
        if not (folder / "config.json").is_file():
            raise FailedPrecondition(
                f"the ranker's folder {folder} has no config.json; copy the model there, or correct "
                "sentenceTransformers.path",
                reason="RANKER_MISSING",
            )
        torch, cross_encoder = _library()
        torch.set_num_threads(1)
        try:
            self._model: Any = cross_encoder(
                str(folder), max_length=spec.max_tokens, device="cpu", local_files_only=True
            )
        except Exception as error:  # transformers raises all kinds
            raise unfit(
                f"sentence-transformers cannot load the ranker in {folder}: {str(error)[:300]}"
            ) from error
        self._identity = torch.nn.Identity()
        self.at_once = spec.batch
        self.most_tokens = spec.max_tokens
        config = (folder / "config.json").read_bytes()
        self.name = f"{folder.resolve().name}-{hashlib.sha256(config).hexdigest()[:12]}"

    def relevance(self, pairs: Sequence[Pair]) -> list[float]:
        """By the sigmoid of the model's logit, whatever function its configuration puts after it."""
        logits = self._model.predict(
            [(pair.question.text, pair.text) for pair in pairs],
            batch_size=self.at_once,
            show_progress_bar=False,
            activation_fn=self._identity,
        )
        found = np.asarray(logits, np.float64)
        if found.shape != (len(pairs),):
            raise unfit(f"the ranker {self.name} does not give one figure for each pair: it does not rank")
        if not np.isfinite(found).all():
            raise unfit(f"the ranker {self.name} gives what is no number")
        return [sigmoid(float(logit)) for logit in found]


def _library() -> tuple[Any, Any]:
    """The modules, which take seconds to import.

    Raises:
        FailedPrecondition: they are not there.
    """
    try:
        import torch
        from sentence_transformers import CrossEncoder
    except ImportError as error:
        raise FailedPrecondition(
            f"sentence-transformers is not installed beside the reranker ({error}); run: {_INSTALL}",
            reason="RANKER_MISSING",
        ) from error
    return torch, CrossEncoder
