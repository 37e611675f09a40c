"""How a run begins where its pipeline has a cache: with an answer that is there, or with what answers are made from."""

import asyncio
from dataclasses import dataclass, replace

from sluice_gateway.domain.caching.looking import Looked, RunCache
from sluice_gateway.domain.model import ScreenedInput
from sluice_gateway.domain.outcome import BlockedError, CacheDecision, CacheUse, RunResult
from sluice_gateway.domain.recording import Recorder
from sluice_gateway.domain.run import StepState
from sluice_gateway.domain.stepping import StepFailedError
from sluice_gateway.domain.steps import Retrieved, Steps

#: The step's name.
CACHE = "cache"


@dataclass(frozen=True, slots=True)
class GivenAgain:
    """An answer that was made before, for a request that the input gate has let pass now."""

    result: RunResult
    screened: ScreenedInput
    use: CacheUse


@dataclass(slots=True)
class Serving:
    """One run and its cache, if it has one."""

    recorder: Recorder
    steps: Steps
    cache: RunCache | None
    version: str
    """Of the run's pipeline."""
    use: CacheUse | None = None
    """What the cache had to do with the run, once it is known."""

    async def begin(self) -> GivenAgain | Retrieved:
        """An answer from the cache, or what one is made from. Either way the input gate has seen the request, once.

        Raises:
            BlockedError: the input gate says no.
        """
        if self.cache is None:
            return await self.steps.screen_and_retrieve()
        self.recorder.step_started(CACHE, 1)
        try:
            looked = await self.cache.look_up(self.version)
            if looked.kept is None:
                self._ended(looked.use)
                return await self.steps.screen_and_retrieve()
            return await self._given(self.cache, looked, looked.kept.result)
        except asyncio.CancelledError:
            if self.use is None:
                self.recorder.step_ended(CACHE, 1, StepState.CANCELLED)
            raise

    def keep(self, result: RunResult, screened: ScreenedInput, canary: str) -> RunResult:
        """The result, which the cache now may have."""
        if self.cache is not None and not screened.treated and not screened.vault:
            self.cache.keep(result, screened.verdict, self.version, canary)
        return replace(result, cache=self.use)

    async def _given(self, cache: RunCache, looked: Looked, result: RunResult) -> GivenAgain | Retrieved:
        try:
            screened, request = await self.steps.screen()
        except (BlockedError, StepFailedError) as error:
            reason = "BLOCKED" if isinstance(error, BlockedError) else "GUARD_FAILED"
            self.use = CacheUse(CacheDecision.BYPASS, reason=reason)
            cache.note(self.use)
            self.recorder.step_ended(CACHE, 1, StepState.SKIPPED, reason=reason)
            raise
        # The gate has changed this request: what was kept answers another one.
        changed = bool(screened.treated or screened.vault)
        use = CacheUse(CacheDecision.BYPASS, reason="REQUEST_CHANGED") if changed else looked.use
        cache.note(use)
        self._ended(use)
        if changed:
            return await self.steps.retrieve_screened(screened, request)
        return GivenAgain(result, screened, use)

    def _ended(self, use: CacheUse) -> None:
        self.use = use
        self.recorder.step_ended(
            CACHE, 1, StepState.SUCCEEDED, decision=use.decision, reason=use.reason, detail=use.detail()
        )
