"""OpenAI's API as its clients take it for granted: what servers get wrong, point by point. `docs/api.md` has the list;
what a model alone can do (tools, several answers, probabilities) is tested with the chat's own features."""

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sluice_gateway.gateway import Gateway
from support.light_gateway import LightGateway, light_gateway
from support.light_services import ATTACK, BREAKS, FAILS, PAUSES, STOPS

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
PAGE = "https://page.example"
KEYS = """
keys:
  - {key: reader-0123456789ab, tenant: acme, roles: [reader]}
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGateway]:
    folder = tmp_path_factory.mktemp("light")
    settings = {"cors_origins": PAGE, "heartbeat_seconds": 0.1, "max_body_bytes": 4096}
    with light_gateway(folder, "default", "default/tuned", **settings) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LightGateway]:
    """One that asks for a key."""
    folder = tmp_path_factory.mktemp("closed")
    (folder / "keys.yaml").write_text(KEYS)
    with light_gateway(folder, api_keys_file=folder / "keys.yaml") as gateway:
        yield gateway


@pytest.fixture
def http(gateway: LightGateway) -> Iterator[httpx.Client]:
    with gateway.http() as client:
        yield client


def _chat(question: str = "How long?", **more: object) -> dict[str, Any]:
    return {"model": "default", "messages": [{"role": "user", "content": question}], **more}


def _prompt(question: str = "How long?", **more: object) -> dict[str, Any]:
    return {"model": "default", "prompt": question, **more}


STREAMS = pytest.mark.parametrize(("path", "body_of"), [(CHAT, _chat), (COMPLETIONS, _prompt)])


def _events(text: str) -> list[Any]:
    """A stream's events, read as strictly as the strictest client does."""
    assert text.endswith("\n\n")
    blocks = [block for block in text.removesuffix("\n\n").split("\n\n") if not block.startswith(":")]
    assert all(re.fullmatch(r"data: [^\n]+", block) for block in blocks), "no foreign event, one line each"
    return [
        block if block == "data: [DONE]" else json.loads(block.removeprefix("data: ")) for block in blocks
    ]


# 1: server-sent events


@STREAMS
def test_1_a_stream_has_its_headers_and_ends_in_done(http: httpx.Client, path: str, body_of: Any):
    headers = {"accept-encoding": "gzip, br"}
    reply = http.post(path, json=body_of(stream=True), headers=headers)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert (reply.headers["cache-control"], reply.headers["x-accel-buffering"]) == ("no-cache", "no")
    assert "content-encoding" not in reply.headers
    events = _events(reply.text)
    assert events[-1] == "data: [DONE]"
    assert events.count("data: [DONE]") == 1


@STREAMS
def test_1_pieces_leave_as_they_come_and_silence_is_filled(http: httpx.Client, path: str, body_of: Any):
    with http.stream("POST", path, json=body_of(PAUSES, stream=True)) as reply:
        lines = [line for line in reply.iter_lines() if line]
    rest = next(index for index, line in enumerate(lines) if "forty" in line)
    assert lines[rest - 1] == ": still here", "while the model was silent"
    assert lines[-1] == "data: [DONE]"


# 2: chunks


@STREAMS
def test_2_chunks_are_of_one_answer(http: httpx.Client, path: str, body_of: Any):
    *chunks, _ = _events(http.post(path, json=body_of(stream=True)).text)
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert reasons == [None] * (len(chunks) - 1) + ["stop"]


def test_2_the_first_chunk_names_the_role(http: httpx.Client):
    first, *_ = _events(http.post(CHAT, json=_chat(stream=True)).text)
    assert first["object"] == "chat.completion.chunk"
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}


def test_2_a_completion_is_the_same_whole_and_in_pieces(http: httpx.Client):
    whole = http.post(COMPLETIONS, json=_prompt()).json()
    *chunks, _ = _events(http.post(COMPLETIONS, json=_prompt(stream=True)).text)
    assert {chunk["object"] for chunk in chunks} == {whole["object"]} == {"text_completion"}
    assert "".join(chunk["choices"][0]["text"] for chunk in chunks) == whole["choices"][0]["text"]


# 3: usage of a stream


@STREAMS
def test_3_usage_comes_where_it_is_asked_for_only(http: httpx.Client, path: str, body_of: Any):
    asked = body_of(stream=True, stream_options={"include_usage": True})
    *chunks, last, _ = _events(http.post(path, json=asked).text)
    assert {chunk["usage"] for chunk in chunks} == {None}
    assert (last["choices"], last["usage"]["total_tokens"]) == ([], 21)
    *chunks, _ = _events(http.post(path, json=body_of(stream=True)).text)
    assert not any("usage" in chunk for chunk in chunks)
    refused = http.post(path, json=body_of(stream_options={"include_usage": True}))
    assert (refused.status_code, "stream" in refused.json()["error"]["message"]) == (400, True)


# 4: why an answer ends


@STREAMS
def test_4_a_block_is_an_answer_that_says_so(http: httpx.Client, path: str, body_of: Any):
    choice = http.post(path, json=body_of(ATTACK)).json()["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    *_, chunk, _ = _events(http.post(path, json=body_of(ATTACK, stream=True)).text)
    assert chunk["choices"][0]["finish_reason"] == "content_filter"


def test_4_both_names_of_the_limit_are_read(http: httpx.Client):
    for name in ("max_tokens", "max_completion_tokens"):
        assert http.post(CHAT, json=_chat(**{name: 5})).is_success
        refused = http.post(CHAT, json=_chat(**{name: 0})).json()["error"]
        assert refused["param"] == name


# 6: errors

JSON = {"content-type": "application/json"}
DEEP = b'{"a":' * 300 + b"1" + b"}" * 300
MALFORMED = {
    "cut": (b'{"query": "x"', "line 1 column 13"),
    "not JSON": (b"query=x", "line 1 column 1"),
    "not UTF-8": (b'{"query": "\xff"}', "byte 11"),
    "a key twice": (b'{"query": "x", "query": "y"}', 'duplicate key "query"'),
    "a key twice, deep down": (b'{"query": "x", "filter": {"a": 1, "a": 2}}', 'duplicate key "a"'),
    "NaN": (b'{"query": "x", "filter": {"a": NaN}}', "line 1 column 32"),
    "infinity": (b'{"query": "x", "filter": {"a": {"lt": 1e999}}}', "too large"),
    "a huge integer": (b'{"query": "x", "top_k": ' + b"9" * 100 + b"}", "top_k"),
    "a huge integer in a filter": (b'{"query": "x", "filter": {"a": ' + b"9" * 100 + b"}}", "64 bits"),
    "too deep": (DEEP, "recursion limit"),
    "half a character": (b'{"query": "\\ud800"}', "line 1 column"),
    "nothing": (b"", "line 1 column 0"),
    "a list": (b"[]", ""),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_6_what_is_no_json_is_a_400_that_says_where(http: httpx.Client, name: str):
    content, says = MALFORMED[name]
    error = _error(http.post("/v1/search", content=content, headers=JSON), 400)
    assert says in error["message"]


REFUSED = {
    "unknown URL": ("GET", "/v1/nope", {}, 404, "unknown_url"),
    "unknown model": ("POST", CHAT, {"json": _chat(model="nope")}, 404, "model_not_found"),
    "unknown model of completions": (
        "POST",
        COMPLETIONS,
        {"json": _prompt(model="nope")},
        404,
        "model_not_found",
    ),
    "unknown model by name": ("GET", "/v1/models/nope", {}, 404, "model_not_found"),
    "unknown embedding model": (
        "POST",
        "/v1/embeddings",
        {"json": {"model": "nope", "input": "x"}},
        404,
        "model_not_found",
    ),
    "too large": ("POST", CHAT, {"json": _chat("x" * 5000)}, 413, "body_too_large"),
    "a form": ("POST", CHAT, {"data": {"model": "default"}}, 415, "unsupported_media_type"),
    "no type": ("POST", "/v1/search", {"content": b"{}"}, 415, "unsupported_media_type"),
    "text": (
        "POST",
        "/v1/guard",
        {"content": b"{}", "headers": {"content-type": "text/plain"}},
        415,
        "unsupported_media_type",
    ),
    "another character set": (
        "POST",
        CHAT,
        {"content": b"{}", "headers": {"content-type": "application/json; charset=utf-16"}},
        415,
        "unsupported_media_type",
    ),
    "packed": (
        "POST",
        CHAT,
        {"content": b"{}", "headers": {**JSON, "content-encoding": "gzip"}},
        415,
        "unsupported_media_type",
    ),
    "a method": ("PATCH", CHAT, {}, 405, "method_not_allowed"),
    "a malformed tenant": (
        "GET",
        "/v1/models",
        {"headers": {"x-sluice-tenant": "a b"}},
        400,
        "invalid_argument",
    ),
    "a page too large": ("GET", "/v1/runs?limit=5000", {}, 400, "invalid_argument"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_6_errors_have_openais_shape(http: httpx.Client, name: str):
    method, path, options, status, code = REFUSED[name]
    assert _error(http.request(method, path, **options), status)["code"] == code


def test_6_a_fault_of_ours_has_the_same_form(http: httpx.Client, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(Gateway, "knowledge_bases", broken)
    reply = http.get("/v1/knowledge", headers={"origin": PAGE})
    assert _error(reply, 500)["code"] == "internal"
    assert "secret" not in reply.text
    assert reply.headers["access-control-allow-origin"] == PAGE


def test_6_types_that_are_json_are_read(http: httpx.Client):
    for media_type in ("application/json; charset=UTF-8", "Application/JSON", "application/problem+json"):
        reply = http.post("/v1/guard", content=b'{"text": "x"}', headers={"content-type": media_type})
        assert reply.is_success, media_type


def test_6_keys_that_are_missing_wrong_or_not_enough(closed: LightGateway):
    with closed.http() as http:
        missing = http.get("/v1/models")
        wrong = http.get("/v1/models", headers={"authorization": "Bearer nope"})
        key = {"authorization": "Bearer reader-0123456789ab"}
        may_not = http.put("/v1/knowledge/default/documents/a", content=b"x", headers=key)
        allowed = http.get("/v1/models", headers=key)
    for reply in (missing, wrong):
        assert _error(reply, 401)["code"] == "invalid_api_key"
        assert reply.headers["www-authenticate"] == "Bearer"
    assert _error(may_not, 403)["code"] == "permission_denied"
    assert allowed.is_success


def _error(reply: httpx.Response, status: int) -> dict[str, Any]:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"]
    body = reply.json()
    assert set(body) == {"error"}
    error = body["error"]
    assert {"message", "type", "param", "code"} <= set(error) <= {"message", "type", "param", "code", "step"}
    assert error["message"]
    assert error["code"] is None or error["code"] == error["code"].lower()
    return error


# 8: what requests hold


def test_8_texts_in_parts_the_developer_role_and_fields_that_are_not_known(http: httpx.Client):
    body = _chat(user="u-1", metadata={"a": "b"}, store=True, service_tier="auto", from_tomorrow={"x": 1})
    parts = [{"type": "text", "text": "How long"}, {"type": "text", "text": "does it take?"}]
    body["messages"] = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": parts, "name": "Ann"},
    ]
    assert http.post(CHAT, json=body).json()["choices"][0]["finish_reason"] == "stop"


# 9: models


def test_9_models_are_listed_and_found_by_names_with_slashes(http: httpx.Client):
    listed = http.get("/v1/models").json()
    assert listed["object"] == "list"
    assert [model["id"] for model in listed["data"]] == ["default", "default/tuned"]
    for model in listed["data"]:
        assert (model["object"], type(model["created"]), type(model["owned_by"])) == ("model", int, str)
    for path in ("/v1/models/default/tuned", "/v1/models/default%2Ftuned"):
        assert http.get(path).json() == listed["data"][1]
    assert http.post(CHAT, json=_chat(model="default/tuned")).json()["model"] == "default/tuned"


# 10: ids, methods, other origins


def test_10_every_response_has_a_request_id(http: httpx.Client):
    for reply in (
        http.get("/v1/models"),
        http.get("/nope"),
        http.options("/v1/models"),
        http.head("/healthz"),
        http.patch("/v1/models"),
        http.post(CHAT, json=_chat(stream=True)),
        http.get("/openapi.json"),
    ):
        assert re.fullmatch(r"[0-9a-f]{32}", reply.headers["x-request-id"])
    assert http.get("/healthz", headers={"x-request-id": "trace-7"}).headers["x-request-id"] == "trace-7"
    for wrong in ("x" * 129, "a b", "ü"):
        reply = http.get("/healthz", headers={"x-request-id": wrong.encode()})
        assert re.fullmatch(r"[0-9a-f]{32}", reply.headers["x-request-id"])


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/models", "GET, HEAD, OPTIONS"),
        ("/v1/models/default/tuned", "GET, HEAD, OPTIONS"),
        (CHAT, "POST, OPTIONS"),
        ("/v1/embeddings", "POST, OPTIONS"),
        ("/v1/knowledge/default/documents", "GET, HEAD, POST, OPTIONS"),
        ("/v1/knowledge/default/documents/a/b", "PUT, DELETE, OPTIONS"),
        ("/v1/runs/events", "GET, OPTIONS"),
        ("/healthz", "GET, HEAD, OPTIONS"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
    ],
)
def test_10_a_url_says_what_it_does(http: httpx.Client, path: str, methods: str):
    asked = http.options(path)
    assert (asked.status_code, asked.headers["allow"], asked.content) == (204, methods, b"")
    refused = http.patch(path)
    assert _error(refused, 405)["code"] == "method_not_allowed"
    assert refused.headers["allow"] == methods
    head = http.head(path)
    if "HEAD" not in methods:
        assert head.status_code == 405
    else:
        got = http.get(path)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-length"] == got.headers["content-length"]


def test_10_a_slash_at_the_end_changes_nothing_but_names(http: httpx.Client):
    assert http.get("/v1/models/").json() == http.get("/v1/models").json()
    assert http.post(f"{CHAT}/", json=_chat()).is_success
    documents = "/v1/knowledge/default/documents"
    assert http.get(f"{documents}/").json() == {"documents": [], "next": None}
    for name in ("folder/", "folder"):  # two documents
        assert http.put(f"{documents}/{name}", content=b"text").json()["id"] == name
        assert http.delete(f"{documents}/{name}").status_code == 204
    assert http.get("/v1/nope/").status_code == 404


def test_10_pages_of_named_origins_may_call(http: httpx.Client):
    asking = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    preflight = http.options(CHAT, headers={"origin": PAGE, **asking})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert preflight.headers["access-control-allow-headers"] == "authorization"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    for reply in (
        http.get("/v1/models", headers={"origin": PAGE}),
        http.get("/v1/nope", headers={"origin": PAGE}),
        http.post(CHAT, json=_chat(stream=True), headers={"origin": PAGE}),
    ):
        assert reply.headers["access-control-allow-origin"] == PAGE
        assert reply.headers["access-control-expose-headers"] == "*"
        assert reply.headers["vary"] == "Origin"
    stranger = http.get("/v1/models", headers={"origin": "https://other.example"})
    assert "access-control-allow-origin" not in stranger.headers


def test_10_without_the_setting_no_page_may(closed: LightGateway):
    with closed.http() as http:
        reply = http.get("/healthz", headers={"origin": PAGE})
        preflight = http.options(CHAT, headers={"origin": PAGE, "access-control-request-method": "POST"})
    assert not [name for name in (*reply.headers, *preflight.headers) if name.startswith("access-control")]


@pytest.mark.parametrize(
    "host", ["page.example", "page.example:8080", "localhost.page.example", "[::1", "a@127.0.0.1"]
)
def test_10_an_open_gateway_answers_to_no_name_of_a_page(http: httpx.Client, host: str):
    for reply in (
        http.get("/v1/models", headers={"host": host}),
        http.post(f"/v1/runs/{uuid.uuid4()}/cancel", headers={"host": host, "origin": f"http://{host}"}),
        http.post(CHAT, json=_chat(), headers={"host": host}),
        http.get("/healthz", headers={"host": host}),
    ):
        error = _error(reply, 403)
        assert (error["code"], "SLUICE_API_KEYS_FILE" in error["message"]) == ("permission_denied", True)


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1", "[::1]:8080", "10.0.0.7:80"]
)
def test_10_an_open_gateway_answers_to_what_nobody_can_redirect(http: httpx.Client, host: str):
    assert http.get("/v1/models", headers={"host": host}).is_success


@pytest.mark.parametrize(
    "origin", ["https://other.example", "null", "http://localhost:3000", "http://127.0.0.1"]
)
def test_10_an_open_gateway_takes_nothing_from_other_pages(http: httpx.Client, origin: str):
    """A POST without a body is sent by a browser without asking first."""
    asking = {"access-control-request-method": "POST"}
    for reply in (
        http.post(f"/v1/runs/{uuid.uuid4()}/cancel", headers={"origin": origin}),
        http.options(CHAT, headers={"origin": origin, **asking}),
        http.get("/v1/models", headers={"origin": origin}),
    ):
        error = _error(reply, 403)
        assert (error["code"], "SLUICE_CORS_ORIGINS" in error["message"]) == ("permission_denied", True)
        assert not [name for name in reply.headers if name.startswith("access-control")]


def test_10_an_open_gateway_takes_its_own_pages_named_ones_and_programs(gateway: LightGateway):
    cancel = f"/v1/runs/{uuid.uuid4()}/cancel"
    with gateway.http() as http:
        for origin in ({}, {"origin": gateway.url}, {"origin": PAGE}):
            assert _error(http.post(cancel, headers=origin), 404)["code"] == "run_not_found"


def test_10_with_keys_a_name_is_no_matter(closed: LightGateway):
    key = {"authorization": "Bearer reader-0123456789ab"}
    with closed.http(**key) as http:
        for headers in ({"host": "sluice.example"}, {"origin": "https://other.example"}):
            assert http.get("/v1/models", headers=headers).is_success


def test_10_who_leaves_a_stream_ends_the_run(http: httpx.Client):
    with http.stream("POST", CHAT, json=_chat(STOPS, stream=True)) as reply:
        run_id = reply.headers["x-sluice-run-id"]
        next(reply.iter_lines())
    events = http.get(f"/v1/runs/{run_id}/events").text  # ends when the run does
    assert '"state":"cancelled"' in events.replace(" ", "")


# 11: errors before and after the first byte


@STREAMS
def test_11_before_the_first_byte_the_status_is_the_errors(http: httpx.Client, path: str, body_of: Any):
    reply = http.post(path, json=body_of(FAILS, stream=True))
    error = _error(reply, 409)
    assert (error["code"], error["step"]) == ("model_broken", "generate")
    assert reply.headers["x-sluice-run-id"]


@STREAMS
def test_11_after_it_the_stream_ends_in_an_error(http: httpx.Client, path: str, body_of: Any):
    reply = http.post(path, json=body_of(BREAKS, stream=True))
    assert reply.status_code == 200
    *_, last = _events(reply.text)
    assert last["error"]["code"] == "model_broken"
    assert "[DONE]" not in reply.text


# The description

WITHOUT_BODY = ("/rebuild", "/cancel", "/resume")


def test_the_description_is_served_and_names_every_route(http: httpx.Client):
    described = http.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            named = f"{method} {path}"
            assert operation["responses"], named
            body = operation.get("requestBody")
            takes = method in ("post", "put") and not path.endswith(WITHOUT_BODY)
            assert (body is not None) == takes, named
            if path.startswith("/v1"):
                assert {"400", "401", "403", "500", "503"} <= set(operation["responses"]), named
                success = next(iter(operation["responses"].values()))
                assert "content" in success or "204" in operation["responses"], named
    assert "$defs" not in json.dumps(described)
