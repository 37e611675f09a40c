"""A gate's decision as a person has turned it. Pure.

An override turns one decision and nothing else: where a gate is told to allow, it is still asked, so that what it
redacts stays redacted and the journal says what it had decided. Where it is told to block, it need not be asked.
"""

from collections.abc import Sequence
from dataclasses import replace

from sluice_gateway.domain.model import (
    Decision,
    Passage,
    ScreenedInput,
    ScreenedOutput,
    ScreenedPassages,
    Verdict,
)

#: The reason of a decision that a person has turned.
OVERRIDDEN = "OVERRIDDEN"

_MESSAGE = "An administrator has stopped this request."


def blocked(policy: str) -> Verdict:
    """The verdict of a gate that is told to block."""
    return Verdict(Decision.BLOCK, OVERRIDDEN, _MESSAGE, policy)


def allowed_input(screened: ScreenedInput) -> ScreenedInput:
    """What the gate found, allowed. What it took out whole comes back, since nothing would be left to answer."""
    if screened.verdict.decision is not Decision.BLOCK:
        return screened
    kept = tuple(each for each in screened.treated if each.text)
    return replace(screened, verdict=_allowed(screened.verdict), treated=kept)


def allowed_passages(screened: ScreenedPassages, passages: Sequence[Passage]) -> ScreenedPassages:
    """All passages in their order, changed where the gate has changed them."""
    if screened.verdict.decision is not Decision.BLOCK and not screened.withheld:
        return screened
    readable = {(passage.knowledge_base, passage.chunk_id): passage for passage in screened.passages}
    all_of_them = [readable.get((passage.knowledge_base, passage.chunk_id), passage) for passage in passages]
    return replace(screened, verdict=_allowed(screened.verdict), passages=all_of_them, withheld=())


def allowed_output(screened: ScreenedOutput, text: str) -> ScreenedOutput:
    """The answer as the gate would release it; as it was written where the gate would not."""
    if screened.verdict.decision is not Decision.BLOCK:
        return screened
    return ScreenedOutput(_allowed(screened.verdict), text)


def _allowed(verdict: Verdict) -> Verdict:
    return replace(verdict, decision=Decision.ALLOW, reason=OVERRIDDEN, message="", would=verdict.decision)
