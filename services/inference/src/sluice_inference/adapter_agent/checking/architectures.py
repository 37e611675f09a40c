"""Shapes of a base model's modules by its `config.json`, for architectures whose modules are known.

Fields and names are those of `transformers`: https://huggingface.co/docs/transformers/model_doc/llama and its like.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

#: Out, in.
Shape = tuple[int, int]

#: `model_type`s with Llama's modules: q, k, v, o, gate, up and down projections, all of them plain.
_LIKE_LLAMA: Final = frozenset(
    {
        "gemma",
        "gemma2",
        "gemma3_text",
        "granite",
        "llama",
        "mistral",
        "mixtral",
        "olmo2",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_moe",
        "smollm3",
    }
)
#: With `qkv_proj` and `gate_up_proj` in one.
_LIKE_PHI3: Final = frozenset({"phi3"})

_LAYER: Final = re.compile(r"(?:.*\.)?layers\.(\d+)\.(self_attn|mlp)\.(\w+)")
_EXPERTS: Final = ("num_local_experts", "num_experts", "n_routed_experts")


@dataclass(frozen=True, slots=True)
class Architecture:
    """A base model's sizes."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    """Fewer than `heads` where several share keys and values (GQA)."""
    head: int
    intermediate: int
    vocabulary: int
    fused: bool
    experts: bool
    """Its MLPs are experts, whose shapes are not told by these sizes."""

    def shape_of(self, module: str) -> Shape | None:
        """A module's shape; None where these sizes do not tell it."""
        leaf = module.rpartition(".")[2]
        if leaf in ("embed_tokens", "lm_head"):
            return self.vocabulary, self.hidden
        if not (found := _LAYER.fullmatch(module)) or int(found[1]) >= self.layers:
            return None
        if found[2] == "self_attn":
            return self._attention().get(leaf)
        return None if self.experts else self._mlp().get(leaf)

    def _attention(self) -> dict[str, Shape]:
        queries, keys = self.heads * self.head, self.kv_heads * self.head
        o_proj = {"o_proj": (self.hidden, queries)}
        if self.fused:
            return o_proj | {"qkv_proj": (queries + 2 * keys, self.hidden)}
        return o_proj | {
            "q_proj": (queries, self.hidden),
            "k_proj": (keys, self.hidden),
            "v_proj": (keys, self.hidden),
        }

    def _mlp(self) -> dict[str, Shape]:
        down = {"down_proj": (self.hidden, self.intermediate)}
        if self.fused:
            return down | {"gate_up_proj": (2 * self.intermediate, self.hidden)}
        up = (self.intermediate, self.hidden)
        return down | {"gate_proj": up, "up_proj": up}


def read(config: Mapping[str, Any]) -> Architecture | None:
    """The sizes in a `config.json`; None where the architecture is not known, or a size is missing."""
    text = config.get("text_config")
    if isinstance(text, Mapping):  # of a model that also sees: the language model is a part of it
        config = text
    kind = config.get("model_type")
    if kind not in _LIKE_LLAMA | _LIKE_PHI3:
        return None
    names = (
        "num_hidden_layers",
        "hidden_size",
        "num_attention_heads",
        "intermediate_size",
        "vocab_size",
    )
    sizes = [config.get(name) for name in names]
    if not all(type(size) is int and size > 0 for size in sizes):
        return None
    layers, hidden, heads, intermediate, vocabulary = (int(size or 0) for size in sizes)
    return Architecture(
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=_positive(config.get("num_key_value_heads"), heads),
        head=_positive(config.get("head_dim"), hidden // heads),
        intermediate=intermediate,
        vocabulary=vocabulary,
        fused=kind in _LIKE_PHI3,
        experts=any(config.get(name) for name in _EXPERTS),
    )


def _positive(value: Any, otherwise: int) -> int:
    return value if type(value) is int and value > 0 else otherwise
