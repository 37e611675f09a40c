"""The examples/vllm objects against a server that answers as vLLM does."""

import asyncio
import json
from pathlib import Path

import pytest

from support import handbook
from support.model_server import ModelServer, serving
from support.running import PROJECT, Running, running, sluice

pytestmark = pytest.mark.processes


def _objects(folder: Path, url: str) -> Path:
    folder.mkdir()
    for source in (PROJECT / "examples" / "vllm").glob("*.yaml"):
        (folder / source.name).write_text(source.read_text().replace("http://127.0.0.1:8000/v1", url))
    return folder


def _ask(up: Running, text: str):
    return sluice("ask", text, "--url", up.url, "--json")


async def test_answer_is_written_by_the_model_server(tmp_path: Path):
    question = handbook.questions()[0]
    server = ModelServer(("The Ardmore press needs it after 40 hours ", "of work [1]."))
    async with serving(server):
        objects = _objects(tmp_path / "objects", server.url)

        def work() -> None:
            with running(tmp_path / "data", "-f", str(objects)) as up:
                up.ingest(handbook.documents())
                answer = json.loads(_ask(up, question.text).stdout)
                assert answer["text"].startswith("The Ardmore press needs it after 40 hours of work [1].")
                assert answer["citations"][0]["document_id"] == question.document_id

                server.pieces = ("It is as they say [9].",)
                unresolved = _ask(up, question.text)
                assert unresolved.returncode == 3
                assert json.loads(unresolved.stdout)["verdict"]["reason"] == "UNRESOLVED_CITATION"

                server.status = 404
                failed = _ask(up, question.text)
                assert failed.returncode != 0
                assert "generate: the model server says (404)" in failed.stderr

        await asyncio.to_thread(work)
    passages = server.requests[0]["messages"][0]["content"]
    assert "40 hours of work" in passages
    assert server.requests[0]["model"] == "Qwen/Qwen3-4B-Instruct-2507"
