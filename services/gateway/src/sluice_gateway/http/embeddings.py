"""`POST /v1/embeddings`: texts to vectors, by a knowledge base's model; OpenAI's embeddings."""

import base64
import struct
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from sluice_gateway.domain.embedding import EmbeddedTexts
from sluice_gateway.http.bodies import RequestModel, read
from sluice_gateway.http.described import described
from sluice_gateway.http.replies.openai import Embeddings
from sluice_gateway.http.state import of, principal
from sluice_servicekit import deadlines
from sluice_servicekit.errors import InvalidArgument

router = APIRouter()

Json = dict[str, Any]

_EXAMPLE = {"model": "default", "input": ["The vault opens at nine."]}

_MOST_TEXTS = 2048
_FLOAT_BYTES = 4
#: Seconds for one request.
_TIMEOUT = 60.0


class EmbeddingsBody(RequestModel):
    """What to encode."""

    model: Annotated[str, Field(min_length=1)]
    """A knowledge base's name, or the name of its embedding model."""
    input: str | Annotated[list[Any], Field(min_length=1, max_length=_MOST_TEXTS)]
    """One text, or up to 2048; lists of tokens are refused."""
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    """What the model has anyway; vectors are not shortened."""
    input_type: Literal["query", "document"] = "query"
    """Sluice's own: some models tell questions and documents apart by a prefix."""

    def texts(self) -> list[str]:
        """The texts.

        Raises:
            InvalidArgument: one is none, or blank.
        """
        given = [self.input] if isinstance(self.input, str) else self.input
        for index, text in enumerate(given):
            field = "input" if isinstance(self.input, str) else f"input[{index}]"
            if isinstance(text, int | list):
                raise InvalidArgument(
                    "tokens are not read: send texts", reason="UNSUPPORTED_VALUE", field=field
                )
            if not isinstance(text, str):
                raise InvalidArgument("input must be a text or a list of texts", field=field)
            if not text.strip():
                raise InvalidArgument("the text is empty", field=field)
        return given


@router.post(
    "/v1/embeddings",
    **described("embeddings", Embeddings, body=EmbeddingsBody, errors=(404, 429, 504), example=_EXAMPLE),
)
async def embeddings(request: Request) -> Response:
    """The vectors of texts, by a knowledge base's model."""
    state = of(request)
    who = principal(request)
    body = await read(request, EmbeddingsBody, state.settings.max_body_bytes)
    texts = body.texts()
    with deadlines.limit(_TIMEOUT):
        encoded = await state.gateway.embed_texts(
            who, body.model, texts, as_documents=body.input_type == "document"
        )
    if body.dimensions not in (None, encoded.dimension):
        raise InvalidArgument(
            f"the model's vectors have {encoded.dimension} dimensions, and are not shortened",
            reason="UNSUPPORTED_VALUE",
            field="dimensions",
        )
    return Response(orjson.dumps(_reply(body, encoded)), media_type="application/json")


def _reply(body: EmbeddingsBody, encoded: EmbeddedTexts) -> Json:
    size = encoded.dimension * _FLOAT_BYTES
    rows = [encoded.vectors[start : start + size] for start in range(0, len(encoded.vectors), size)]
    tokens = sum(encoded.token_counts)
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _vector(row, body.encoding_format)}
            for index, row in enumerate(rows)
        ],
        "model": body.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _vector(row: bytes, encoding_format: str) -> str | Sequence[float]:
    if encoding_format == "base64":
        return base64.b64encode(row).decode()
    return list(struct.unpack(f"<{len(row) // _FLOAT_BYTES}f", row))
