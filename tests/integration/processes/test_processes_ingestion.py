"""Folders as people have them, through the real command: every kind of file, and every fault that one can have."""

import json
import signal
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from sluice_api.media_types import MediaType
from support import files
from support.running import SLUICE, Running, running, sluice, until
from support.tables import ReportTable

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("up") / "data") as started:
        yield started


def ingest(
    up: Running, folder: Path, *more: str, tenant: str
) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = sluice("ingest", *more, "--url", up.url, "--tenant", tenant, "--json", cwd=folder, timeout=200)
    return done, json.loads(done.stdout) if done.stdout else {}


def stored(up: Running, tenant: str) -> set[str]:
    with up.http(tenant) as http:
        page = http.get("/v1/knowledge/default/documents", params={"limit": 1000}).raise_for_status().json()
    assert page["next"] is None
    return {document["id"] for document in page["documents"]}


def cited(up: Running, question: str, tenant: str) -> str:
    """The document that answers best."""
    with up.http(tenant) as http:
        found = http.post("/v1/search", json={"query": question, "rerank": True}).raise_for_status().json()
    first: str = found["hits"][0]["document_id"]
    return first


def test_every_kind_of_file_is_found_by_its_words(up: Running, tmp_path: Path) -> None:
    for index, (kind, make) in enumerate(files.GOOD.items()):
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"file{kind}").write_bytes(make(f"word{index}"))

    done, outcome = ingest(up, tmp_path, "in", tenant="kinds")

    assert done.returncode == 0, done.stderr
    assert (outcome["accepted"], outcome["failed"]) == (len(files.GOOD), [])
    for index, kind in enumerate(files.GOOD):
        name = f"word{index}" if kind == ".jsonl" else f"in/file{kind}"
        assert cited(up, f"When does the word{index} valve open?", "kinds") == name


def test_a_bad_file_is_named_with_its_reason_and_costs_no_other(
    up: Running, tmp_path: Path, report_table: ReportTable
) -> None:
    cases = files.bad()
    good: set[str] = set()
    names: list[str] = []
    for index, case in enumerate(cases):
        folder = tmp_path / "in" / f"{index:02}"
        folder.mkdir(parents=True)
        for side in ("a", "z"):  # one before the bad file, one after it
            (folder / f"{side}-good.md").write_bytes(files.markdown(f"{side}{index}"))
            good.add(f"in/{index:02}/{side}-good.md")
        case.make(folder / f"bad{case.kind}")
        names.append(f"in/{index:02}/bad{case.kind}")

    done, outcome = ingest(up, tmp_path, "in", tenant="bad")

    reasons: dict[str, str] = defaultdict(str)
    for failure in outcome["failed"]:
        reasons[failure["id"].partition(":")[0]] += failure["reason"]
    there = stored(up, "bad")
    rows = _matrix(cases, names, reasons, there)
    lost = len(good - there)
    report_table(f"bad files: {len(cases)} tried, {lost} other documents lost", rows)
    assert lost == 0
    assert [row for row in rows[1:] if row[-1] != "clear"] == []
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def _matrix(
    cases: Sequence[files.Bad], names: Sequence[str], reasons: dict[str, str], there: set[str]
) -> list[tuple[str, str, str, str]]:
    rows = [("kind", "fault", "outcome", "verdict")]
    for case, name in zip(cases, names, strict=True):
        # The document of {"id": "w"} is not named by its file.
        reason = reasons[name] or (reasons["w"] if case.fault == "wrong field" else "")
        clear = case.says in reason and bool(reason) if case.says else not reason and name in there
        outcome = reason[:70] or ("stored" if name in there else "nothing said")
        rows.append(
            (case.kind, case.fault, outcome, "clear" if clear else f"expected: {case.says or 'stored'}")
        )
    return rows


def test_killed_twice_the_same_command_goes_on_and_ends_whole(up: Running, tmp_path: Path) -> None:
    for index in range(150):
        (tmp_path / "in" / f"{index % 10}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / f"{index % 10}" / f"{index}.html").write_bytes(files.html(f"valve{index}"))
    command = [SLUICE, "ingest", "in", "--url", up.url, "--tenant", "killed"]

    before = 0
    for _ in range(2):
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
            until(lambda: len(stored(up, "killed")) > before + 8, 60, "documents arrive")  # noqa: B023
            process.send_signal(signal.SIGKILL)
        before = len(stored(up, "killed"))
        assert before < 150
    up.kill("retriever")
    done, outcome = ingest(up, tmp_path, "in", tenant="killed")

    assert done.returncode == 0, done.stderr
    assert outcome["accepted"] == 150
    assert outcome["unchanged"] >= before
    assert len(stored(up, "killed")) == 150
    assert cited(up, "When does the valve77 valve open?", "killed") == "in/7/77.html"


def test_ctrl_c_says_what_is_in_and_how_to_go_on(up: Running, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index in range(200):
        (tmp_path / "in" / f"{index}.md").write_bytes(files.markdown(f"valve{index}"))
    command = [SLUICE, "ingest", "in", "--url", up.url, "--tenant", "stopped", "--json"]

    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until(lambda: len(stored(up, "stopped")) > 8, 60, "documents arrive")
        process.send_signal(signal.SIGINT)
        output, words = process.communicate(timeout=30)

    assert process.returncode == 130, words
    assert 0 < json.loads(output)["accepted"] <= len(stored(up, "stopped")) < 200
    assert "goes on from here" in words
    assert "Traceback" not in words


def test_the_retriever_may_die_while_files_go_in(up: Running, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for index in range(120):
        (tmp_path / "in" / f"{index}.csv").write_bytes(files.csv(f"valve{index}"))
    command = [SLUICE, "ingest", "in", "--url", up.url, "--tenant", "dying", "--json"]

    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        until(lambda: len(stored(up, "dying")) > 8, 60, "documents arrive")
        up.kill("retriever")
        output = process.communicate(timeout=120)[0]

    assert process.returncode == 0
    assert json.loads(output)["accepted"] == 120
    assert len(stored(up, "dying")) == 120


def test_what_changed_is_replaced_what_is_gone_is_pruned_and_the_rest_is_left_alone(
    up: Running, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("same", "changed", "gone"):
        (folder / f"{name}.txt").write_bytes(files.text(name))
    (folder / "picture.png").write_bytes(b"\x89PNG")
    ingest(up, tmp_path, "in", tenant="pruned")

    (folder / "changed.txt").write_bytes(files.text("altered"))
    (folder / "gone.txt").unlink()
    _, outcome = ingest(up, tmp_path, "in", "--prune", tenant="pruned")

    assert (outcome["accepted"], outcome["unchanged"]) == (2, 1)
    assert outcome["left_out"] == {".png": 1}
    assert stored(up, "pruned") == {"in/same.txt", "in/changed.txt"}
    assert cited(up, "When does the altered valve open?", "pruned") == "in/changed.txt"


def test_pruning_the_working_folder_is_refused_before_anything_is_sent(up: Running, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(files.text("a"))

    done, _ = ingest(up, tmp_path, ".", "--prune", tenant="cautious")

    assert done.returncode == 2
    assert "working folder" in done.stderr
    assert stored(up, "cautious") == set()


def test_an_empty_folder_and_a_wrong_knowledge_base_say_so(up: Running, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_bytes(files.text("a"))

    empty, _ = ingest(up, tmp_path, "empty", tenant="wrong")
    unknown, _ = ingest(up, tmp_path, "a.txt", "--kb", "nowhere", tenant="wrong")

    assert (empty.returncode, unknown.returncode) == (2, 2)
    assert "nothing to ingest in empty" in empty.stderr
    assert "nowhere" in unknown.stderr


def test_documents_are_listed_and_deleted_from_the_command_line(up: Running, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_bytes(files.text(name))
    ingest(up, tmp_path, "a.txt", "b.txt", tenant="listed")
    options = ("--url", up.url, "--tenant", "listed")

    listed = json.loads(sluice("documents", "list", "--json", *options).stdout)
    deleted = sluice("documents", "delete", "a.txt", *options)
    again = sluice("documents", "delete", "a.txt", *options)

    assert listed == {"documents": [{"id": "a.txt", "chunks": 1}, {"id": "b.txt", "chunks": 1}], "next": None}
    assert (deleted.returncode, again.returncode) == (0, 2)
    assert stored(up, "listed") == {"b.txt"}


def test_a_file_is_put_under_its_id_as_it_is(up: Running) -> None:
    with up.http("put") as http:
        created = http.put("/v1/knowledge/default/documents/manuals/a%20b.pdf", content=files.pdf("uploaded"))
        typed = http.put(
            "/v1/knowledge/default/documents/page?title=Page",
            content=files.html("typed"),
            headers={"content-type": "text/html; charset=utf-8"},
        )
        locked = http.put("/v1/knowledge/default/documents/locked.pdf", content=files.pdf("x", "secret"))
        empty = http.put("/v1/knowledge/default/documents/empty.pdf", content=b"")
        unknown = http.put("/v1/knowledge/default/documents/what", content=b"some words")

    assert created.json() == {"id": "manuals/a b.pdf", "outcome": "stored", "chunks": 1}
    assert typed.json()["outcome"] == "stored"
    assert locked.status_code == empty.status_code == unknown.status_code == 400
    assert locked.json()["error"]["code"] == "document_refused"
    assert "password" in locked.json()["error"]["message"]
    assert MediaType.DOCX in unknown.json()["error"]["message"]
    assert stored(up, "put") == {"manuals/a b.pdf", "page"}


def test_documents_are_told_of_one_by_one_as_they_are_stored(up: Running) -> None:
    long = " ".join(
        f"Sentence number {number} is of no interest to anybody at all." for number in range(1500)
    )
    body = {
        "documents": [
            {"id": "short", "text": "Otters sleep."},
            {"id": "long", "text": long},
            {"id": "bad", "content": "***"},
            {"text": "no id"},
        ]
    }
    with up.http("told") as http:
        events = _events(http, body)
        again = _events(http, body)

    kinds = [(event.get("id"), event.get("outcome")) for event in events]
    assert kinds[0] == ("bad", "refused")
    assert ("short", "stored") in kinds
    parts = [event for event in events if event.get("outcome") == "in_progress"]
    assert parts
    assert all(0 < part["chunks"] < part["total_chunks"] for part in parts)
    assert kinds.index(("long", "in_progress")) < kinds.index(("long", "stored"))
    assert events[-1]["type"] == "done"
    assert (events[-1]["accepted"], events[-1]["unchanged"], len(events[-1]["failed"])) == (2, 0, 2)
    assert (again[-1]["accepted"], again[-1]["unchanged"]) == (2, 2)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ('{"id": "a", "text": "A.", "metadata": {"x": 99999999999999999999}}', "64 bits"),
        ('{"id": "a", "text": "A.", "metadata": {"x": ' + "[" * 100 + "]" * 100 + "}}", "deeper"),
        ('{"id": "a", "text": "A.", "content": "QQ=="}', "both given"),
        ('{"id": "a", "text": "A.", "media_type": "image/png"}', "text/csv"),
        ('{"id": "a", "content": "not base64!"}', "base64"),
        ('{"id": "a"}', "empty"),
    ],
)
def test_a_document_that_cannot_be_stored_says_why(up: Running, document: str, says: str) -> None:
    good = '{"id": "good", "text": "Good."}'
    with up.http("refused") as http:
        reply = http.post(
            "/v1/knowledge/default/documents",
            content=f'{{"documents": [{document}, {good}]}}',
            headers={"content-type": "application/json"},
        )

    assert reply.status_code == 200
    assert reply.json()["accepted"] == 1
    [failure] = reply.json()["failed"]
    assert failure["id"] == "a"
    assert says in failure["reason"]


@pytest.mark.parametrize(("number", "says"), [("NaN", "column"), ("1e999", "too large")])
def test_a_body_that_is_no_json_stores_nothing(up: Running, number: str, says: str) -> None:
    body = (
        f'{{"documents": [{{"id": "good", "text": "Good."}}, {{"id": "a", "metadata": {{"x": {number}}}}}]}}'
    )
    with up.http("no-json") as http:
        reply = http.post(
            "/v1/knowledge/default/documents", content=body, headers={"content-type": "application/json"}
        )
        kept = http.get("/v1/knowledge/default/documents").json()["documents"]
    assert (reply.status_code, kept) == (400, [])
    assert says in reply.json()["error"]["message"]


def _events(http: httpx.Client, body: dict[str, Any]) -> list[dict[str, Any]]:
    headers = {"accept": "text/event-stream"}
    with http.stream("POST", "/v1/knowledge/default/documents", json=body, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
