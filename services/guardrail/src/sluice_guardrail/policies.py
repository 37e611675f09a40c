"""The policies in force, each with what screens by it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from prometheus_client import Counter

from sluice_api.snapshot import Snapshot
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.screening import Screener
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import FailedPrecondition, InvalidArgument, NotFound, ServiceError

_LOG = logging.getLogger(__name__)
_UPDATES = Counter(
    names.GUARD_POLICY_UPDATES, "Policies that came into force or were refused", ("policy", "result")
)

_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be in force, and why some of it is not what was asked for."""

    screeners: Mapping[str, "_Screeners"]
    refused: Mapping[str, str]
    """By policy, why its newest version may not serve; an older one may be in force."""


class Policies:
    """One screener for each policy, and for each override of it for tenants; kept while the policy and the
    instructions it protects stay.

    A policy that asks for what is not there does not come into force; the last good version of it stays, whole. Calls
    and streams go on with the screener they began with.

    Args:
        kept: What was in force when an earlier process ended.
    """

    def __init__(self, parts: Parts, kept: Mapping[str, Policy] | None = None) -> None:
        self._parts = parts
        self._earlier: Mapping[str, Policy] = kept or {}
        self._screeners: Mapping[str, _Screeners] = {}
        self._before: Mapping[str, _Screeners] = {}
        self._refused: Mapping[str, str] = {}

    @property
    def refused(self) -> Mapping[str, str]:
        """By policy, why its newest version is not in force."""
        return self._refused

    @property
    def in_force(self) -> Mapping[str, Policy]:
        """The policies in force."""
        return {name: screeners.policy for name, screeners in self._screeners.items()}

    def prepare(self, snapshot: Snapshot) -> Prepared:
        """Builds what a snapshot asks for; changes nothing. May take seconds: it belongs in a thread, one at a time."""
        screeners: dict[str, _Screeners] = {}
        refused: dict[str, str] = {}
        for name in snapshot.guardrail_policies:
            policy = _policy(name, snapshot)
            try:
                screeners[name] = self._kept(policy) or _Screeners(policy, self._parts)
            except (ServiceError, ValueError, OSError) as error:
                refused[name] = str(error)
                if (last_good := self._screeners.get(name) or self._earlier_one(name)) is not None:
                    screeners[name] = last_good
        return Prepared(screeners, refused)

    def swap(self, prepared: Prepared) -> None:
        """Puts it in force, all at once. What was in force is kept once more, for a change that is taken back."""
        for name, screeners in prepared.screeners.items():
            if self._screeners.get(name) is not screeners:
                _UPDATES.labels(name, "accepted").inc()
                _LOG.info("guardrail policy %s: version %s in force", name, screeners.policy.version)
        for name, reason in prepared.refused.items():
            if self._refused.get(name) != reason:
                kept = "its last good version stays" if name in prepared.screeners else "it is not in force"
                _UPDATES.labels(name, "refused").inc()
                _LOG.warning("guardrail policy %s refused, %s: %s", name, kept, reason)
        changed = {
            name: old for name, old in self._screeners.items() if prepared.screeners.get(name) is not old
        }
        self._before = {
            name: old for name, old in {**self._before, **changed}.items() if name in prepared.screeners
        }
        self._screeners, self._refused = prepared.screeners, prepared.refused
        self._earlier = {}

    def get(self, name: str, tenant: str = "") -> Screener:
        """What screens by a policy for a tenant.

        Args:
            name: `default`, or the only policy there is, when empty.

        Raises:
            NotFound: there is no policy of that name.
            InvalidArgument: no name was given, and several policies are possible.
            FailedPrecondition: the policy was refused, and no version of it is in force.
        """
        there = {*self._screeners, *self._refused}
        known = ", ".join(sorted(there)) or "none"
        if not name:
            if _DEFAULT not in there and len(there) != 1:
                raise InvalidArgument(f"name a policy; there is: {known}", field="policy")
            name = _DEFAULT if _DEFAULT in there else next(iter(there))
        if name in self._screeners:
            return self._screeners[name].of(tenant)
        if name in self._refused:
            raise FailedPrecondition(
                f"guardrail policy {name!r} is not in force: {self._refused[name]}", reason="POLICY_REFUSED"
            )
        raise NotFound(f"there is no guardrail policy {name!r}; there is: {known}", reason="POLICY_NOT_FOUND")

    def _kept(self, policy: Policy) -> "_Screeners | None":
        """The screeners of that very policy, where it is in force or was before."""
        for known in (self._screeners.get(policy.name), self._before.get(policy.name)):
            if known is not None and known.policy == policy:
                return known
        return None

    def _earlier_one(self, name: str) -> "_Screeners | None":
        """What an earlier process had in force, where that may still serve."""
        policy = self._earlier.get(name)
        if policy is None:
            return None
        try:
            return _Screeners(policy, self._parts)
        except (ServiceError, ValueError, OSError) as error:
            _LOG.warning("guardrail policy %s: its earlier version may not serve any more: %s", name, error)
            return None


class _Screeners:
    """The screeners of one policy: what it says to all, and what it says to some tenants."""

    def __init__(self, policy: Policy, parts: Parts) -> None:
        self.policy = policy
        self._all = Screener(policy, parts)
        self._own = {
            tenant: screener
            for override in policy.spec.tenants
            for screener in [Screener(replace(policy, spec=policy.spec.for_tenant(override.names[0])), parts)]
            for tenant in override.names
        }

    def of(self, tenant: str) -> Screener:
        return self._own.get(tenant, self._all)


def _policy(name: str, snapshot: Snapshot) -> Policy:
    compiled = snapshot.guardrail_policies[name]
    steps = [
        step
        for pipeline in snapshot.pipelines.values()
        if pipeline.spec.guardrail_policy_ref == name
        for step in (pipeline.spec.steps.generate, *(each for _, each in pipeline.spec.steps.chain()))
    ]
    instructions = {step.instructions for step in steps}
    instructions |= {step.prompt.layout.literals for step in steps if step.prompt is not None}
    return Policy(name, compiled.version, compiled.spec, tuple(sorted(filter(None, instructions))))
