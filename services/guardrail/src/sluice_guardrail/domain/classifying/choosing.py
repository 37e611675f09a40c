"""Which classifiers a policy has read what."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sluice_api.objects.guardrail_policy import (
    Action,
    Detector,
    GuardrailPolicySpec,
    OnnxClassifier,
    PromptInjectionDetector,
)
from sluice_guardrail.domain.classifying.classifier import Classifier
from sluice_guardrail.domain.classifying.memory import Memory
from sluice_guardrail.domain.classifying.onnx_folder import FolderModels
from sluice_guardrail.domain.classifying.readers import Cascade, FoldedReader, Reader, WrittenReader
from sluice_guardrail.domain.detectors.classifier import ClassifierDetector
from sluice_guardrail.domain.judging import TimedCheck
from sluice_guardrail.domain.model import Channel, Reason
from sluice_guardrail.domain.texts import Text

#: Where a policy says nothing: the score from which what a caller sends is flagged, and where the grey zone begins.
_FLAG = 0.3

#: A classifier from a folder, for a channel.
Load = Callable[[OnnxClassifier, Channel], Classifier]


@dataclass(frozen=True, slots=True)
class Classifiers:
    """The classifiers of a process."""

    built_in: Classifier | None = None
    memory: Memory = field(default_factory=Memory)
    load: Load = field(default_factory=lambda: FolderModels().classifier)
    """Raises `FailedPrecondition` where the folder holds none."""


def classifier_checks(
    spec: GuardrailPolicySpec, classifiers: Classifiers
) -> dict[Channel, tuple[TimedCheck[Text], ...]]:
    """What classifiers read by a policy. Of an answer they read nothing: who writes it attacks nobody."""
    injection = spec.input.prompt_injection
    words = (
        (Channel.USER, _flagging(injection), Reason.PROMPT_INJECTION),
        (Channel.DOCUMENT, spec.documents, Reason.DOCUMENT_INJECTION),
        (Channel.TOOL, spec.tools, Reason.DOCUMENT_INJECTION),
    )
    checks: dict[Channel, tuple[TimedCheck[Text], ...]] = dict.fromkeys(Channel, ())
    for channel, own, reason in words:
        if own.action is Action.ALLOW:
            continue
        reader = _reader(classifiers, injection.classifier, channel, own)
        if reader is not None:
            detector = ClassifierDetector(reader, own, classifiers.memory)
            checks[channel] = (TimedCheck(detector, own, reason, reader.threshold_set),)
    return checks


def _reader(
    classifiers: Classifiers, other: OnnxClassifier | None, channel: Channel, spec: Detector
) -> Reader | None:
    built_in = None if classifiers.built_in is None else FoldedReader(classifiers.built_in)
    if other is None:
        return built_in
    second = WrittenReader(classifiers.load(other, channel))
    if built_in is None or other.role is OnnxClassifier.Role.REPLACE:
        return second
    low = _FLAG if spec.flag_threshold is None else spec.flag_threshold
    return Cascade(built_in, second, (min(low, spec.threshold), spec.threshold))


def _flagging(spec: PromptInjectionDetector) -> PromptInjectionDetector:
    """Rules' scores are no shares of harmless texts, so only a classifier flags below the threshold by itself."""
    if spec.flag_threshold is not None or spec.action is not Action.BLOCK:
        return spec
    return spec.model_copy(update={"flag_threshold": _FLAG})
