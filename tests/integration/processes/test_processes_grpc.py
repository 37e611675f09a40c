"""The gRPC API: the same runs, documents and passages as over HTTP."""

import grpc
import pytest

from sluice.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from sluice.inference.v1 import inference_pb2
from sluice.retriever.v1 import retriever_pb2
from support import files, handbook
from support.running import Running

pytestmark = pytest.mark.processes

TENANT = (("x-sluice-tenant", "grpc"),)


def test_grpc_answers_like_http(up: Running):
    question = handbook.questions()[0]
    request = gateway_pb2.AnswerRequest(
        model="default", messages=[inference_pb2.Message(role="user", content=question.text)]
    )
    with grpc.insecure_channel(up.record["grpc_address"]) as channel:
        stub = gateway_pb2_grpc.GatewayServiceStub(channel)
        answer = stub.Answer(request)
        assert question.expected in answer.text
        assert answer.citations[0].document_id == question.document_id
        events = list(stub.AnswerStream(gateway_pb2.AnswerStreamRequest(request=request)))
        assert "".join(event.delta for event in events) == answer.text == events[-1].answer.text
        run = stub.GetRun(gateway_pb2.GetRunRequest(run_id=answer.run_id)).run
        assert run.state == gateway_pb2.RUN_STATE_ANSWERED
        assert len(run.steps) == 6
        assert not answer.unanswerable
        request.messages[0].content = "Who composed the opera Tosca?"
        assert stub.Answer(request).unanswerable
        runs = stub.ListRuns(gateway_pb2.ListRunsRequest(page_size=2))
        assert len(runs.runs) == 2
        assert runs.next_page_token


def test_documents_in_and_passages_out(up: Running):
    documents = [
        retriever_pb2.Document(
            id="a", text="The Inny crane lifts 12 tonnes.", metadata_json='{"year": 2026}'
        ),
        retriever_pb2.Document(id="b", text=""),
    ]
    with grpc.insecure_channel(up.record["grpc_address"]) as channel:
        stub = gateway_pb2_grpc.GatewayServiceStub(channel)
        requests = (gateway_pb2.IngestRequest(knowledge_base="default", document=each) for each in documents)
        results = [reply.result for reply in stub.Ingest(requests, metadata=TENANT)]
        assert [result.document_id for result in results] == ["a", "b"]
        assert results[0].outcome == retriever_pb2.INGEST_OUTCOME_STORED
        assert results[1].outcome == retriever_pb2.INGEST_OUTCOME_REFUSED
        assert results[1].reason == "text is empty"
        search = gateway_pb2.SearchRequest(
            knowledge_base="default", query="How much does the Inny crane lift?", top_k=5, rerank=True
        )
        found = stub.Search(search, metadata=TENANT)
        assert [passage.document_id for passage in found.passages] == ["a"]
        assert found.timings_ms["rerank"] > 0
        assert not [p for p in stub.Search(search).passages if p.document_id == "a"]  # another tenant


def test_files_go_in_with_progress_are_listed_and_removed(up: Running):
    tenant = (("x-sluice-tenant", "files"),)
    long = b"".join(b"Sentence %d is of no interest to anybody at all. " % number for number in range(1500))
    documents = [
        retriever_pb2.Document(id="long.txt", content=long),
        retriever_pb2.Document(id="page.html", content=files.html("north")),
        retriever_pb2.Document(id="locked.pdf", content=files.pdf("x", "secret")),
    ]
    with grpc.insecure_channel(up.record["grpc_address"]) as channel:
        stub = gateway_pb2_grpc.GatewayServiceStub(channel)
        requests = [
            gateway_pb2.IngestRequest(knowledge_base="default", document=each, progress=True)
            for each in documents
        ]
        results = [reply.result for reply in stub.Ingest(iter(requests), metadata=tenant)]
        parts = [each for each in results if each.outcome == retriever_pb2.INGEST_OUTCOME_IN_PROGRESS]
        ended = {each.document_id: each for each in results if each not in parts}
        assert {each.document_id for each in parts} == {"long.txt"}
        assert all(0 < each.chunks < each.total_chunks for each in parts)
        assert ended["page.html"].outcome == ended["long.txt"].outcome == retriever_pb2.INGEST_OUTCOME_STORED
        assert "password" in ended["locked.pdf"].reason

        first = stub.ListDocuments(
            gateway_pb2.ListDocumentsRequest(knowledge_base="default", page_size=1), metadata=tenant
        )
        second = stub.ListDocuments(
            gateway_pb2.ListDocumentsRequest(
                knowledge_base="default", page_size=2, page_token=first.next_page_token
            ),
            metadata=tenant,
        )
        assert [each.document_id for each in (*first.documents, *second.documents)] == [
            "long.txt",
            "page.html",
        ]
        assert second.next_page_token == ""
        with pytest.raises(grpc.RpcError) as raised:
            stub.ListDocuments(
                gateway_pb2.ListDocumentsRequest(knowledge_base="default", page_size=1001), metadata=tenant
            )
        assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT

        removal = gateway_pb2.DeleteDocumentsRequest(
            knowledge_base="default", document_ids=["long.txt", "unknown"]
        )
        assert stub.DeleteDocuments(removal, metadata=tenant).deleted == 1
        left = stub.ListDocuments(gateway_pb2.ListDocumentsRequest(knowledge_base="default"), metadata=tenant)
        assert [(each.document_id, each.chunks) for each in left.documents] == [("page.html", 1)]


def test_stream_that_changes_its_knowledge_base_is_refused(up: Running):
    document = retriever_pb2.Document(id="a", text="Some text.")
    requests = (
        gateway_pb2.IngestRequest(knowledge_base=name, document=document) for name in ("default", "other")
    )
    with grpc.insecure_channel(up.record["grpc_address"]) as channel:
        stub = gateway_pb2_grpc.GatewayServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            list(stub.Ingest(requests, metadata=TENANT))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_service_can_be_discovered(up: Running):
    from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

    with grpc.insecure_channel(up.record["grpc_address"]) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        (reply,) = stub.ServerReflectionInfo(iter([request]))
    names = {service.name for service in reply.list_services_response.service}
    assert {"sluice.gateway.v1.GatewayService", "grpc.health.v1.Health"} <= names
