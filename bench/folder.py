"""A folder as people have it: ingested, killed twice on the way, resumed, and asked.

    bench/debian_docs.sh FOLDER                       # Debian's own documentation, some 2,300 files
    .venv/bin/python bench/folder.py FOLDER [--questions bench/debian_questions.jsonl] [--data DIR]

The first time `sluice ingest` is killed with SIGKILL after a third of the documents, the second time all of `sluice up`
after two thirds; the third time it may end. Then each question is asked through the OpenAI API. One is right whose
answer cites a file that is listed for it; patterns as in the shell.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from sluice_cli.documents import find
from support.running import SLUICE, Running, running

HERE = Path(__file__).parent
#: Shares of the documents after which something is killed.
_KILLED_AT = (1 / 3, 2 / 3)


@dataclass(frozen=True)
class Question:
    """A question and the files, below the folder, that answer it."""

    text: str
    files: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--questions", type=Path, default=HERE / "debian_questions.jsonl")
    arguments = parser.parse_args()
    folder: Path = arguments.folder.resolve()
    questions = list(_questions(arguments.questions))
    total = len(find([folder]).files)
    print(f"{total} files in {folder.name}")
    with tempfile.TemporaryDirectory() as data:
        for attempt, share in enumerate((*_KILLED_AT, None)):
            with _up(Path(data)) as up:
                outcome = _ingest(up, folder, None if share is None else int(total * share), attempt)
                if outcome is not None:
                    _report(outcome)
                    _ask(up, questions)


@contextmanager
def _up(data: Path) -> Iterator[Running]:
    with running(data / "data") as up:
        yield up


def _ingest(up: Running, folder: Path, kill_at: int | None, attempt: int) -> dict[str, Any] | None:
    """What `sluice ingest` said; None where it, or all of `sluice up`, was killed on the way."""
    started = time.monotonic()
    command = [SLUICE, "ingest", ".", "--url", up.url, "--output", "json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        if kill_at is None:
            outcome: dict[str, Any] = json.loads(process.communicate()[0])
            return outcome
        while (stored := _documents(up)) < kill_at:
            time.sleep(1)
        seconds = time.monotonic() - started
        if attempt == 0:
            process.kill()
            print(f"killed `sluice ingest` after {seconds:.0f} s, with {stored} documents stored")
        else:
            for child in up.record["processes"]:
                os.kill(child["pid"], signal.SIGKILL)
            up.process.kill()
            process.kill()
            print(f"killed everything after {seconds:.0f} s, with {stored} documents stored")
    return None


def _documents(up: Running) -> int:
    count, after = 0, ""
    with up.http() as http:
        while after is not None:
            parameters = {"limit": 1000, "after": after}
            page = http.get("/v1/knowledge/default/documents", params=parameters).raise_for_status().json()
            count, after = count + len(page["documents"]), page["next"]
    return count


def _report(outcome: dict[str, Any]) -> None:
    stored = outcome["accepted"] - outcome["unchanged"]
    print(
        f"resumed: {outcome['unchanged']} documents were there, {stored} stored now in {outcome['chunks']} chunks;"
        f" {outcome['seconds']:.0f} s, {outcome['chunks'] / outcome['seconds']:.1f} chunks/s,"
        f" {stored / outcome['seconds']:.1f} documents/s"
    )
    for failure in outcome["failed"]:
        print(f"  not accepted: {failure['id']}: {failure['reason']}")


def _ask(up: Running, questions: Sequence[Question]) -> None:
    right = first = 0
    with up.http() as http:
        for question in questions:
            body = {"model": "default", "messages": [{"role": "user", "content": question.text}]}
            reply = http.post("/v1/chat/completions", json=body).raise_for_status().json()
            cited = [each["document_id"] for each in reply["sluice"]["citations"]]
            hits = [any(fnmatch(name, pattern) for pattern in question.files) for name in cited]
            right += any(hits)
            first += bool(hits) and hits[0]
            mark = "right" if any(hits) else "WRONG"
            print(f"{mark}  {question.text}\n       cites {', '.join(cited) or 'nothing'}")
    print(f"{right} of {len(questions)} cite the right file, {first} of them first")


def _questions(path: Path) -> Iterator[Question]:
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        yield Question(entry["question"], tuple(entry["files"]))


if __name__ == "__main__":
    main()
