"""A stack whose pipeline caches, and callers that see what the cache gave."""

from pathlib import Path
from typing import Any

from support.running import QUICKSTART, Running

_CACHE = """
  cache: { coalesce: true, exact: { ttl: 1h }, semantic: { threshold: 0.9, ttl: 1h } }
  audit: required"""


def caching_objects(folder: Path) -> Path:
    """The quickstart's objects with a cache, in a folder of their own."""
    objects = folder / "objects"
    objects.mkdir()
    for source in QUICKSTART.glob("*.yaml"):
        (objects / source.name).write_text(source.read_text().replace("\n  audit: required", _CACHE))
    return objects


class Tenant:
    """A caller."""

    def __init__(self, up: Running, name: str) -> None:
        self.http, self.up, self.name = up.http(name), up, name

    def ask(self, question: str, **headers: str) -> tuple[str, dict[str, Any]]:
        """What the cache gave, and the answer."""
        body = {"model": "default", "messages": [{"role": "user", "content": question}]}
        response = self.http.post("/v1/chat/completions", json=body, headers=headers).raise_for_status()
        return response.headers["x-sluice-cache"], response.json()

    def ingest(self, document: dict[str, Any]) -> None:
        self.up.ingest([document], self.name)

    def delete(self, document_id: str) -> None:
        self.http.delete(f"/v1/knowledge/default/documents/{document_id}").raise_for_status()

    def run(self, answer: dict[str, Any]) -> dict[str, Any]:
        return self.up.run(answer["sluice"]["run_id"], self.name)
