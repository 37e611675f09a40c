"""Documents on their way in, when the gateway goes away in between."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sluice_cli import documents
from sluice_cli.errors import CommandError
from sluice_cli.ingesting import Ingested, Ingestion
from sluice_cli.ingestion_progress import Progress
from sluice_cli.label_options import labelling


class Gateway:
    """Answers as the gateway does, and breaks off the first time, after what it refuses by itself."""

    def __init__(self) -> None:
        self.sent: list[list[dict[str, Any]]] = []

    def events(self, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        self.sent.append(body["documents"])
        for document in body["documents"]:
            if _is_wrong(document):
                yield {
                    "type": "document",
                    "id": document["id"] if isinstance(document["id"], str) else "",
                    "outcome": "refused",
                    "reason": "no text",
                }
        if len(self.sent) == 1:
            raise CommandError("gone", passing=True)
        for document in body["documents"]:
            if not _is_wrong(document):
                yield {"type": "document", "id": document["id"], "outcome": "stored", "chunks": 1}
        yield {"type": "done"}


def _is_wrong(document: dict[str, Any]) -> bool:
    return not isinstance(document["id"], str) or not isinstance(document.get("text", ""), str)


def ingest(tmp_path: Path, lines: str, urls: list[str]) -> tuple[Ingested, Gateway]:
    file = tmp_path / "a.jsonl"
    file.write_text(lines)
    gateway = Gateway()
    found = documents.find([file], urls)
    ingestion = Ingestion(gateway, "default", found, labelling(None, ["a=1"], [], ""))  # type: ignore[arg-type]
    return ingestion.run(Progress("1 file", found.size)), gateway


def test_what_is_refused_is_counted_once_though_its_batch_goes_twice(tmp_path: Path) -> None:
    lines = (
        '{"id": 5, "text": "t"}\n{"id": "", "text": "t"}\n{"id": "b", "text": 5}\n{"id": "c", "text": "t"}\n'
    )

    outcome, gateway = ingest(tmp_path, lines, [])

    assert len(gateway.sent) == 2
    assert [failure["reason"] for failure in outcome.failed] == ["id is not text"] * 2 + ["no text"]
    assert outcome.accepted == 1


def test_urls_go_as_they_are_and_count_beside_files(tmp_path: Path) -> None:
    outcome, gateway = ingest(tmp_path, '{"url": "https://b.example/"}\n', ["https://a.example/"] * 2)

    assert gateway.sent[-1] == [
        {"id": "https://a.example/", "url": "https://a.example/", "metadata": {"a": 1}},
        {"id": "https://b.example/", "url": "https://b.example/", "metadata": {"a": 1}},
    ]
    assert (outcome.files, outcome.urls, outcome.accepted) == (1, 1, 2)
