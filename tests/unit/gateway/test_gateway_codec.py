"""What steps give, as it is kept: the same comes back, and nothing that this project has not named."""

import json
import math
from enum import Enum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.common.v1 import common_pb2
from sluice.retriever.v1 import retriever_pb2
from sluice_api.objects.guardrail_policy import StreamingMode
from sluice_api.objects.retrieval import Fusion, Retrieval
from sluice_api.snapshot import CompiledPipeline
from sluice_gateway.domain.model import (
    Decision,
    Finding,
    Finish,
    Message,
    Principal,
    Report,
    RunRequest,
    Sampling,
    ScreenedInput,
    ScreenedOutput,
    ScreenedPassages,
    ToolCall,
    TreatedSegment,
    Usage,
    Vectors,
    Verdict,
)
from sluice_gateway.domain.planning import Guarding, RunPlan
from sluice_gateway.domain.run import Origin, RunState
from sluice_gateway.domain.search import Found
from sluice_gateway.durable import codec, plan_codec
from sluice_gateway.durable.codec import CodecError
from sluice_gateway.durable.plan_codec import KeptPlan
from support.durable import pipeline

TEXTS = st.text(max_size=20)  # of all scripts; no halves of a surrogate pair, as no message can hold them
FLOATS = st.floats(allow_nan=False)
PASSAGES = st.builds(
    common_pb2.Passage, document_id=TEXTS, text=TEXTS, title=TEXTS, score=st.floats(width=32, allow_nan=False)
)
VERDICTS = st.builds(
    Verdict,
    st.sampled_from(Decision),
    TEXTS,
    findings=st.lists(
        st.builds(
            Finding, TEXTS, TEXTS, FLOATS, FLOATS, st.sampled_from(Decision), *[st.integers()] * 3, TEXTS
        ),
        max_size=2,
    ).map(tuple),
    reports=st.lists(
        st.builds(Report, TEXTS, TEXTS, TEXTS, TEXTS, FLOATS, FLOATS, st.sampled_from(Decision), FLOATS),
        max_size=2,
    ).map(tuple),
    shadow=st.booleans(),
)
OUTPUTS = {
    "guard_input": st.builds(
        ScreenedInput,
        VERDICTS,
        st.lists(st.builds(TreatedSegment, st.integers(0, 9), TEXTS), max_size=2).map(tuple),
        st.binary(max_size=20),
    ),
    "rewrite": TEXTS,
    "retrieve": st.builds(
        Found,
        st.lists(PASSAGES, max_size=3),
        st.builds(common_pb2.QuestionVectors, model_digest=TEXTS),
        st.lists(TEXTS, max_size=2).map(tuple),
    ),
    "rerank": st.lists(PASSAGES, max_size=3),
    "guard_passages": st.builds(
        ScreenedPassages, VERDICTS, st.lists(PASSAGES, max_size=2), st.lists(PASSAGES, max_size=2)
    ),
    "generate": st.tuples(
        TEXTS,
        st.builds(
            Finish, st.sampled_from(["stop", "length"]), st.builds(Usage, st.integers(), st.integers())
        ),
    ),
    "guard_output": st.builds(ScreenedOutput, VERDICTS, TEXTS),
    "result of any kind": st.none()
    | st.booleans()
    | st.dictionaries(TEXTS, st.integers())
    | st.sampled_from(RunState),
}


@pytest.mark.parametrize("step", OUTPUTS)
def test_what_a_step_gives_comes_back_as_it_was(step: str):
    @settings(max_examples=25)
    @given(OUTPUTS[step])
    def comes_back(output: object) -> None:
        content = codec.encode(output)
        json.loads(content)  # portable: no other reader needs Python
        assert codec.decode(content) == output

    comes_back()


def test_repeated_messages_come_back_as_a_list():
    response = retriever_pb2.SearchResponse(
        passages=[common_pb2.Passage(text="a"), common_pb2.Passage(text="b")]
    )
    found = Found(response.passages, Vectors(response.question_vectors))
    assert codec.decode(codec.encode(found)).passages == list(response.passages)


def test_plan_comes_back_with_all_that_an_execution_goes_by():
    text = retriever_pb2.Filter()
    plan = RunPlan(
        CompiledPipeline(version="v1", spec=pipeline(promote=True, generate={"timeout": "250ms"})),
        Guarding(StreamingMode.WITHHOLD, retrieval_waits=True, canary="c4n4ry"),
        RunRequest(
            "default",
            Principal("acme", "ada", ("reader",), ("staff",)),
            (Message("user", "How long?", (ToolCall("f", "{}"),)),),
            Sampling(temperature=0.5, stop=("x",)),
            text,
            Retrieval(fusion=Fusion(k=60)),
        ),
    )
    kept = KeptPlan(
        plan, {"guard_input": Decision.ALLOW}, {"retrieve": "retrieve~1"}, Origin("r", "forked", "generate")
    )
    assert plan_codec.decode(plan_codec.encode(kept)) == kept


class Foreign(Enum):
    ONE = 1


@pytest.mark.parametrize("value", [object(), Foreign.ONE, {1, 2}, math.inf.__class__, lambda: None])
def test_what_has_no_name_of_ours_is_not_kept(value: object):
    with pytest.raises(CodecError):
        codec.encode(value)


@pytest.mark.parametrize(
    "content",
    [
        b"no JSON",
        b'{"no": "tag"}',
        b'{"$": "data", "of": "os:system", "is": {}}',
        b'{"$": "data", "of": "subprocess:Popen", "is": {}}',
        b'{"$": "data", "of": "sluice_gateway.domain.model:Gone", "is": {}}',
        b'{"$": "data", "of": "sluice_gateway.domain.model:Principal", "is": {"unknown": 1}}',
        b'{"$": "data", "of": "sluice_gateway.domain.stepping:Stepper.run", "is": {}}',
        b'{"$": "data", "of": "sluice_gateway.domain.recording:json", "is": {}}',
        b'{"$": "enum", "of": "sluice_gateway.domain.model:Decision", "is": "perhaps"}',
        b'{"$": "message", "of": "google.protobuf.Any", "is": ""}',
        b'{"$": "message", "of": "sluice.common.v1.Gone", "is": ""}',
        b'{"$": "message", "of": "sluice.common.v1.Passage", "is": "////"}',
        b'{"$": "bytes", "is": "?"}',
        b'{"$": "thing", "is": 1}',
    ],
)
def test_content_that_this_version_cannot_have_written_is_refused(content: bytes):
    with pytest.raises(CodecError):
        codec.decode(content)
