"""Answers behind the output gate: several of them, and those that call tools."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sluice_gateway.domain.gating import OUTPUT, Gates, strictest
from sluice_gateway.domain.jsons import is_json
from sluice_gateway.domain.model import AnswerContext, Decision, Finish, ScreenedOutput, Verdict
from sluice_gateway.domain.outcome import BlockedError
from sluice_gateway.domain.pieces import Choice
from sluice_gateway.domain.ports import Guard
from sluice_gateway.domain.results import written_choices

_BLOCKED = "content_filter"

#: What a call's arguments are that the gate has left no JSON of.
_BROKEN = "ARGUMENTS_BROKEN"


@dataclass(frozen=True, slots=True)
class ScreenedAnswer:
    """An answer as it may leave."""

    text: str
    finish: Finish
    verdict: Verdict
    """The strictest of the gate's."""
    withheld: str = ""
    """Why there are fewer answers than were written; empty where there are not."""


async def screened_answer(gates: Gates, context: AnswerContext, text: str, finish: Finish) -> ScreenedAnswer:
    """The answer that an engine has written, as it may leave. Each of several is decided on alone: one that is blocked
    says so in place of its text, and calls nothing.

    Raises:
        BlockedError: nothing of it may leave.
    """
    if not finish.tool_calls and not finish.others:
        output = await gates.output(context, text)
        return ScreenedAnswer(output.text, _as_left(finish, unchanged=output.text == text), output.verdict)
    choices = written_choices(text, finish)
    outputs = iter(await gates.outputs([part for choice in choices for part in _parts(context, choice)]))
    decided = [_decided(choice, [next(outputs) for _ in _parts(context, choice)]) for choice in choices]
    blocked = [verdict for _, verdict in decided if verdict.decision is Decision.BLOCK]
    if len(blocked) == len(decided):
        raise BlockedError(OUTPUT, blocked[0])
    withheld = f"{OUTPUT}: {blocked[0].reason} ({len(blocked)} withheld)" if blocked else ""
    first, *others = (choice for choice, _ in decided)
    whole = replace(
        finish,
        reason=first.reason,
        tool_calls=first.tool_calls,
        logprobs=first.logprobs,
        others=tuple(others),
    )
    return ScreenedAnswer(first.text, whole, strictest([verdict for _, verdict in decided]), withheld)


async def screened_calls(
    guard: Guard, context: AnswerContext, finish: Finish
) -> tuple[Finish, Verdict | None]:
    """The end of an answer whose text has been screened, its calls as they may leave: none where the gate blocks one.
    No verdict where nothing is called."""
    if not finish.tool_calls:
        return finish, None
    silent = Choice("", finish.reason, finish.tool_calls)
    outputs = [await guard.check_output(*part) for part in _parts(context, silent)]
    choice, verdict = _decided(silent, outputs)
    return replace(finish, reason=choice.reason, tool_calls=choice.tool_calls), verdict


async def recorded(gates: Gates, context: AnswerContext, text: str, finish: Finish) -> Verdict:
    """The verdict on an answer that has left already."""
    if not finish.tool_calls and not finish.others:
        return (await gates.output(context, text, acts=False)).verdict
    parts = [part for choice in written_choices(text, finish) for part in _parts(context, choice)]
    return strictest([output.verdict for output in await gates.outputs(parts)])


def _parts(context: AnswerContext, choice: Choice) -> Iterator[tuple[AnswerContext, str]]:
    """What the gate is asked about: the text, then the arguments of each call."""
    if choice.text or not choice.tool_calls:
        yield context, choice.text
    for call in choice.tool_calls:
        yield replace(context, arguments=True), call.arguments


def _decided(choice: Choice, outputs: Sequence[ScreenedOutput]) -> tuple[Choice, Verdict]:
    verdict = strictest([output.verdict for output in outputs])
    texts = [output.text for output in outputs]
    behind = texts[len(texts) - len(choice.tool_calls) :]
    pairs = list(zip(choice.tool_calls, behind, strict=True))
    if any(is_json(call.arguments) and not is_json(text) for call, text in pairs):
        # Redacted or put back in a place where no text may stand: better no call than another one.
        verdict = replace(verdict, decision=Decision.BLOCK, reason=verdict.reason or _BROKEN)
    if verdict.decision is Decision.BLOCK:
        return Choice(verdict.message, _BLOCKED), verdict
    text = texts[0] if len(texts) > len(behind) else ""
    calls = tuple(replace(call, arguments=arguments) for call, arguments in pairs)
    logprobs = choice.logprobs if text == choice.text else ()
    return replace(choice, text=text, tool_calls=calls, logprobs=logprobs), verdict


def _as_left(finish: Finish, *, unchanged: bool) -> Finish:
    """A text that the gate has changed has no log probabilities: they are of other tokens."""
    return finish if unchanged or not finish.logprobs else replace(finish, logprobs=())
