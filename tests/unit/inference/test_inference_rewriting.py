"""A rewritten question: one plain line, whatever surrounds it; and what cannot be rewritten."""

import pytest

from sluice.inference.v1 import inference_pb2
from sluice_api.objects.model_server import Extractive, ModelServerSpec
from sluice_inference.domain.rewriting import one_line, several_lines
from sluice_inference.engines.registry import Engines
from sluice_inference.servicer import InferenceServicer
from sluice_servicekit.errors import FailedPrecondition, InvalidArgument, NotFound, ServiceError


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        ("Where is the press made?", "Where is the press made?"),
        ("\n\n  Where is\tit made? \nBecause …", "Where is it made?"),
        ('Rewritten question: "Where is it made?"', "Where is it made?"),
        ("**Question:** Where is it made?", "Where is it made?"),
        ("Frage: „Wo wird sie gebaut?“", "Wo wird sie gebaut?"),
        ("Question:\nWhere is it made?", "Where is it made?"),
        (' "" \n', ""),
        ("", ""),
    ],
)
def test_one_plain_line_is_taken(reply: str, line: str):
    assert one_line(reply) == line


def test_line_is_bounded():
    assert len(one_line("x" * 10_000)) == 500


@pytest.mark.parametrize(
    ("reply", "lines"),
    [
        ("- Where is it made?\n- How long may it run?", ("Where is it made?", "How long may it run?")),
        ("1. Where is it made?\n2) How long?\n(3) Who?", ("Where is it made?", "How long?", "Who?")),
        ('Here are the queries:\n\n"made in"\n**made in**\n', ("made in",)),
        ("310 bar press\n2024 oil change", ("310 bar press", "2024 oil change")),
        ("a\nb\nc\nd", ("a", "b", "c")),
        ("", ()),
    ],
)
def test_search_queries_are_the_plain_lines(reply: str, lines: tuple[str, ...]):
    assert several_lines(reply, 3) == lines


TURN = inference_pb2.Message(role="user", content="Why?")


@pytest.mark.parametrize(
    ("request_", "error", "reason"),
    [
        ({"turns": [TURN], "max_tokens": 8}, FailedPrecondition, "REWRITE_UNSUPPORTED"),
        ({"turns": [TURN], "max_tokens": 8, "model_server": "no"}, NotFound, "MODEL_SERVER_NOT_FOUND"),
        ({"turns": [TURN]}, InvalidArgument, "INVALID_ARGUMENT"),
        ({"max_tokens": 8}, InvalidArgument, "INVALID_ARGUMENT"),
        (
            {"turns": [inference_pb2.Message(role="assistant", content="So.")], "max_tokens": 8},
            InvalidArgument,
            "INVALID_ARGUMENT",
        ),
    ],
)
async def test_what_cannot_be_rewritten_is_refused(
    request_: dict[str, object], error: type[ServiceError], reason: str
):
    engines = Engines(None)
    await engines.apply({"quotes": ModelServerSpec(extractive=Extractive())})
    with pytest.raises(error) as raised:
        await InferenceServicer(engines).Rewrite(
            inference_pb2.RewriteRequest(**{"model_server": "quotes", **request_}), None
        )
    assert raised.value.reason == reason
