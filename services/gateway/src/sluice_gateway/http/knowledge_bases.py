"""`GET /v1/knowledge`: the knowledge bases."""

from fastapi import APIRouter, Request

from sluice_gateway.http.described import described
from sluice_gateway.http.replies.knowledge import KnowledgeBases
from sluice_gateway.http.state import of, principal

router = APIRouter()


@router.get("/v1/knowledge", **described("knowledge", KnowledgeBases))
async def list_knowledge_bases(request: Request) -> dict[str, list[dict[str, str]]]:
    """All knowledge bases by name; which of their documents the caller may read is another matter."""
    found = of(request).gateway.knowledge_bases(principal(request))
    return {
        "knowledge_bases": [
            {"name": name, "description": description, "embedding_model": model}
            for name, description, model in found
        ]
    }
