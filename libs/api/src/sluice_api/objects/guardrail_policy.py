"""`GuardrailPolicy` (`grp`): what the gates look for and what they do about it."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from sluice_api.objects.base import Model, SluiceObject

Score = Annotated[float, Field(ge=0.0, le=1.0)]


class Action(StrEnum):
    """What a gate does when a detector's score reaches its threshold."""

    ALLOW = "allow"
    """Nothing; the detector is off."""
    FLAG = "flag"
    """Reports it; the text goes on."""
    BLOCK = "block"
    """Ends the run with a reason."""


class StreamingMode(StrEnum):
    """When the text of a streamed answer leaves."""

    WITHHOLD = "withhold"
    """After the whole answer was screened. Nothing unscreened can leak."""
    WINDOW = "window"
    """Sentence by sentence, each after it was screened with what came before. Checks on the whole answer can
    only end the stream early."""
    DETECT = "detect"
    """At once; findings are only recorded."""


class Detector(Model):
    """One detector's threshold and action."""

    action: Action = Action.BLOCK
    threshold: Score = 0.5
    """The score from which the action is taken."""


class InputDetectors(Model):
    """Detectors of the input gate."""

    prompt_injection: Detector = Detector()
    """Attempts to override or leak the instructions, in any view of the text."""


class OutputDetectors(Model):
    """Detectors of the output gate."""

    citations: Detector = Detector()
    """`[n]` marks that name no passage."""
    groundedness: Detector = Detector(action=Action.FLAG, threshold=0.5)
    """Claims that the cited passages do not carry. The score is the share that is unsupported."""
    leakage: Detector = Detector()
    """Instructions or chat markup of the prompt appearing in the answer."""


class GuardrailPolicySpec(Model):
    """What both gates do."""

    input: InputDetectors = InputDetectors()
    output: OutputDetectors = OutputDetectors()
    documents: Detector = Detector(action=Action.FLAG)
    """Retrieved passages that try to instruct the model."""
    streaming: StreamingMode = StreamingMode.WITHHOLD
    block_message: Annotated[str, Field(max_length=1024)] = ""
    """What the caller reads when a gate blocks; a message that names the reason when empty."""
    max_input_characters: Annotated[int, Field(ge=1, le=4_000_000)] = 200_000
    """Longer input is refused, since it could not be scanned whole."""


class GuardrailPolicy(SluiceObject):
    """Detectors with thresholds and actions for both gates."""

    KIND: ClassVar[str] = "GuardrailPolicy"
    SHORT_NAME: ClassVar[str] = "grp"
    PLURAL: ClassVar[str] = "guardrailpolicies"

    spec: GuardrailPolicySpec = GuardrailPolicySpec()
