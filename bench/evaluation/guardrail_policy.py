"""The policy that a guardrail has when nobody has written one."""

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.classifying.builtin import BuiltInClassifier
from sluice_guardrail.domain.classifying.choosing import Classifiers
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.screening import Screener
from sluice_minilm.model import MiniLm

#: No window is left unread, whatever else this machine does.
_BUDGET = "60s"


def default_screener() -> Screener:
    """With the rules and the classifier that the service gives it."""
    parts = Parts(all_rules(), classifiers=Classifiers(BuiltInClassifier(MiniLm())))
    spec = GuardrailPolicySpec.model_validate({"budget": _BUDGET})
    return Screener(Policy("default", "0", spec), parts)
