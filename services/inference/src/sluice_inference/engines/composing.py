"""Prompts within what a model holds: who counts their tokens, and what is learned of it."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

from sluice_api.objects.prompt import Prompt
from sluice_inference.domain import counting
from sluice_inference.domain.containing import nonce
from sluice_inference.domain.counting import Counter, Ratio
from sluice_inference.domain.model import Finish, Task
from sluice_inference.domain.packing import budget
from sluice_inference.domain.prompting import Composed, Setting, compose
from sluice_inference.engines.server_facts import ServerFacts
from sluice_inference.engines.tokenizing import LocalTokenizer
from sluice_servicekit.errors import InvalidArgument

#: The share of the room from which on an estimate is checked with the server.
_NEAR = 0.5
#: What a ratio that was counted for most of a prompt may be off for another part of it.
_MARGIN = 1.02


@dataclass(slots=True)
class Composer:
    """Composes the prompts of one model server.

    By its tokenizer where there is one. Else by an estimate: what may not fit by it is counted by the server, once, and
    the estimate learns from every answer.
    """

    facts: ServerFacts
    tokenizer: LocalTokenizer | None = None
    today: Callable[[], str] = lambda: datetime.now(UTC).date().isoformat()
    _ratios: dict[str, Ratio] = field(default_factory=dict)
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def take_over(self, tokenizer: LocalTokenizer | None) -> None:
        """Counts by this one from now on; one of the same path is kept, with what was read of it."""
        if tokenizer is None or self.tokenizer is None or tokenizer.path != self.tokenizer.path:
            self.tokenizer = tokenizer

    async def compose(self, task: Task, model: str) -> Composed:
        """The prompt.

        Raises:
            InvalidArgument: the question is too long (`PROMPT_TOO_LONG`).
            FailedPrecondition: the tokenizer cannot be read.
        """
        if self.tokenizer is not None:
            await self.tokenizer.load()
        context = await self.facts.context(model)
        exact = self.tokenizer is not None
        room = budget(task.prompt, context, task.sampling.max_tokens, exact=exact)
        setting = self._setting(task)
        if not _cuts(task.prompt):
            whole = compose(task, setting)
            if room is None or _tokens(whole, task, counting.bytes_of) <= room:
                return whole
        if self.tokenizer is not None:
            return await asyncio.to_thread(compose, task, setting, room, cache(self.tokenizer.count))
        return await self._estimated(task, model, setting, room)

    def learn(self, composed: Composed, task: Task, model: str, finish: Finish) -> None:
        """Takes note of what the server has counted."""
        if self.tokenizer is None and not finish.estimated:
            self._learn(model, finish.prompt_tokens, _tokens(composed, task, counting.estimated(1.0)))

    async def _estimated(self, task: Task, model: str, setting: Setting, room: int | None) -> Composed:
        ratio = self._ratios.get(model, Ratio()).bound
        count = counting.estimated(ratio)
        refused: InvalidArgument | None = None
        try:
            composed = compose(task, setting, room, count)
        except InvalidArgument as error:  # perhaps: it is only an estimate
            refused, composed = error, compose(task, setting)
        if room is None or (composed.prepared is None and _tokens(composed, task, count) < _NEAR * room):
            return composed
        counted = await self.facts.count(model, composed.messages, task.tools)
        if counted is None and refused is not None:
            raise refused
        if counted is None or (composed.prepared is None and counted <= room):
            return composed
        estimated = _tokens(composed, task, counting.estimated(1.0))
        self._learn(model, counted, estimated)
        return compose(task, setting, room, counting.estimated(counted / estimated * _MARGIN))

    def _learn(self, model: str, counted: int, estimated: int) -> None:
        self._ratios[model] = self._ratios.get(model, Ratio()).learned(counted, estimated)

    def _setting(self, task: Task) -> Setting:
        read = (text for each in task.passages for text in (each.title, each.text, each.metadata))
        tokens = self.tokenizer.special_tokens if self.tokenizer is not None else ()
        return Setting(f"passage-{nonce(self._key, read)}", self.today(), tokens)


def _cuts(prompt: Prompt) -> bool:
    """Whether parts of a prompt have limits of their own."""
    return prompt.max_passage_tokens is not None or prompt.max_history_tokens is not None


def _tokens(composed: Composed, task: Task, count: Counter) -> int:
    return counting.of_conversation(composed.messages, task.tools, count)
