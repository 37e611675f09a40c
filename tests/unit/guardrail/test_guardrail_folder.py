"""Classifiers in folders: a real ONNX model, what it says of texts of any length, and what is wrong with a folder."""

import gc
import json
import math
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import ValidationError

from sluice_api.objects.guardrail_policy import (
    GuardrailPolicySpec,
    InputDetectors,
    OnnxClassifier,
    PromptInjectionDetector,
)
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.classifying import labels
from sluice_guardrail.domain.classifying.choosing import Classifiers
from sluice_guardrail.domain.classifying.classifier import Classifier
from sluice_guardrail.domain.classifying.onnx_folder import FolderModels, scale
from sluice_guardrail.domain.model import Channel, Decision, Segment, Verdict
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.screening import Screener
from sluice_servicekit.errors import FailedPrecondition
from support.classifying import BAD, GOOD, CountingClassifier, folder

RULES = all_rules()
Role = OnnxClassifier.Role


def _spec(path: Path, **more: object) -> OnnxClassifier:
    return OnnxClassifier(path=str(path), max_tokens=more.pop("max_tokens", 32), **more)


def _screen(text: str, spec: OnnxClassifier, built_in: Classifier | None) -> Verdict:
    injection = PromptInjectionDetector(classifier=spec)
    patient = GuardrailPolicySpec.model_validate(
        {"budget": "60s", "input": InputDetectors(prompt_injection=injection)}
    )
    policy = Policy("p", "v", patient)
    return Screener(policy, Parts(RULES, classifiers=Classifiers(built_in))).screen_input(
        [Segment(Channel.USER, "user", text)]
    )


def test_probabilities_are_scores_where_nothing_is_calibrated(tmp_path: Path):
    classifier = FolderModels().classifier(_spec(folder(tmp_path)), Channel.USER)
    bad, good = classifier.scores([f"{GOOD} {BAD}", GOOD], Channel.USER)
    assert bad > 0.5 > 0.1 > good > 0
    assert classifier.threshold_set == "uncalibrated"
    assert classifier.scores([], Channel.USER) == []


@pytest.mark.parametrize(("one_in_hundred", "one_in_thousand"), [(0.006, 0.5), (0.99, 0.999998), (0.1, 0.2)])
def test_calibration_puts_its_two_shares_on_the_common_scale(one_in_hundred: float, one_in_thousand: float):
    def score(probability: float) -> float:
        [found] = scale(one_in_hundred, one_in_thousand).scores([math.log(probability / (1 - probability))])
        return found

    assert score(one_in_hundred) == pytest.approx(0.3, abs=1e-6)
    assert score(one_in_thousand) == pytest.approx(0.5, abs=1e-6)
    between = [one_in_hundred + (one_in_thousand - one_in_hundred) * step / 10 for step in range(11)]
    scores = [score(probability) for probability in (one_in_hundred / 10, *between, (1 + between[-1]) / 2)]
    assert scores == sorted(set(scores))


def test_calibration_is_the_channels_own(tmp_path: Path):
    spec = _spec(folder(tmp_path), calibration={"*": (0.9, 0.95), "document": (0.01, 0.02)})
    models = FolderModels()
    of_user = models.classifier(spec, Channel.USER).scores([BAD], Channel.USER)
    of_document = models.classifier(spec, Channel.DOCUMENT).scores([BAD], Channel.DOCUMENT)
    assert of_user[0] < 0.5 < of_document[0]


@pytest.mark.parametrize(
    "calibration", [{"users": (0.1, 0.2)}, {"*": (0.5, 0.4)}, {"*": (-0.1, 0.4)}, {"*": (0.1, 1.5)}]
)
def test_calibration_that_cannot_be_is_refused(calibration: dict[str, tuple[float, float]]):
    with pytest.raises(ValidationError, match="calibration"):
        OnnxClassifier(path="x", calibration=calibration)


@pytest.mark.parametrize("channel", [Channel.USER, Channel.DOCUMENT])
def test_windows_cover_a_text_of_any_length(tmp_path: Path, channel: Channel):
    classifier = FolderModels().classifier(_spec(folder(tmp_path), max_tokens=200), channel)
    text = " ".join([GOOD] * 1000)
    found = classifier.windows(text)
    assert found[0].start == 0
    assert found[-1].end == len(text)
    for one, following in pairwise(found):
        assert one.start < following.start <= one.end
    assert len(text[found[0].start : found[0].end].split()) == (126 if channel is Channel.USER else 198)
    assert classifier.windows("") == []


def test_what_is_longer_than_the_model_reads_is_read_in_parts(tmp_path: Path):
    classifier = FolderModels().classifier(_spec(folder(tmp_path)), Channel.USER)
    long = " ".join([GOOD] * 100 + [BAD])
    assert classifier.scores([long], Channel.USER)[0] > 0.5


def test_several_attack_labels_add_up_and_named_ones_count(tmp_path: Path):
    path = folder(tmp_path, ("BENIGN", "JAILBREAK", "INJECTION"))
    models = FolderModels()
    both, one = (
        models.classifier(_spec(path, attack_labels=named), Channel.USER).scores([GOOD], Channel.USER)[0]
        for named in ((), ("INJECTION",))
    )
    assert both > one


def test_one_output_is_a_logit_of_its_own(tmp_path: Path):
    classifier = FolderModels().classifier(_spec(folder(tmp_path, ("INJECTION",))), Channel.USER)
    bad, good = classifier.scores([BAD, GOOD], Channel.USER)
    assert bad > 0.5 > good


@pytest.mark.parametrize(
    ("given", "named", "attacks"),
    [
        (("SAFE", "INJECTION"), (), (1,)),
        (("benign", "injection", "jailbreak"), (), (1, 2)),
        (("NO_INJECTION", "INJECTION"), (), (1,)),
        (("LABEL_0", "LABEL_1"), ("LABEL_1",), (1,)),
    ],
)
def test_labels_tell_what_is_an_attack(given: tuple[str, ...], named: tuple[str, ...], attacks: tuple[int]):
    assert labels.attacks(dict(enumerate(given)), named) == attacks


@pytest.mark.parametrize(
    ("given", "named"), [(("LABEL_0", "LABEL_1"), ()), (("SAFE",), ()), (("SAFE", "INJECTION"), ("OTHER",))]
)
def test_labels_that_do_not_tell_are_refused(given: tuple[str, ...], named: tuple[str, ...]):
    with pytest.raises(ValueError, match="label"):
        labels.attacks(dict(enumerate(given)), named)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (shutil.rmtree, "CLASSIFIER_MISSING"),
        (lambda path: (path / "model.onnx").unlink(), "CLASSIFIER_MISSING"),
        (lambda path: (path / "model.onnx").write_bytes(b"no model"), "CLASSIFIER_UNFIT"),
        (lambda path: (path / "tokenizer.json").unlink(), "CLASSIFIER_UNFIT"),
        (lambda path: (path / "tokenizer.json").write_text("{}"), "CLASSIFIER_UNFIT"),
        (lambda path: (path / "config.json").unlink(), "CLASSIFIER_UNFIT"),
        (lambda path: (path / "config.json").write_text("[]"), "CLASSIFIER_UNFIT"),
        (lambda path: (path / "config.json").write_text("{}"), "CLASSIFIER_UNFIT"),
        (
            lambda path: (path / "config.json").write_text(json.dumps({"id2label": {"a": "SAFE"}})),
            "CLASSIFIER_UNFIT",
        ),
        (lambda path: folder(path, ("LABEL_0", "LABEL_1")), "CLASSIFIER_UNFIT"),
        (lambda path: folder(path, ("JAILBREAK", "INJECTION")), "CLASSIFIER_UNFIT"),
        (
            lambda path: (path / "config.json").write_text(
                json.dumps({"id2label": {"0": "SAFE", "1": "INJECTION", "2": "ATTACK"}})
            ),
            "CLASSIFIER_UNFIT",
        ),
    ],
)
def test_a_folder_that_lacks_something_says_so(tmp_path: Path, spoil, reason: str):
    path = folder(tmp_path / "model")
    spoil(path)
    with pytest.raises(FailedPrecondition) as raised:
        FolderModels().classifier(_spec(path), Channel.USER)
    assert raised.value.reason == reason
    assert str(path) in raised.value.message


def test_a_model_is_loaded_once_and_let_go(tmp_path: Path):
    models, spec = FolderModels(), _spec(folder(tmp_path))
    one, other = models.classifier(spec, Channel.USER), models.classifier(spec, Channel.DOCUMENT)
    assert one._model is other._model
    (tmp_path / "model.onnx").write_bytes((tmp_path / "model.onnx").read_bytes())
    assert models.classifier(spec, Channel.USER)._model is not one._model  # another file lies there
    del one, other
    gc.collect()
    assert not models._loaded


def test_in_the_built_in_ones_place_it_decides_everything(tmp_path: Path):
    built_in = CountingClassifier({"word": 0.9})
    spec = _spec(folder(tmp_path), role=Role.REPLACE)
    assert _screen("word", spec, built_in).decision is Decision.ALLOW
    assert _screen(BAD, spec, built_in).decision is Decision.BLOCK
    assert not built_in.read


@pytest.mark.parametrize(
    ("score", "text", "decision"),
    [
        (0.05, f"word {BAD}", Decision.ALLOW),  # harmless to the first: not asked
        (0.4, f"word {BAD}", Decision.BLOCK),
        (0.4, f"word {GOOD}", Decision.ALLOW),
        (0.8, f"word {GOOD}", Decision.BLOCK),  # clear to the first: not asked
    ],
)
def test_in_the_grey_zone_it_decides(tmp_path: Path, score: float, text: str, decision: Decision):
    assert _screen(text, _spec(folder(tmp_path)), CountingClassifier({"word": score})).decision is decision


def test_without_a_built_in_one_everything_is_grey(tmp_path: Path):
    assert _screen(BAD, _spec(folder(tmp_path)), None).decision is Decision.BLOCK


def test_what_is_no_number_is_no_score(tmp_path: Path):
    spec = _spec(folder(tmp_path, per_word=math.nan), role=Role.REPLACE)
    assert _screen(GOOD, spec, None).decision is Decision.ALLOW
    verdict = _screen(BAD, spec, None)
    assert (verdict.decision, verdict.partial) == (Decision.FLAG, True)


def test_capitals_are_read_as_written_and_disguise_as_folded(tmp_path: Path):
    spec = _spec(folder(tmp_path), role=Role.REPLACE)
    assert _screen(BAD.upper(), spec, None).decision is Decision.ALLOW  # the model knows it as another word
    assert _screen("zor\u200bgle", spec, None).decision is Decision.BLOCK
