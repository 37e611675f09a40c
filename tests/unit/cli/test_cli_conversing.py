"""Conversations: what goes along with a question, and what ends a conversation."""

from collections.abc import Sequence

from sluice_cli.client import Json
from sluice_cli.conversing import Answer, chat
from sluice_cli.errors import CommandError


class Answering:
    """Answers with the question in capitals, and remembers what came before each."""

    def __init__(self) -> None:
        self.before: dict[str, list[str]] = {}

    def __call__(self, question: str, history: Sequence[Json]) -> Answer:
        self.before[question] = [message["content"] for message in history]
        if question == "broken":
            raise CommandError("no")
        blocked = question == "bad"
        return Answer(prose=question.upper(), finish_reason="content_filter" if blocked else "stop")


def test_each_question_takes_the_turns_before_it_along():
    answering = Answering()
    chat(answering, ["a", "b", "c"])
    assert answering.before == {"a": [], "b": ["a", "A"], "c": ["a", "A", "b", "B"]}


def test_only_the_last_turns_go_along():
    answering = Answering()
    chat(answering, [str(number) for number in range(9)])
    assert answering.before["8"] == ["3", "3", "4", "4", "5", "5", "6", "6", "7", "7"]


def test_blocked_and_failed_turns_are_left_out_and_the_conversation_goes_on():
    answering = Answering()
    chat(answering, ["a", "bad", "broken", "b"])
    assert answering.before["b"] == ["a", "A"]
