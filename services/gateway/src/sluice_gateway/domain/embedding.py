"""Texts to vectors apart from any run, and which knowledge base's model a caller means. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from sluice_api.objects.knowledge_base import Embedding, KnowledgeBaseSpec
from sluice_servicekit.errors import NotFound

#: The retriever's own model.
BUILTIN_MODEL = "all-MiniLM-L6-v2"


@dataclass(frozen=True, slots=True)
class EmbeddedTexts:
    """Texts' vectors, by one model."""

    dimension: int
    vectors: bytes
    """One after the other: IEEE 754 single precision, little-endian."""
    token_counts: tuple[int, ...]
    """Tokens of each text as the built-in model counts them."""


def model_name(embedding: Embedding) -> str:
    """What a knowledge base's embedding model is called; empty for an endpoint that names none."""
    if embedding.onnx is not None:
        return PurePath(embedding.onnx.path).name
    if embedding.open_ai is not None:
        return embedding.open_ai.model
    return "" if embedding.tei is not None else BUILTIN_MODEL


def knowledge_base_of(model: str, known: Mapping[str, KnowledgeBaseSpec]) -> str:
    """The knowledge base of that name, or else the first whose embedding model is called so.

    Raises:
        NotFound: there is none (`MODEL_NOT_FOUND`).
    """
    if model in known:
        return model
    models = {name: model_name(known[name].embedding) for name in sorted(known)}
    for name, called in models.items():
        if called and called == model:
            return name
    there = ", ".join(sorted({*models, *filter(None, models.values())})) or "none"
    raise NotFound(f"there is no embedding model {model!r}; there is: {there}", reason="MODEL_NOT_FOUND")
