"""A model of pairs from a folder: a real ONNX model that counts the words that claim and passage share."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from sluice_api.objects.guardrail_policy import (
    GroundednessDetector,
    GuardrailPolicySpec,
    OnnxClassifier,
    OutputDetectors,
)
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.classifying.onnx_pairs import OnnxPairs, PairModels
from sluice_guardrail.domain.model import Decision
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.domain.texts import Answer
from sluice_servicekit.errors import FailedPrecondition

#: `yes` speaks for entailment, `no` for contradiction; all other words for nothing.
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "yes", "no"]
NLI = ("contradiction", "entailment", "neutral")
LATER = time.monotonic() + 1e6


def _folder(path: Path, labels: Sequence[str] = NLI, **config: object) -> Path:
    """A classifier whose logits are sums over tokens: `yes` gives its entailment 3, `no` its contradiction 3."""
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    path.mkdir()
    tokenizer.save(str(path / "tokenizer.json"))
    named = {str(index): label for index, label in enumerate(labels)}
    (path / "config.json").write_text(json.dumps({"id2label": named, **config}))
    table = np.zeros((len(WORDS), len(labels)), np.float32)
    table[4, min(1, len(labels) - 1)] = 3.0
    table[5, 0] = 3.0 if len(labels) > 1 else -3.0
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "input_ids"], ["each"]),
            helper.make_node("ReduceSum", ["each", "axes"], ["logits"], keepdims=0),
        ],
        "counting",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", len(labels)])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axes")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=10), path / "model.onnx")
    return path


def _model(path: Path, **spec: object) -> OnnxPairs:
    return OnnxPairs(OnnxClassifier(path=str(path), **spec))


def test_the_best_passage_counts(tmp_path: Path):
    model = _model(_folder(tmp_path / "nli"))
    carried, unknown, denied = model.read(
        [("it is", ["what", "yes yes"]), ("it is", ["what", "then"]), ("it is", ["no no", "what"])], LATER
    )
    assert (carried.category, unknown.category, denied.category) == (
        "unsupported",
        "unsupported",
        "contradiction",
    )
    assert carried.value < 0.05 < 0.6 < unknown.value
    assert denied.value > 0.6


def test_a_single_label_ranks(tmp_path: Path):
    model = _model(_folder(tmp_path / "ranker", ["LABEL_0"]))
    good, bad = model.read([("it is", ["yes", "no"]), ("it is", ["no"])], LATER)
    assert good.value < 0.1 < 0.9 < bad.value


def test_all_of_a_long_passage_is_read(tmp_path: Path):
    model = _model(_folder(tmp_path / "nli"), max_tokens=32)
    (score,) = model.read([("it is", [f"{'what ' * 100}yes yes"])], LATER)
    assert score.value < 0.05
    (score,) = model.read([("it is " * 200, ["yes yes"])], LATER)  # nor does a long claim break it
    assert score.value < 0.05


def test_scores_go_by_the_calibration(tmp_path: Path):
    folder = _folder(tmp_path / "nli")
    [plain] = _model(folder).read([("it is", ["what"])], LATER)
    calibrated = _model(folder, calibration={"output": (plain.value, 0.99)})
    [at_one_in_a_hundred] = calibrated.read([("it is", ["what"])], LATER)
    assert at_one_in_a_hundred.value == pytest.approx(0.3)
    [above], [below] = (calibrated.read([("it is", [text])], LATER) for text in ("no no no no", "yes"))
    assert below.value < 0.3 < 0.5 < above.value < 1
    assert (calibrated.threshold_set, _model(folder).threshold_set) == (
        f"{plain.value:g}/0.99",
        "uncalibrated",
    )


def test_what_is_out_of_time_is_not_scored(tmp_path: Path):
    assert _model(_folder(tmp_path / "nli")).read([("it is", ["yes"])], time.monotonic()) == [None]


@pytest.mark.parametrize("labels", [("SAFE", "INJECTION"), ("LABEL_0", "LABEL_1", "LABEL_2")])
def test_labels_that_name_no_entailment_are_refused(tmp_path: Path, labels: Sequence[str]):
    with pytest.raises(FailedPrecondition, match="name no entailment"):
        _model(_folder(tmp_path / "other", labels))


def test_a_folder_without_a_model_is_refused(tmp_path: Path):
    with pytest.raises(FailedPrecondition, match=r"has no model\.onnx"):
        PairModels().load(OnnxClassifier(path=str(tmp_path)))
    (_folder(tmp_path / "broken") / "model.onnx").write_bytes(b"no model")
    with pytest.raises(FailedPrecondition, match="cannot be loaded"):
        _model(tmp_path / "broken")


def test_policies_share_a_folders_model(tmp_path: Path):
    found = PairModels()
    spec = OnnxClassifier(path=str(_folder(tmp_path / "nli")))
    assert (model := found.load(spec)) is found.load(spec)
    assert found.load(spec.model_copy(update={"max_tokens": 64})) is not model


def test_a_policy_has_its_model_judge_claims(tmp_path: Path):
    passages = ("The press is made in Lisbon by Quill, and no no other firm makes it.",)
    text = "The press is made in Lisbon by Quill [1]."

    def decision(**spec: object) -> Decision:
        output = OutputDetectors(groundedness=GroundednessDetector(**spec))
        policy = Policy("p", "v", GuardrailPolicySpec(output=output), ())
        verdict = Screener(policy, Parts(all_rules())).screen_output(Answer("", text, passages))
        report = next(each for each in verdict.reports if each.detector == "groundedness")
        assert ("uncalibrated" in report.threshold_set) == bool(spec)
        return verdict.decision

    assert decision() is Decision.ALLOW
    assert decision(model=OnnxClassifier(path=str(_folder(tmp_path / "nli")))) is Decision.FLAG
