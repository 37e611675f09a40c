"""The policies in force, each with what screens by it."""

from dataclasses import replace

from sluice_api.snapshot import Snapshot
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.screening import Screener
from sluice_servicekit.errors import InvalidArgument, NotFound

_DEFAULT = "default"


class Policies:
    """One screener for each policy, and for each override of it for tenants; kept while the policy and the
    instructions it protects stay."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._screeners: dict[str, _Screeners] = {}

    def apply(self, snapshot: Snapshot) -> None:
        """Takes over the policies of a snapshot; all of them or, where one cannot be, none.

        Raises:
            FailedPrecondition: a classifier that a policy names cannot be used.
        """
        policies = [_policy(name, snapshot) for name in snapshot.guardrail_policies]
        self._screeners = {policy.name: self._kept(policy) for policy in policies}

    def get(self, name: str, tenant: str = "") -> Screener:
        """What screens by a policy for a tenant.

        Args:
            name: `default`, or the only policy there is, when empty.

        Raises:
            NotFound: there is no policy of that name.
            InvalidArgument: no name was given, and several policies are possible.
        """
        known = ", ".join(sorted(self._screeners)) or "none"
        if not name:
            if _DEFAULT not in self._screeners and len(self._screeners) != 1:
                raise InvalidArgument(f"name a policy; there is: {known}", field="policy")
            name = _DEFAULT if _DEFAULT in self._screeners else next(iter(self._screeners))
        if name not in self._screeners:
            raise NotFound(
                f"there is no guardrail policy {name!r}; there is: {known}", reason="POLICY_NOT_FOUND"
            )
        return self._screeners[name].of(tenant)

    def _kept(self, policy: Policy) -> "_Screeners":
        known = self._screeners.get(policy.name)
        return known if known is not None and known.policy == policy else _Screeners(policy, self._parts)


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
    instructions = {
        pipeline.spec.steps.generate.instructions
        for pipeline in snapshot.pipelines.values()
        if pipeline.spec.guardrail_policy_ref == name
    }
    return Policy(name, compiled.version, compiled.spec, tuple(sorted(filter(None, instructions))))
