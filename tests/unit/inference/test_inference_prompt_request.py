"""How a prompt is to be laid out, as it comes in a request."""

import pytest

from sluice.common.v1 import common_pb2
from sluice.inference.v1 import inference_pb2
from sluice_api.objects.prompt import PassageOrder, Prompt
from sluice_inference import conversion
from sluice_inference.domain.model import Finish, FinishReason, Prepared
from sluice_inference.domain.prompting import Setting, compose
from sluice_servicekit.errors import InvalidArgument


def _request(**prompt: object) -> inference_pb2.GenerateRequest:
    return inference_pb2.GenerateRequest(
        principal=common_pb2.Principal(tenant='acme" {date}'),
        messages=[
            inference_pb2.Message(role="system", content="Write for children."),
            inference_pb2.Message(role="user", content="Where is {passages} made? {tenant}"),
        ],
        passages=[
            common_pb2.Passage(
                document_id="a.md",
                title="Care",
                text="In Lisbon. {question}",
                metadata_json='{"url": "https://example.org/a", "tags": ["x", "y"], "year": 2026, "note": ""}',
            )
        ],
        prompt=inference_pb2.Prompt(**prompt) if prompt else None,
    )


def test_request_without_a_prompt_has_the_usual_one():
    assert conversion.task(_request()).prompt == Prompt()
    assert conversion.task(_request(passage_order=inference_pb2.PASSAGE_ORDER_EDGES)).prompt == Prompt(
        passage_order=PassageOrder.EDGES
    )


def test_template_is_filled_once_and_what_stands_in_texts_stays():
    template = "For {tenant} on {date}, asked {question}\n\n{passages}\n\nCite [n]."
    request = _request(template=template, titles=False, metadata=["url", "tags", "year", "note", "none"])
    system, user = compose(conversion.task(request), Setting("passage-1", "2026-11-29")).messages
    lines = system.content.splitlines()
    assert lines[0] == "For acme' {date} on 2026-11-29, asked Where is {passages} made? {tenant}"
    assert '<passage-1 number="1" url="https://example.org/a" tags="x, y" year="2026">' in lines
    assert "In Lisbon. {question}" in lines
    assert lines[-1] == "Cite [n]."
    # What the template leaves out of what must be said stands before the passages.
    before = system.content.split("What stands between")[0]
    assert "Write for children." in before
    assert "reply with exactly this sentence" in before
    assert user.content == "Where is {passages} made? {tenant}"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"template": "no place"}, "prompt.template"),
        ({"metadata": ["title"]}, "prompt.metadata"),
        ({"max_prompt_tokens": 1}, "prompt.max_prompt_tokens"),
    ],
)
def test_prompt_that_cannot_be_laid_out_is_refused(wrong: dict[str, object], field: str):
    with pytest.raises(InvalidArgument) as raised:
        conversion.task(_request(**wrong))
    assert raised.value.field == field


def test_what_was_read_is_told_before_and_at_the_end():
    prepared = Prepared(0, 3)
    told = conversion.prepared(prepared).prepared
    assert (told.passages_read, told.turns_left_out) == (0, 3)
    end = conversion.finish(Finish(FinishReason.STOP, "tiny", prepared=prepared))
    assert (end.HasField("passages_read"), end.passages_read, end.turns_left_out) == (True, 0, 3)
    assert not conversion.finish(Finish(FinishReason.STOP, "tiny")).HasField("passages_read")
