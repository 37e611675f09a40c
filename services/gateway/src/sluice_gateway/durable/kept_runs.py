"""What is kept of runs in the store of payloads: their plans, what their steps gave, what they gave."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from sluice_gateway.domain.outcome import RunResult
from sluice_gateway.durable import codec, plan_codec
from sluice_gateway.durable.codec import CodecError
from sluice_gateway.durable.execution import RESULT
from sluice_gateway.durable.outputs import SEPARATOR
from sluice_gateway.durable.plan_codec import KeptPlan
from sluice_gateway.durable.port import Reference
from sluice_gateway.payloads.port import REQUEST, PayloadNotRetained, PayloadStore


class KeptRuns:
    """Reads, copies and extends what is kept.

    Args:
        references: Gives what an engine has of a durable run's steps.
        settled: Returns once all that is to be kept of a run is.
    """

    def __init__(
        self,
        payloads: PayloadStore,
        references: Callable[[str], Awaitable[Mapping[str, Reference]]],
        settled: Callable[[str], Awaitable[None]],
    ) -> None:
        self._payloads = payloads
        self._references = references
        self._settled = settled

    async def plan(self, tenant: str, run_id: str) -> KeptPlan:
        """A run's plan.

        Raises:
            PayloadNotRetained: it was not kept, is gone, or cannot be read by this version.
        """
        await self._settled(run_id)
        try:
            return plan_codec.decode(await self._payloads.read(tenant, run_id, REQUEST))
        except CodecError:
            raise PayloadNotRetained(
                f"another version kept the run {run_id}; this one cannot read it"
            ) from None

    async def keep(self, run_id: str, kept: KeptPlan) -> None:
        """Keeps a run's plan."""
        tenant, spec = kept.plan.request.principal.tenant, kept.plan.pipeline.spec
        content = plan_codec.encode(kept)
        await self._payloads.keep(
            tenant, run_id, REQUEST, content, spec.payloads, retention=spec.payload_retention
        )

    async def result(self, tenant: str, run_id: str) -> RunResult | None:
        """What a run gave; None where it is not kept, or cannot be read by this version."""
        try:
            result: RunResult = codec.decode(await self._payloads.read(tenant, run_id, RESULT))
        except (PayloadNotRetained, CodecError):
            return None
        return result

    async def copy(self, tenant: str, run_id: str, new_id: str, steps: Sequence[str]) -> dict[str, str]:
        """Copies what steps gave to another run, whose payloads live as long as itself; gives its seed."""
        names = await self._names(tenant, run_id)
        spec = (await self.plan(tenant, run_id)).plan.pipeline.spec
        there = [step for step in steps if step in names]
        for step in there:
            content = await self._payloads.read(tenant, run_id, names[step])
            await self._payloads.keep(
                tenant, new_id, step, content, spec.payloads, retention=spec.payload_retention
            )
        return {step: step for step in there}

    async def seed(self, tenant: str, run_id: str) -> None:
        """Notes in a run's plan what its own steps have given.

        Raises:
            PayloadNotRetained: there is no plan to note it in.
        """
        kept, given = await self.plan(tenant, run_id), await self._names(tenant, run_id)
        if not given.items() <= kept.seed.items():
            await self.keep(run_id, replace(kept, seed={**kept.seed, **given}))

    async def _names(self, tenant: str, run_id: str) -> dict[str, str]:
        """Steps, and the payloads that hold what counts of their outputs: an execution that was replaced may have
        kept others."""
        names = await self._payloads.names(tenant, run_id)
        plain = {name: name for name in names if SEPARATOR not in name and name not in (REQUEST, RESULT)}
        references = await self._references(run_id)
        return plain | {step: kept["payload"] for step, kept in references.items() if "payload" in kept}
