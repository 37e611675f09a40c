"""What a person reads when a gate did not simply allow."""

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_guardrail.domain.model import Decision, Gate, Reason

_MESSAGES = {
    Reason.PROMPT_INJECTION: (
        "The request was not processed because it reads like an attempt to override or reveal the assistant's "
        "instructions. Please ask your question without such instructions."
    ),
    Reason.DOCUMENT_INJECTION: (
        "A retrieved document or a tool's result contains text that tries to instruct the assistant."
    ),
    Reason.INPUT_TOO_LONG: (
        "The request is longer than the {limit} characters that can be checked. Please shorten it."
    ),
    Reason.UNRESOLVED_CITATION: "The answer was withheld because it cites a source that does not exist.",
    Reason.UNGROUNDED: "Parts of the answer are not supported by the retrieved documents.",
    Reason.PROFANITY: "The text was not passed on because it contains profane words.",
    Reason.TOPIC: "This assistant does not deal with that subject.",
    Reason.CONTENT: "The text was not passed on because this assistant does not deal with such content.",
    Reason.POLICY: "The text was not passed on because a policy of this assistant does not allow it.",
    Reason.POLICY_FAILED: "The text was not passed on because a policy that must check it could not run.",
    Reason.NOT_SCANNED: "The text was not passed on because it could not be checked whole in time.",
    Reason.PROMPT_LEAK: "The answer was withheld because it shows internal instructions.",
    Reason.OUTPUT_TOO_LONG: (
        "The answer was withheld because it is longer than the {limit} characters that can be checked."
    ),
}
_REDACTED_PII = "Personal data was replaced by placeholders."
_REDACTED = "Parts of the text were replaced because a policy of this assistant does not allow them."
#: What differs by gate.
_GATE_MESSAGES = {
    (Reason.PII, Gate.INPUT): (
        "The request was not processed because it contains personal data, such as an e-mail address, a phone "
        "number or a card number. Please ask your question without it."
    ),
    (Reason.PII, Gate.OUTPUT): (
        "The answer was withheld because it contains personal data, such as an e-mail address, a phone number "
        "or a card number."
    ),
}


def message_for(reason: Reason, spec: GuardrailPolicySpec, gate: Gate, decision: Decision) -> str:
    """The sentence for a reason."""
    if decision is Decision.REDACT:
        return _REDACTED_PII if reason is Reason.PII else _REDACTED
    message = _GATE_MESSAGES.get((reason, gate)) or _MESSAGES[reason]
    return message.format(limit=f"{spec.max_input_characters:,}")
