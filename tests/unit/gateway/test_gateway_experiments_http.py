"""What the HTTP API reads and writes of experiments and feedback."""

import json
import math

import pytest
from pydantic import ValidationError

from sluice.gateway.v1 import gateway_pb2
from sluice_gateway import experiment_conversion
from sluice_gateway.domain.experimenting.judging import compare, judge
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_gateway.domain.model import Principal
from sluice_gateway.experiments.reporting import Report
from sluice_gateway.http import experiments
from sluice_gateway.http.chat_schema import ChatRequest
from sluice_gateway.http.feedback import FeedbackBody
from sluice_servicekit.errors import InvalidArgument
from support.experiments import experiment

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0.0),
        ("24h", NOW - 86400),
        ("90m", NOW - 5400),
        ("1.5d", NOW - 129600),
        ("99999d", 0.0),
        ("2026-11-29T12:00:00Z", 1795953600.0),
        ("2026-11-29T12:00:00.5+02:00", 1795946400.0),
    ],
)
def test_since_is_a_time_or_a_while(text: str, expected: float):
    assert experiments._since(text, NOW) == expected


@pytest.mark.parametrize("text", ["yesterday", "h", "24", "2026-11-29", "nanh", "-3h", "infd"])
def test_since_that_is_neither_is_refused(text: str):
    with pytest.raises(InvalidArgument, match="since must be"):
        experiments._since(text, NOW)


def _body(**content: object) -> FeedbackBody:
    return FeedbackBody.model_validate_json(json.dumps({"run_id": "x", **content}), strict=True)


@pytest.mark.parametrize(
    ("rating", "expected"), [("up", 1.0), ("down", 0.0), (0, 0.0), (1, 1.0), (0.25, 0.25)]
)
def test_rating_is_a_word_or_a_number(rating: object, expected: float):
    assert _body(rating=rating).opinion().rating == expected


@pytest.mark.parametrize("rating", ["great", "1", -0.1, 1.1, True, None, [1]])
def test_rating_that_is_neither_is_refused(rating: object):
    with pytest.raises(ValidationError) as raised:
        _body(rating=rating)
    assert raised.value.errors()[0]["loc"] == ("rating",)


def test_report_has_no_number_that_json_cannot_hold():
    arms = {"base": Outcomes(requests=4), "new": Outcomes(requests=4)}
    for outcomes in arms.values():
        outcomes.seconds.add(1.0)
        outcomes.seconds_sketch.add(1.0)
    compiled = experiment()
    report = Report("trial", compiled, 600.0, arms, compare(compiled.spec, arms), judge(compiled.spec, arms))
    body = json.loads(json.dumps(experiments.report_body(report), allow_nan=False))
    assert body["since"] == "1970-01-01T00:10:00Z"
    latency = next(each for each in body["comparisons"] if each["metric"] == "latency")
    assert latency["always_valid"] == [None, None]
    message = experiment_conversion.outcomes(report)
    [latency, *_] = [each for each in message.comparisons if each.metric == "latency"]
    assert (latency.always_valid.lower, latency.always_valid.upper) == (-math.inf, math.inf)
    assert message.suggestion == gateway_pb2.EXPERIMENT_SUGGESTION_CONTINUE


@pytest.mark.parametrize(
    ("given", "user", "session"),
    [
        ({}, "", ""),
        ({"user": "u"}, "u", ""),
        ({"user": "u", "safety_identifier": "s"}, "s", ""),
        ({"metadata": {"session_id": "c", "more": 1}}, "", "c"),
        ({"metadata": {"session_id": 7}}, "", ""),
        ({"user": None, "metadata": None}, "", ""),
    ],
)
def test_chat_says_who_asks_and_in_which_session(given: dict[str, object], user: str, session: str):
    body = {"model": "default", "messages": [{"role": "user", "content": "How long?"}], **given}
    asked = ChatRequest.model_validate(body).run_request(Principal("acme"))
    assert (asked.user, asked.session, asked.arm) == (user, session, "")


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (gateway_pb2.SubmitFeedbackRequest(rating=1.5), "rating"),
        (gateway_pb2.SubmitFeedbackRequest(rating=math.nan), "rating"),
        (gateway_pb2.SubmitFeedbackRequest(comment="a" * 4097), "comment"),
        (gateway_pb2.SubmitFeedbackRequest(labels=["a"] * 9), "labels"),
        (gateway_pb2.SubmitFeedbackRequest(labels=["a", "Free text"]), "labels[1]"),
    ],
)
def test_feedback_that_is_wrong_is_refused_over_grpc(message: gateway_pb2.SubmitFeedbackRequest, field: str):
    with pytest.raises(InvalidArgument) as raised:
        experiment_conversion.opinion(message)
    assert raised.value.field == field
