"""Classifiers for tests: one that counts words, and a real ONNX model in a folder that does the same."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from sluice_guardrail.domain.model import Channel, Span

#: What the classifiers here take for an attack, and for harmless.
BAD, GOOD = "zorgle", "fine"


@dataclass
class CountingClassifier:
    """Scores a window by the worst word in it; its windows are of so many words, and overlap by half."""

    words: Mapping[str, float] = field(default_factory=lambda: {BAD: 0.9})
    size: int = 8
    seconds: float = 0.0
    """How long a window takes."""
    name: str = "counting"
    version: str = "1"
    threshold_set: str = "test"
    read: list[str] = field(default_factory=list)

    def windows(self, text: str) -> Sequence[Span]:
        """Windows of words."""
        spans, at = [], 0
        for word in text.split():
            at = text.index(word, at)
            spans.append(Span(at, at + len(word)))
            at += len(word)
        firsts = range(0, max(1, len(spans) - self.size // 2), self.size // 2)
        return [
            Span(spans[at].start, spans[min(at + self.size, len(spans)) - 1].end) for at in firsts if spans
        ]

    def scores(self, windows: Sequence[str], channel: Channel, totals: Sequence[int] = ()) -> Sequence[float]:
        """The worst word of each."""
        self.read += windows
        time.sleep(self.seconds * len(windows))
        return [
            max((score for word, score in self.words.items() if word in text), default=0.01)
            for text in windows
        ]


def folder(
    path: Path, labels: Sequence[str] = ("SAFE", "INJECTION"), per_word: float = 4.0, **config: object
) -> Path:
    """A sequence classifier as Hugging Face's tools export it: the attack's logit is `per_word` for each `BAD` within
    the text, less 2, and none for others; case counts.
    """
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", BAD, GOOD, BAD.upper()]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    path.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path / "tokenizer.json"))
    named = {str(index): label for index, label in enumerate(labels)}
    (path / "config.json").write_text(json.dumps({"id2label": named, **config}))
    onnx.save(_model(len(words), len(labels), per_word), path / "model.onnx")
    return path


def _model(words: int, labels: int, per_word: float) -> onnx.ModelProto:
    table = np.zeros((words, labels), np.float32)
    table[4, -1] = per_word
    bias = np.zeros(labels, np.float32)
    bias[-1] = -2.0
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"]),
        helper.make_node("ReduceSum", ["each", "axes"], ["sum"], keepdims=0),
        helper.make_node("Add", ["sum", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "counting",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in ("input_ids",)
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(np.array([1]), "axes"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
