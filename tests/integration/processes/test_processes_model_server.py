"""The examples/vllm objects against a server that answers as vLLM does."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from support import handbook
from support.model_server import ModelServer, serving
from support.running import PROJECT, Running, running, sluice, until

pytestmark = pytest.mark.processes

CHAT = "/v1/chat/completions"


def _objects(folder: Path, url: str) -> Path:
    folder.mkdir()
    for source in (PROJECT / "examples" / "vllm").glob("*.yaml"):
        (folder / source.name).write_text(source.read_text().replace("http://127.0.0.1:8000/v1", url))
    return folder


SENTENCES = (
    "The Ardmore press needs its oil change after 40 hours of work [1]. ",
    "Only trained staff may do it [1]. ",
    "It is made in the city of Lisbon [1].",
)


def _windowed(objects: Path) -> Path:
    policy = objects / "guardrail-policy.yaml"
    text = policy.read_text()
    assert "streaming:" in text
    lines = ["  streaming: window" if "streaming:" in line else line for line in text.splitlines()]
    policy.write_text("\n".join(lines))
    return objects


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


async def test_window_streams_sentence_by_sentence_and_survives_no_break(tmp_path: Path):
    question = handbook.questions()[0]
    server = ModelServer(SENTENCES, silent_seconds=1.0, silent_before=2)
    async with serving(server):
        objects = _windowed(_objects(tmp_path / "objects", server.url))

        def work() -> None:
            with running(tmp_path / "data", "-f", str(objects)) as up:
                up.ingest(handbook.documents())
                body = {"model": "default", "messages": [{"role": "user", "content": question.text}]}

                stream = up.openai().chat.completions.create(**body, stream=True)
                seen, times = "", []
                for chunk in stream:
                    seen += chunk.choices[0].delta.content or ""
                    times.append(time.monotonic())
                assert seen.startswith("".join(SENTENCES))
                assert times[-1] - times[0] > 0.5  # the first sentence did not wait for the last

                server.break_after, server.silent_seconds = 2, 0.0
                broken = _ask(up, question.text)
                assert broken.returncode == 1
                assert "generate: the model server" in broken.stderr
                assert up.runs()[0]["state"] == "failed"
                assert up.runs()[0]["reason"].startswith("generate: ")

                server.break_after, server.silent_seconds = None, 60.0
                with up.http() as http, http.stream("POST", CHAT, json={**body, "stream": True}) as reply:
                    assert reply.status_code == 200
                    next(reply.iter_bytes())
                until(lambda: up.runs()[0]["state"] == "cancelled", 20, "the run is cancelled")
                until(server.left.is_set, 20, "the model server is told")

        await asyncio.to_thread(work)
