"""Questions and their answers, as they are written; one, or several that lean on each other."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluice_cli.citing import SourcesHeld, sources_list
from sluice_cli.client import Api, Json
from sluice_cli.errors import CommandError, usage
from sluice_cli.terminal import err, out, print_error

#: Turns of a conversation that go along with a new question.
_TURNS = 5

_QUIT = "/quit"


@dataclass
class Answer:
    """A streamed answer, whole."""

    text: str = ""
    prose: str = ""
    """The text without the list of sources."""
    finish_reason: str = ""
    sluice: dict[str, Any] = field(default_factory=dict)


def converse(api: Api, question: str, how: Json, *, quiet: bool, history: Sequence[Json] = ()) -> Answer:
    """Asks, and prints the pieces as they come, then the sources, unless quiet.

    Args:
        how: What the request says besides its messages: the model at least.
        history: The messages before the question.
    """
    answer, held = Answer(), SourcesHeld()
    messages = [*history, {"role": "user", "content": question}]
    for chunk in api.chat({**how, "messages": messages}):
        for choice in chunk["choices"]:
            piece = choice["delta"].get("content") or ""
            answer.text += piece
            answer.finish_reason = choice["finish_reason"] or answer.finish_reason
            _add(answer, held.feed(piece), quiet=quiet)
        answer.sluice = chunk.get("sluice", answer.sluice)
    citations = answer.sluice.get("citations", [])
    _add(answer, held.end(citations), quiet=quiet)
    if not quiet:
        out.print()
        if citations:
            out.print()
            out.print(sources_list(citations, Path.cwd()))
    return answer


def chat(ask: Callable[[str, Sequence[Json]], Answer], questions: Iterable[str]) -> None:
    """A conversation. An error ends its turn, not the conversation.

    Args:
        ask: Answers a question that follows these messages, and shows the answer.
    """
    history: list[Json] = []
    for question in questions:
        try:
            answer = ask(question, history[-2 * _TURNS :])
        except CommandError as error:
            print_error(error)
            continue
        if answer.finish_reason != "content_filter":  # a gate would block every later turn for it
            history += [
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer.prose},
            ]


def typed(first: str = "") -> Iterator[str]:
    """Questions as they are typed, line by line, until `/quit` or the end of the input.

    Args:
        first: Comes before them, unless empty.

    Raises:
        CommandError: a line cannot be read.
    """
    if first:
        yield first
    prompt = ""
    if sys.stdin.isatty():
        import readline  # noqa: F401 - lines can be edited, once it is loaded

        prompt = "\n> "
    while True:
        try:
            line = input(prompt).strip()
        except UnicodeDecodeError as error:
            raise usage("a question is not UTF-8") from error
        except EOFError:
            if prompt:
                err.print()
            return
        if line == _QUIT:
            return
        if line:
            yield line


def _add(answer: Answer, piece: str, *, quiet: bool) -> None:
    answer.prose += piece
    if piece and not quiet:
        out.print(piece, end="", markup=False)
