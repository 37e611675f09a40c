"""A real cross-encoder for tests: a folder as Hugging Face's tools export it, whose model adds up words' worth."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

#: What each word of question and passage adds to the logit; any other word adds nothing, and no word leaves it at -2.
WORTH = {"best": 6.0, "good": 4.0, "fair": 2.0, "poor": -2.0}
EMPTY = -2.0

_WIDTH = 8


def folder(
    path: Path,
    *,
    file: str = "model.onnx",
    labels: int = 1,
    outputs: int | None = None,
    external: str = "",
    sequence_output: bool = False,
    **config: object,
) -> Path:
    """Writes the folder.

    Args:
        file: Where in it the model is.
        labels: How many `config.json` names; with two the second one means relevant.
        outputs: How many figures the model gives for each pair, if not as many.
        external: Where the weights are, beside the model's file; in it when empty.
        sequence_output: Whether it gives each token's states, as an encoder does.
        config: What else `config.json` says.
    """
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORTH]
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    (path / file).parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path / "tokenizer.json"))
    said: Mapping[str, object] = {
        "id2label": {str(index): f"LABEL_{index}" for index in range(labels)},
        "max_position_embeddings": 512,
        "pad_token_id": 0,
        "vocab_size": len(words),
        **config,
    }
    (path / "config.json").write_text(json.dumps(said))
    model = _model(len(words), outputs or labels, sequence_output=sequence_output)
    if external:
        (path / file).parent.joinpath(external).parent.mkdir(parents=True, exist_ok=True)
        onnx.save_model(
            model,
            str(path / file),
            save_as_external_data=True,
            location=external,
            size_threshold=60,  # shapes have to be known without it
            convert_attribute=False,
        )
    else:
        onnx.save(model, str(path / file))
    return path


def _model(words: int, outputs: int, *, sequence_output: bool) -> onnx.ModelProto:
    table = np.zeros((words, _WIDTH), np.float32)
    table[4:, 0] = list(WORTH.values())
    weights = np.zeros((_WIDTH, outputs), np.float32)
    weights[0, -1] = 1.0
    bias = np.zeros(outputs, np.float32)
    bias[-1] = EMPTY
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["masks"]),
        helper.make_node("Mul", ["each", "masks"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "middle"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["sum", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["logits"]),
    ]
    shape: list[str | int] = ["batch", outputs]
    if sequence_output:
        nodes, shape = (
            [helper.make_node("Gather", ["table", "input_ids"], ["logits"])],
            ["batch", "n", _WIDTH],
        )
    inputs = ["input_ids"] if sequence_output else ["input_ids", "attention_mask"]
    constants = {
        "table": table,
        "weights": weights,
        "bias": bias,
        "last": np.array([-1]),
        "middle": np.array([1]),
    }
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "adding",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in inputs],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
