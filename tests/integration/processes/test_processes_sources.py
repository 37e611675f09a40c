"""Documents from the web, labelled and for a time only, through the real command."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest

from sluice.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sluice.retriever.v1 import retriever_pb2
from support import files
from support.running import Running, running, sluice

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


@dataclass
class Site:
    """A web site at an address that the retriever may fetch from."""

    url: str
    pages: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = site.pages.get(self.path)
            self.send_response(404 if page is None else 200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.send_header("content-length", str(len(page or b"")))
            self.end_headers()
            self.wfile.write(page or b"")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.2", 0), Handler) as server:
        site = Site("http://{}:{}".format(*server.server_address))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield site
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def up(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    environment = {"SLUICE_FETCH": "127.0.0.2", "SLUICE_FETCH_PORTS": site.url.rpartition(":")[2]}
    with running(tmp_path_factory.mktemp("up") / "data", environment=environment) as started:
        yield started


def test_urls_and_files_go_in_with_labels_and_only_those_named_see_them(
    up: Running, site: Site, tmp_path: Path
) -> None:
    site.pages |= {"/otters": files.html("otter"), "/seals": files.html("seal")}
    (tmp_path / "a.txt").write_bytes(files.text("walrus"))
    (tmp_path / "urls").write_text(f"# ours\n{site.url}/seals\n{site.url}/gone\nhttp://127.0.0.1:1/\n")
    (tmp_path / "labels.yaml").write_text(
        "'*/otters': {metadata: {animal: otter}}\n'*.txt': {acl: [staff]}\n"
    )
    options = ("--url", up.url, "--tenant", "labelled")
    labels = ("--metadata", "year=2026", "--metadata-file", "labels.yaml", "--ttl", "30d")

    done = sluice(
        "ingest", f"{site.url}/otters", "a.txt", "--urls", "urls", *labels, *options, "--json", cwd=tmp_path
    )
    again = sluice("ingest", f"{site.url}/otters", *labels, *options, cwd=tmp_path)

    outcome = json.loads(done.stdout)
    assert done.returncode == 1
    assert (outcome["files"], outcome["urls"], outcome["accepted"]) == (1, 4, 3)
    reasons = {failure["id"]: failure["reason"] for failure in outcome["failed"]}
    assert reasons[f"{site.url}/gone"] == "FETCH_FAILED: the server answered 404"
    assert reasons["http://127.0.0.1:1/"].startswith("URL_NOT_ALLOWED: ")
    assert (again.returncode, "1 documents of 1 URLs" in again.stdout) == (0, True)
    assert "1 unchanged" in again.stderr
    with up.http("labelled") as http:
        query = {"query": "When does the otter valve open?", "filter": {"animal": "otter", "year": 2026}}
        [hit] = http.post("/v1/search", json=query).raise_for_status().json()["hits"]
        everything = http.post("/v1/search", json={"query": "valve"}).raise_for_status().json()["hits"]
        page = http.get("/v1/knowledge/default/documents").raise_for_status().json()
    assert hit["document_id"] == hit["metadata"]["url"] == f"{site.url}/otters"
    assert {each["document_id"] for each in everything} == {f"{site.url}/otters", f"{site.url}/seals"}
    assert {each["id"] for each in page["documents"]} == {f"{site.url}/otters", f"{site.url}/seals", "a.txt"}
    assert all(each["expire_time"].endswith("Z") for each in page["documents"])


def test_a_document_that_expires_is_listed_with_its_time(up: Running) -> None:
    documents = [
        {"id": "dated", "text": "Dated.", "expire_time": "2199-01-31T14:00:00+02:00"},
        {"id": "never", "text": "Never."},
        {"id": "past", "text": "Past.", "expire_time": "2001-01-31T14:00:00Z"},
        {"id": "unclear", "text": "Unclear.", "ttl": "soon"},
    ]
    with up.http("expiring") as http:
        reply = http.post("/v1/knowledge/default/documents", json={"documents": documents}).json()
        put = http.put("/v1/knowledge/default/documents/put?ttl=1d", content=files.pdf("put"))
        wrong = http.put("/v1/knowledge/default/documents/put?expire_time=soon", content=files.pdf("put"))
        page = http.get("/v1/knowledge/default/documents").raise_for_status().json()
    listed = sluice("documents", "list", "--url", up.url, "--tenant", "expiring")

    reasons = {failure["id"]: failure["reason"] for failure in reply["failed"]}
    assert reasons.keys() == {"past", "unclear"}
    assert reasons["past"] == "expire_time is in the past"
    assert "duration" in reasons["unclear"]
    assert put.json()["outcome"] == "stored"
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "expire_time")
    assert {each["id"]: each.get("expire_time", "")[:10] for each in page["documents"]} == {
        "dated": "2199-01-31",
        "never": "",
        "put": page["documents"][2]["expire_time"][:10],
    }
    assert "2199-01-31T12:00:00Z" in listed.stdout


def test_grpc_takes_a_url_in_place_of_a_text(up: Running, site: Site) -> None:
    site.pages["/grpc"] = files.html("grpc")
    document = retriever_pb2.Document(url=f"{site.url}/grpc")
    request = gateway_pb2.IngestRequest(knowledge_base="default", document=document)

    with grpc.insecure_channel(up.record["grpc_address"]) as channel:
        stub = gateway_pb2_grpc.GatewayServiceStub(channel)
        [reply] = stub.Ingest(iter([request]), metadata=(("x-sluice-tenant", "by-grpc"),))

    assert reply.result.document_id == f"{site.url}/grpc"
    assert reply.result.outcome == retriever_pb2.INGEST_OUTCOME_STORED
