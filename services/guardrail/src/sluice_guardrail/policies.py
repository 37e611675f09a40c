"""The policies in force, each with what screens by it."""

from sluice_api.snapshot import Snapshot
from sluice_guardrail.domain.rules.rule_set import RuleSet
from sluice_guardrail.domain.screening import Policy, Screener
from sluice_servicekit.errors import NotFound


class Policies:
    """One screener for each policy; kept while the policy and the instructions it protects stay."""

    def __init__(self, rules: RuleSet) -> None:
        self._rules = rules
        self._screeners: dict[str, tuple[Policy, Screener]] = {}

    def apply(self, snapshot: Snapshot) -> None:
        """Takes over the policies of a snapshot."""
        policies = [_policy(name, snapshot) for name in snapshot.guardrail_policies]
        self._screeners = {policy.name: (policy, self._screener(policy)) for policy in policies}

    def get(self, name: str) -> Screener:
        """What screens by a policy.

        Raises:
            NotFound: there is no policy of that name.
        """
        if name not in self._screeners:
            known = ", ".join(sorted(self._screeners)) or "none"
            raise NotFound(
                f"there is no guardrail policy {name!r}; there is: {known}", reason="POLICY_NOT_FOUND"
            )
        return self._screeners[name][1]

    def _screener(self, policy: Policy) -> Screener:
        known = self._screeners.get(policy.name)
        return known[1] if known is not None and known[0] == policy else Screener(policy, self._rules)


def _policy(name: str, snapshot: Snapshot) -> Policy:
    compiled = snapshot.guardrail_policies[name]
    instructions = {
        pipeline.spec.steps.generate.instructions
        for pipeline in snapshot.pipelines.values()
        if pipeline.spec.guardrail_policy_ref == name
    }
    return Policy(name, compiled.version, compiled.spec, tuple(sorted(filter(None, instructions))))
