"""Tokens that a run has used so far, whatever its steps generate and however it ends."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from sluice_api.objects.steps import RewriteStep
from sluice_gateway.domain.admission.priority import Priority
from sluice_gateway.domain.model import Finish, Message, Principal, Reworded, Rewritten, Usage, Writing
from sluice_gateway.domain.ports import Generator, Prompt


@dataclass(slots=True)
class Meter:
    """The tokens of one run, those of failed attempts and of rewriting included."""

    _calls: list[Usage] = field(default_factory=list)

    @property
    def usage(self) -> Usage:
        """Up to now; `estimated` where one of the engines has not counted."""
        return Usage(
            sum(usage.prompt_tokens for usage in self._calls),
            sum(usage.completion_tokens for usage in self._calls),
            any(usage.estimated for usage in self._calls),
        )

    @property
    def used(self) -> bool:
        """Whether anything was counted at all."""
        return bool(self._calls)

    def begin(self) -> int:
        """Begins a call; gives its place."""
        self._calls.append(Usage())
        return len(self._calls) - 1

    def tell(self, place: int, usage: Usage) -> None:
        """What a call has used up to now."""
        self._calls[place] = usage


@dataclass(frozen=True, slots=True)
class Metered:
    """A generator whose calls are counted. It keeps `Usage` to itself."""

    generator: Generator
    meter: Meter

    async def generate(self, prompt: Prompt) -> AsyncGenerator[Writing, None]:
        """As the generator does."""
        place = self.meter.begin()
        async with aclosing(self.generator.generate(prompt)) as events:
            async for event in events:
                if isinstance(event, Usage):
                    self.meter.tell(place, event)
                    continue
                if isinstance(event, Finish):
                    self.meter.tell(place, event.usage)
                yield event

    async def rewrite(
        self, principal: Principal, step: RewriteStep, turns: Sequence[Message], priority: Priority
    ) -> Rewritten:
        """As the generator does."""
        place = self.meter.begin()
        rewritten = await self.generator.rewrite(principal, step, turns, priority)
        self.meter.tell(place, rewritten.usage)
        return rewritten

    async def reword(
        self, principal: Principal, step: RewriteStep, question: str, most: int, priority: Priority
    ) -> Reworded:
        """As the generator does."""
        place = self.meter.begin()
        reworded = await self.generator.reword(principal, step, question, most, priority)
        self.meter.tell(place, reworded.usage)
        return reworded
