"""What is so of an adapter: its versions, and how far each is on each pod."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.statuses.lora_adapter import NamedVersion, PodState, PodStatus, PreviousVersion
from sluice_operator.agents.views import PodView, Trouble, Version
from sluice_operator.kinds.lora_adapter import retries, times
from sluice_operator.kinds.lora_adapter.reasons import MENDED, OUTAGES
from sluice_operator.reconciling.kind import Item

Key = tuple[str, str]
"""A pod's uid and a versioned name; no name while it is not known which files the source has."""

#: What only waits or goes on: nothing of it is in an engine for sure.
ON_THE_WAY = frozenset({PodState.PENDING, PodState.DOWNLOADING, PodState.LOADING, PodState.FAILED})
#: On its way out.
RETIRING = frozenset({PodState.DRAINING, PodState.UNLOADED})


@dataclass(frozen=True, slots=True)
class State:
    """An adapter, as far as it is."""

    target: NamedVersion | None
    """The spec's version; none while its files are not known."""
    current: NamedVersion | None
    """In rotation."""
    previous: PreviousVersion | None
    """Kept loaded."""
    entries: Mapping[Key, PodStatus]

    @property
    def names(self) -> frozenset[str]:
        """The names in engines that the adapter is kept under."""
        versions = (self.target, self.current, self.previous)
        return frozenset(each.engine_name for each in versions if each is not None)

    def of(self, name: str) -> Iterator[PodStatus]:
        """The entries of a version."""
        return (each for (_, of), each in self.entries.items() if of == name)


def files(version: NamedVersion) -> Version:
    """Whose files a version has."""
    return Version(version.digest, version.config_digest)


def entry(pod: PodView, name: str, state: PodState = PodState.PENDING) -> PodStatus:
    """A new entry."""
    return PodStatus(
        pod_uid=pod.uid, pod_name=pod.name, restart_count=pod.restarts, engine_name=name, state=state
    )


def changed(each: PodStatus, state: PodState, **fields: object) -> PodStatus:
    """An entry in another state; what belonged to the old one is gone, but for the attempts and the load's length."""
    cleared: dict[str, object] = {"reason": "", "message": "", "next_attempt_time": None, "progress": None}
    return each.model_copy(update={**cleared, "state": state, **fields})


def failed(item: Item[LoRAAdapter], each: PodStatus, trouble: Trouble, at: float) -> PodStatus:
    """An entry after a try that did not work. What drains is tried for ever, all else `maxAttempts` times."""
    load = item.object.spec.load
    attempts = each.attempts + 1
    drains = each.state is PodState.DRAINING
    if trouble.reason in OUTAGES and not drains:
        attempts = min(attempts, load.max_attempts - 1) or 1
    permanent = trouble.permanent and trouble.reason not in MENDED | OUTAGES
    over = permanent or (attempts >= load.max_attempts and trouble.reason not in OUTAGES)
    wait = retries.delay(load, attempts, item.uid, each.pod_uid)
    return changed(
        each,
        PodState.DRAINING if drains else PodState.FAILED,
        attempts=attempts,
        reason=trouble.reason[:128],
        message=trouble.message[:1024],
        last_attempt_time=times.told(at),
        next_attempt_time=None if over and not drains else times.told(at + wait),
    )


def made_sure(each: PodStatus) -> float:
    """When an entry's state was last made sure of."""
    return times.read(each.last_attempt_time) or 0.0
