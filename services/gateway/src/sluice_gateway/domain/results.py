"""An answer as its caller gets it: with what it cites, and whether its form is as asked. Pure."""

from collections.abc import Sequence

from sluice_gateway.domain.answer import citations, sources
from sluice_gateway.domain.jsons import is_json
from sluice_gateway.domain.model import Finish, Passage
from sluice_gateway.domain.outcome import AnswerChoice
from sluice_gateway.domain.pieces import Choice
from sluice_gateway.domain.tools import AnswerFormat


def written_choices(text: str, finish: Finish) -> tuple[Choice, ...]:
    """All answers of a generation, the first one's text given."""
    return (Choice(text, finish.reason, finish.tool_calls, finish.logprobs), *finish.others)


def answer_choice(choice: Choice, passages: Sequence[Passage], *, sourced: bool) -> AnswerChoice:
    """An answer with what it cites. One that calls tools is not yet the answer that sources are listed for."""
    cited = citations(choice.text, passages)
    listed = sources(cited) if sourced and not choice.tool_calls else ""
    return AnswerChoice(choice.text + listed, choice.reason, cited, choice.tool_calls, choice.logprobs)


def said(choices: Sequence[AnswerChoice]) -> str:
    """All that leaves, for the journal's digest: a single answer is its text."""
    calls = [f"{call.name}({call.arguments})" for choice in choices for call in choice.tool_calls]
    return "\n".join(part for part in (*(choice.text for choice in choices), *calls) if part)


def fault(wanted: AnswerFormat, choices: Sequence[Choice]) -> str:
    """What is wrong with the form of whole answers; empty where nothing is. One that was cut at the limit of tokens
    says so itself."""
    whole = [choice.text for choice in choices if choice.reason == "stop" and not choice.tool_calls]
    return "" if not wanted.is_json or all(map(is_json, whole)) else "ANSWER_NOT_JSON"
