"""What an experiment has shown so far, over all replicas and tenants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sluice_api.snapshot import CompiledExperiment, Snapshot
from sluice_gateway.domain.access import Role, require
from sluice_gateway.domain.experimenting.judging import Comparison, Judgement, compare, judge
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_gateway.domain.model import Principal
from sluice_gateway.experiments.collecting import OutcomeCollector
from sluice_gateway.experiments.feedback import Feedback
from sluice_gateway.experiments.store import STRETCH, OutcomeStore
from sluice_servicekit.errors import NotFound


@dataclass(frozen=True, slots=True)
class Report:
    """An experiment and what has become of its arms."""

    name: str
    experiment: CompiledExperiment
    since: float
    """Unix seconds from which on runs count; 0 for all."""
    outcomes: Mapping[str, Outcomes]
    """By arm, every arm."""
    comparisons: list[Comparison]
    judgement: Judgement


class Experiments:
    """The experiments of the snapshot in force. They are over all tenants, so only admins see them."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        store: OutcomeStore,
        collector: OutcomeCollector,
        feedback: Feedback,
    ) -> None:
        self._snapshot = snapshot
        self._store = store
        self._collector = collector
        self.feedback = feedback

    def all(self, principal: Principal) -> dict[str, CompiledExperiment]:
        """All of them, by name."""
        require(principal, Role.ADMIN)
        return dict(sorted(self._snapshot().experiments.items()))

    def one(self, principal: Principal, name: str) -> CompiledExperiment:
        """One of them.

        Raises:
            NotFound: there is none of that name (`EXPERIMENT_NOT_FOUND`).
        """
        known = self.all(principal)
        if name not in known:
            raise NotFound(
                f"there is no experiment {name!r}; there is: {', '.join(known) or 'none'}",
                reason="EXPERIMENT_NOT_FOUND",
            )
        return known[name]

    async def report(self, principal: Principal, name: str, since: float = 0.0) -> Report:
        """What it has shown since a time, which is rounded down to the hour. Of other replicas, up to a second ago.

        Raises:
            NotFound: there is none of that name (`EXPERIMENT_NOT_FOUND`).
            Unavailable: the database cannot be used.
        """
        experiment = self.one(principal, name)
        await self._collector.flush()
        outcomes = await self._store.read(name, experiment.models, since)
        return Report(
            name,
            experiment,
            since // STRETCH * STRETCH,
            outcomes,
            compare(experiment.spec, outcomes),
            judge(experiment.spec, outcomes),
        )
