"""A cross-encoder in a folder, on ONNX Runtime."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Encoding

from sluice_api.objects.ranker import CrossEncoder, Precision
from sluice_minilm.batching import batches
from sluice_reranker.batching.pairs import Pair
from sluice_reranker.models import folder, quantizing
from sluice_reranker.models.folder import sigmoid, unfit

#: What a model may ask for.
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})
#: A question takes no more than this share of what the model reads; the rest is the passage's.
_QUESTION = 2
#: Padded tokens of pairs that are read in one pass: more of them than fit into a core's cache are slower.
_BATCH_TOKENS = 512
#: Characters that are handed to the tokenizer for each token that can be read; no word is so long.
_CHARACTERS = 16
#: Hex digits of a digest that names a version.
_DIGITS = 12


class CrossEncoderModel:
    """The model and its tokenizer, on the caller's thread alone.

    Args:
        spec: Where it is.
        cache: Where models are kept that were made of it.

    Raises:
        FailedPrecondition: the folder holds no model that can be used.
    """

    def __init__(self, spec: CrossEncoder, cache: Path) -> None:
        path = Path(spec.path)
        file, is_to_be_made = folder.model_file(path, spec.precision)
        config = folder.read_config(path)
        self.most_tokens = min(spec.max_tokens, config.most_tokens)
        self.at_once = spec.batch if spec.precision is Precision.FLOAT32 else 1
        self._padding = config.padding
        self._outputs = config.outputs
        self._cutting = folder.open_tokenizer(path, config)
        self._tokenizer = folder.open_tokenizer(path, config)
        self._tokenizer.enable_truncation(self.most_tokens, strategy="only_second")
        folder.check_external_data(file)
        self._file = file
        used = quantizing.quantized(file, cache) if is_to_be_made else file
        self._session = _session(used)
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._output = self._session.get_outputs()[0].name
        if unknown := self._inputs - _INPUTS:
            raise unfit(f"the ranker {file} takes {', '.join(sorted(unknown))}: it is no cross-encoder")
        self.name = f"{path.resolve().name}-{_digest(used, path / 'tokenizer.json')}"

    def relevance(self, pairs: Sequence[Pair]) -> list[float]:
        """By the sigmoid of the model's logit."""
        encodings = [self._encoded(pair) for pair in pairs]
        lengths = [len(encoding.ids) for encoding in encodings]
        found = [0.0] * len(pairs)
        for like in batches(lengths, _BATCH_TOKENS):
            for index, logit in zip(like, self._logits([encodings[each] for each in like]), strict=True):
                found[index] = sigmoid(logit)
        return found

    def _encoded(self, pair: Pair) -> Encoding:
        return self._tokenizer.encode(
            self._shortened(pair.question.text), pair.text[: self.most_tokens * _CHARACTERS]
        )

    def _shortened(self, question: str) -> str:
        """As much of the question as leaves room for a passage."""
        most = self.most_tokens // _QUESTION
        if len(question) <= most:  # no token is shorter than a character
            return question
        offsets = self._cutting.encode(question[: most * _CHARACTERS], add_special_tokens=False).offsets
        return question[: offsets[most - 1][1]] if len(offsets) > most else question[: most * _CHARACTERS]

    def _logits(self, encodings: Sequence[Encoding]) -> list[float]:
        longest = max(len(encoding.ids) for encoding in encodings)
        ids = np.full((len(encodings), longest), self._padding, np.int64)
        mask, types = np.zeros_like(ids), np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            types[row, : len(encoding.ids)] = encoding.type_ids
            mask[row, : len(encoding.ids)] = 1
        feeds: dict[str, npt.NDArray[np.int64]] = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": types,
            "position_ids": np.broadcast_to(np.arange(longest), ids.shape),
        }
        try:
            [outputs] = self._session.run([self._output], {name: feeds[name] for name in self._inputs})
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise unfit(f"the ranker {self._file} fails on {longest} tokens: {str(error)[:300]}") from error
        return self._read(outputs, len(encodings))

    def _read(self, outputs: Any, count: int) -> list[float]:
        if outputs.shape not in ((count, self._outputs), (count,) if self._outputs == 1 else ()):
            raise unfit(
                f"the ranker {self._file} gives {tuple(outputs.shape[1:])} for each pair, and config.json says "
                f"({self._outputs},)"
            )
        figures = outputs.reshape(count, self._outputs).astype(np.float64)
        if not np.isfinite(figures).all():
            raise unfit(f"the ranker {self._file} gives what is no number")
        # Of two labels the second one means that the passage is relevant, as in models trained on MS MARCO.
        logits = figures[:, 0] if self._outputs == 1 else figures[:, 1] - figures[:, 0]
        return [float(logit) for logit in logits]


def _session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base
        raise unfit(f"the ranker {file} cannot be loaded: {str(error)[:300]}") from error


def _digest(*files: Path) -> str:
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()[:_DIGITS]
