"""An adapter's tensors, paired by the module that they change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sluice_inference.adapter_agent.checking.safetensors_header import Tensor
from sluice_inference.adapter_agent.reasons import Reason, failure

#: What PEFT puts before every name.
_PREFIX: Final = "base_model.model."
#: Where a module's two matrices are named, as PEFT writes and vLLM reads them.
_ENDS: Final = {
    ".lora_A.weight": "A",
    ".lora_B.weight": "B",
    ".lora_embedding_A": "A",
    ".lora_embedding_B": "B",
}
#: The base's own weights, which PEFT may save along; vLLM passes over them.
_PASSED_OVER: Final = (".embed_tokens.base_layer.weight", ".lm_head.base_layer.weight")
_FLOATS: Final = frozenset({"F16", "BF16", "F32", "F64"})


@dataclass(frozen=True, slots=True)
class Pair:
    """What is added to a module's weights is B · A, scaled."""

    rank: int
    inputs: int
    outputs: int


def pair(tensors: Mapping[str, Tensor]) -> dict[str, Pair]:
    """Pairs by the module's name.

    Raises:
        ServiceError: there are none, a tensor is of another kind (`UNSUPPORTED_ADAPTER`), or two do not fit each
            other (`SHAPE_MISMATCH`).
    """
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.endswith(_PASSED_OVER):
            continue
        module, half = _half(name)
        if tensor.dtype not in _FLOATS or len(tensor.shape) != 2:
            raise failure(Reason.UNSUPPORTED_ADAPTER, f"{name[:200]} is no matrix of floating-point numbers")
        halves.setdefault(module, {})[half] = tensor
    if not halves:
        raise failure(
            Reason.UNSUPPORTED_ADAPTER, "the adapter changes nothing: it holds no lora_A and lora_B"
        )
    return {module: _joined(module, both) for module, both in halves.items()}


def _half(name: str) -> tuple[str, str]:
    for end, half in _ENDS.items():
        if name.endswith(end):
            return name.removeprefix(_PREFIX).removesuffix(end), half
    raise failure(
        Reason.UNSUPPORTED_ADAPTER,
        f"{name[:200]} is a tensor that vLLM does not load: neither lora_A nor lora_B",
    )


def _joined(module: str, both: Mapping[str, Tensor]) -> Pair:
    if both.keys() != {"A", "B"}:
        raise failure(Reason.SHAPE_MISMATCH, f"{module[:200]} has only one of lora_A and lora_B")
    (rank, inputs), (outputs, other) = both["A"].shape, both["B"].shape
    if rank != other or not rank:
        raise failure(
            Reason.SHAPE_MISMATCH,
            f"{module[:200]}: lora_A has the rank {rank}, lora_B {other}; they do not fit",
        )
    return Pair(rank, inputs, outputs)
