"""How token states become one vector."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sluice_api.objects.knowledge_base import Pooling
from sluice_retriever.domain.model import Floats
from sluice_servicekit.errors import FailedPrecondition

#: sentence-transformers' words for the modes that we know.
_MODES = {
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_lasttoken": Pooling.LAST,
}


def chosen(folder: Path, asked: Pooling) -> Pooling:
    """What is asked, or what the folder's `1_Pooling/config.json` says, or the mean.

    Raises:
        FailedPrecondition: the file cannot be read, or says what we cannot do.
    """
    path = folder / "1_Pooling" / "config.json"
    if asked is not Pooling.AUTO:
        return asked
    if not path.is_file():
        return Pooling.MEAN
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        modes = [name for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    except (OSError, ValueError, AttributeError) as error:
        raise FailedPrecondition(f"{path} cannot be read: {error}", reason="EMBEDDING_POOLING") from error
    if len(modes) != 1 or modes[0] not in _MODES:
        raise FailedPrecondition(
            f"{path} asks for {' and '.join(modes) or 'no pooling'}; mean, cls and last are known",
            reason="EMBEDDING_POOLING",
        )
    return _MODES[modes[0]]


def pooled(states: Floats, mask: npt.NDArray[np.int64], how: Pooling) -> Floats:
    """One vector for each text.

    Args:
        states: Shape (texts, tokens, dimension), padded at the end.
        mask: Shape (texts, tokens), 1 for tokens and 0 for padding.
        how: Not `AUTO`.
    """
    if how is Pooling.CLS:
        first: Floats = states[:, 0]
        return first
    counts = mask.sum(axis=1)
    if how is Pooling.LAST:
        last: Floats = states[np.arange(len(states)), counts - 1]
        return last
    weights = mask[:, :, None].astype(np.float32)
    means: Floats = (states * weights).sum(axis=1) / counts[:, None].astype(np.float32)
    return means
