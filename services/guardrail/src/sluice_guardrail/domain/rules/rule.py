"""What a rule is, and which scores it can carry."""

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """What an attack tries; the category of its findings."""

    OVERRIDE = "override"
    """Take back the instructions given so far."""
    REPLACE = "replace"
    """Put new instructions in their place."""
    LEAK = "leak"
    """Read out the instructions."""
    MARKERS = "markers"
    """Forge the markup that parts roles in a prompt."""
    DAN = "dan"
    """Conjure a model without limits."""
    PERSONA = "persona"
    """Hand the model another identity."""
    NEW_TASK = "new-task"
    """Change the subject by decree."""
    EXFILTRATION = "exfiltration"
    """Send something out."""
    ACCESS = "access"
    """Claim a right or a mode."""
    ADDRESSED = "addressed"
    """Speaks to the model from within a document."""
    HIDDEN = "hidden"
    """Instructs from where a reader does not look."""
    GUARD = "guard-directed"
    """Speaks to what screens the text, not to what answers it."""
    LINK = "exfiltration-link"
    """A link, an image or a host name that carries out what was said."""
    TOOL_CALL = "tool-call"
    """Orders a call of a tool from within a tool's result or description."""
    INVISIBLE = "invisible"
    """Signs that nobody sees within a word, where its writing has no use for them."""
    SMUGGLED = "smuggled"
    """A text of its own in signs that nobody sees."""


#: What one match of a family is worth. Below the default threshold of 0.5 it only adds to what else is found.
SCORES: dict[Family, float] = {
    Family.OVERRIDE: 0.9,
    Family.REPLACE: 0.8,
    Family.LEAK: 0.8,
    Family.MARKERS: 0.7,
    Family.DAN: 0.4,
    Family.PERSONA: 0.3,
    Family.NEW_TASK: 0.3,
    Family.EXFILTRATION: 0.3,
    Family.ACCESS: 0.2,
    Family.ADDRESSED: 0.7,
    Family.HIDDEN: 0.6,
    Family.GUARD: 0.6,
    Family.LINK: 0.7,
    Family.TOOL_CALL: 0.6,
    Family.INVISIBLE: 0.3,
    Family.SMUGGLED: 0.4,
}


#: Families that mean something only in what is not the user's own text.
DOCUMENT_ONLY = frozenset({Family.ADDRESSED, Family.HIDDEN})
#: Families that mean something only in what a tool gave: documents describe calls.
TOOL_ONLY = frozenset({Family.TOOL_CALL})
#: Families of which one match decides nothing; several different ones together may.
WEAK = frozenset(
    {Family.DAN, Family.PERSONA, Family.NEW_TASK, Family.EXFILTRATION, Family.ACCESS, Family.INVISIBLE}
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One phrase to look for."""

    family: Family
    expression: str
    """RE2 over folded text; the first group is what is reported."""
    literal: bool = False
    """True where the rule is about signs, not about language: being quoted or reported does not excuse it."""
