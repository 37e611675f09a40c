"""Between the gates' nouns and the ABI's: places in code points here, in bytes of UTF-8 there. Pure."""

from collections.abc import Iterable

from sluice_api.objects.guardrail_policy import Action, WasmPolicy
from sluice_guardrail.domain.model import Detection, Finding, Span
from sluice_guardrail.domain.modules import Question, Ruling
from sluice_guardrail.domain.normalising.views import views
from sluice_guardrail.wasm.abi import FoundSpan, Input, Output
from sluice_guardrail.wasm.failures import Failure, PolicyFailed

#: The category where a module gives no label.
_UNLABELLED = "policy"


def input_of(question: Question, policy: WasmPolicy) -> Input:
    """What a module is told."""
    text = question.text.text
    spans = [judged.finding.span for judged in question.findings]
    places = _bytes_of(text, (place for span in spans for place in (span.start, span.end)))
    return Input(
        stage=question.stage,
        channel=question.text.channel,
        text=text,
        normalized=next(iter(views(text))).text,
        spans=tuple(
            FoundSpan(
                detector=judged.detector,
                category=judged.finding.category,
                score=judged.finding.score,
                start=places[span.start],
                end=places[span.end],
            )
            for judged, span in zip(question.findings, spans, strict=True)
        ),
        scores=dict(question.scores),
        settings=policy.settings,
        tenant=question.caller.tenant,
        request_id=question.caller.request_id,
        history_digest=question.history_digest,
    )


def ruling_of(output: Output, text: str) -> Ruling:
    """What a module has answered about a text.

    Raises:
        PolicyFailed: a span does not lie in the text, or not between code points.
    """
    acts = output.action is not Action.ALLOW
    score = output.score if output.score is not None else float(acts)
    if not acts:
        return Ruling(output.action, Detection((), score))
    places = _code_points_of(text, (place for span in output.spans for place in (span.start, span.end)))
    findings = [
        Finding("+".join(output.labels) or _UNLABELLED, score, span, replacement=replacement)
        for span, replacement in [
            (Span(places[each.start], places[each.end]), each.replace) for each in output.spans
        ]
    ]
    whole = [Finding(label, score, Span(0, len(text))) for label in output.labels or (_UNLABELLED,)]
    return Ruling(output.action, Detection(tuple(findings or whole), score))


def _bytes_of(text: str, places: Iterable[int]) -> dict[int, int]:
    """Where places in code points stand in UTF-8; those behind the end, at the end."""
    at = size = 0
    found: dict[int, int] = {}
    for place in sorted(set(places)):
        size += len(text[at:place].encode())
        at = max(at, place)
        found[place] = size
    return found


def _code_points_of(text: str, places: Iterable[int]) -> dict[int, int]:
    content = text.encode()
    at = count = 0
    found: dict[int, int] = {}
    for place in sorted(set(places)):
        if place > len(content):
            raise PolicyFailed(Failure.OUTPUT, "a span of its answer ends behind the text")
        try:
            count += len(content[at:place].decode())
        except UnicodeDecodeError:
            raise PolicyFailed(Failure.OUTPUT, "a span of its answer cuts a code point") from None
        at = place
        found[place] = count
    return found
