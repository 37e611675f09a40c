"""An ONNX model in a folder, as sentence-transformers exports it, on ONNX Runtime."""

import asyncio
import hashlib
import itertools
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Encoding, Tokenizer

from sluice_api.objects.knowledge_base import OnnxEmbedding, Pooling
from sluice_minilm.batching import batches
from sluice_minilm.model import normalised
from sluice_retriever.domain.model import Floats
from sluice_retriever.encoding import pooling
from sluice_retriever.encoding.encoder import BATCH_TOKENS, MAX_QUESTION_CHARACTERS
from sluice_servicekit.errors import FailedPrecondition

#: Where the model is when the spec names no file.
_FILES = ("model.onnx", "onnx/model.onnx")

#: What a text encoder may ask for.
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids", "position_ids"})

#: Outputs that are the text's vector, and those that are its tokens' states.
_SENTENCE, _STATES = "sentence_embedding", ("last_hidden_state", "token_embeddings")


class FolderModel:
    """A model in a folder.

    Args:
        spec: Where it is and how its states become a vector.
        threads: Chunks are encoded on so many threads, a pass each.
        question_threads: Where questions are encoded.
        ingestion_threads: Where chunks are handed to those threads.

    Raises:
        FailedPrecondition: the folder holds no model that can be used.
    """

    def __init__(
        self, spec: OnnxEmbedding, threads: int, question_threads: Executor, ingestion_threads: Executor
    ) -> None:
        folder = Path(spec.path)
        self._spec = spec
        self._file = _model_file(folder, spec.file)
        self._tokenizer = _tokenizer(folder, spec.max_tokens)
        self._session = _session(self._file)
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._pooling = spec.pooling
        self._output = self._chosen_output()
        if self._output != _SENTENCE:
            self._pooling = pooling.chosen(folder, spec.pooling)
        self._question_threads = question_threads
        self._ingestion_threads = ingestion_threads
        self._threads = ThreadPoolExecutor(threads, "encoding")
        self.dimension = len(self._vectors([self._tokenizer.encode("word")])[0])
        self.identity: dict[str, object] = {
            "files": _digest([*_weights(self._file), folder / "tokenizer.json"]),
            "output": self._output,
            "pooling": self._pooling,
            "max_tokens": spec.max_tokens,
            "query_prefix": spec.query_prefix,
            "document_prefix": spec.document_prefix,
        }

    async def question(self, text: str) -> Floats:
        """A question's vector."""
        asked = self._spec.query_prefix + text[:MAX_QUESTION_CHARACTERS]
        vectors: Floats = await asyncio.get_running_loop().run_in_executor(
            self._question_threads, lambda: self._vectors([self._tokenizer.encode(asked)])
        )
        vector: Floats = vectors[0]
        return vector

    async def questions(self, texts: Sequence[str]) -> Floats:
        """Many questions' vectors."""
        asked = [self._spec.query_prefix + text[:MAX_QUESTION_CHARACTERS] for text in texts]
        return await asyncio.get_running_loop().run_in_executor(self._ingestion_threads, self._encode, asked)

    async def chunks(self, texts: Sequence[str]) -> Floats:
        """Chunks' vectors."""
        asked = [self._spec.document_prefix + text for text in texts]
        return await asyncio.get_running_loop().run_in_executor(self._ingestion_threads, self._encode, asked)

    async def aclose(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False)

    def _encode(self, texts: Sequence[str]) -> Floats:
        encodings = self._tokenizer.encode_batch(list(texts))

        def encode(batch: Sequence[int]) -> list[tuple[int, Floats]]:
            return list(zip(batch, self._vectors([encodings[index] for index in batch]), strict=True))

        encoded = self._threads.map(encode, batches([len(each.ids) for each in encodings], BATCH_TOKENS))
        vectors = dict(itertools.chain.from_iterable(encoded))
        return np.stack([vectors[index] for index in range(len(texts))])

    def _vectors(self, encodings: Sequence[Encoding]) -> Floats:
        longest = max(len(each.ids) for each in encodings)
        ids = np.zeros((len(encodings), longest), np.int64)
        mask = np.zeros_like(ids)
        for row, each in enumerate(encodings):
            ids[row, : len(each.ids)] = each.ids
            mask[row, : len(each.ids)] = 1
        feeds = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": np.zeros_like(ids),
            "position_ids": np.broadcast_to(np.arange(longest), ids.shape),
        }
        try:
            [found] = self._session.run(
                [self._output], {name: feeds[name] for name in feeds if name in self._inputs}
            )
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise FailedPrecondition(
                f"the model {self._file} fails on a text of {longest} tokens: {str(error)[:300]}",
                reason="EMBEDDING_MODEL_FAILED",
            ) from error
        states: npt.NDArray[np.float32] = found.astype(np.float32)
        return normalised(states if states.ndim == 2 else pooling.pooled(states, mask, self._pooling))

    def _chosen_output(self) -> str:
        """The output to read: the text's vector where the graph makes one and the spec names no pooling."""
        outputs = [each.name for each in self._session.get_outputs()]
        unknown = self._inputs - _INPUTS
        states = next((name for name in _STATES if name in outputs), "")
        output = _SENTENCE if self._pooling is Pooling.AUTO and _SENTENCE in outputs else states
        if not output or unknown:
            raise FailedPrecondition(
                f"the model {self._file} takes {', '.join(sorted(self._inputs))} and gives {', '.join(outputs)};"
                f" it must take no more than {', '.join(sorted(_INPUTS))} and give {_SENTENCE},"
                f" or {' or '.join(_STATES)} to pool",
                reason="EMBEDDING_MODEL_UNFIT",
            )
        return output


def _model_file(folder: Path, name: str) -> Path:
    if not folder.is_dir():
        raise FailedPrecondition(
            f"the embedding model's folder {folder} is not there", reason="EMBEDDING_MODEL_MISSING"
        )
    tried = (name,) if name else _FILES
    for each in tried:
        if (folder / each).is_file():
            return folder / each
    raise FailedPrecondition(
        f"the embedding model's folder {folder} has no {' or '.join(tried)}", reason="EMBEDDING_MODEL_MISSING"
    )


def _tokenizer(folder: Path, max_tokens: int) -> Tokenizer:
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise FailedPrecondition(
            f"the embedding model's folder {folder} has no tokenizer.json",
            reason="EMBEDDING_TOKENIZER_MISSING",
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no other
        raise FailedPrecondition(
            f"{path} cannot be read: {str(error)[:300]}", reason="EMBEDDING_TOKENIZER_MISSING"
        ) from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base
        raise FailedPrecondition(
            f"the model {file} cannot be loaded: {str(error)[:300]}", reason="EMBEDDING_MODEL_UNFIT"
        ) from error


def _weights(file: Path) -> list[Path]:
    """The model's file and those beside it that hold its weights."""
    return sorted(
        path for path in file.parent.iterdir() if path.is_file() and path.name.startswith(file.name)
    )


def _digest(files: Sequence[Path]) -> str:
    whole = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()
