"""`adapter_config.json` as PEFT writes it: what of it vLLM takes, and what it would leave out without a word."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Self

from sluice_inference.adapter_agent.reasons import Reason, failure

#: A key of `rank_pattern` that is a name. PEFT takes regular expressions too; those of others are not run here.
_NAME: Final = re.compile(r"[A-Za-z0-9_.]+")

#: What changes the answer and vLLM either refuses or does not read. A value that counts as false is as good as none.
_UNSUPPORTED: Final = (
    "use_dora",
    "modules_to_save",
    "lora_bias",
    "layer_replication",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "use_qalora",
)


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """An adapter as its configuration describes it."""

    rank: int
    alpha: float
    rank_stabilized: bool
    base_model: str
    """Empty where it names none."""
    target_modules: tuple[str, ...]
    """Names, or one regular expression."""
    transposed: bool
    """The base's weights are stored as (in, out)."""
    ranks: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """By module, where it is not `rank`."""
    alphas: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """By module, where it is not `alpha`."""

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """The configuration in a file.

        Raises:
            ServiceError: it cannot be read (`CONFIG_INVALID`), or asks for what vLLM does not do
                (`UNSUPPORTED_ADAPTER`).
        """
        found = _object(content)
        kind = found.get("peft_type", "LORA")
        if kind != "LORA":
            raise failure(
                Reason.UNSUPPORTED_ADAPTER, f"the adapter is of the kind {_short(kind)}; vLLM loads LORA"
            )
        for name in _UNSUPPORTED:
            if found.get(name):
                raise failure(
                    Reason.UNSUPPORTED_ADAPTER,
                    f"vLLM does not do what {name} asks for; train the adapter without it",
                )
        if found.get("bias", "none") != "none":
            raise failure(
                Reason.UNSUPPORTED_ADAPTER, "vLLM loads no biases; train the adapter with bias: none"
            )
        return cls(
            rank=_rank(found, "r"),
            alpha=_number(found.get("lora_alpha"), "lora_alpha"),
            rank_stabilized=found.get("use_rslora") is True,
            base_model=_text(found, "base_model_name_or_path"),
            target_modules=_targets(found),
            transposed=found.get("fan_in_fan_out") is True,
            ranks={
                name: _rank(_pattern(found, "rank_pattern"), name) for name in _pattern(found, "rank_pattern")
            },
            alphas={
                name: _number(value, "alpha_pattern")
                for name, value in _pattern(found, "alpha_pattern").items()
            },
        )

    @property
    def largest_rank(self) -> int:
        """Of all modules."""
        return max(self.rank, *self.ranks.values()) if self.ranks else self.rank

    @property
    def unread_patterns(self) -> tuple[str, ...]:
        """Keys of `rank_pattern` and `alpha_pattern` that are expressions rather than names."""
        return tuple(key for key in {**self.ranks, **self.alphas} if not _NAME.fullmatch(key))

    def rank_of(self, module: str) -> int:
        """The rank that a module should have."""
        return int(_of(self.ranks, module, self.rank))

    def is_scaled_as_vllm_does(self, module: str) -> bool:
        """False where the module was trained with another scale than the adapter's, which is the one vLLM reads."""
        own = self._scale(_of(self.alphas, module, self.alpha), self.rank_of(module))
        return math.isclose(own, self._scale(self.alpha, self.rank))

    def _scale(self, alpha: float, rank: int) -> float:
        return alpha / (math.sqrt(rank) if self.rank_stabilized else rank)


def _of(pattern: Mapping[str, Any], module: str, otherwise: Any) -> Any:
    for key, value in pattern.items():  # as PEFT: the first that is the module's name or its end
        if module == key or module.endswith(f".{key}"):
            return value
    return otherwise


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise failure(Reason.CONFIG_INVALID, "adapter_config.json is no JSON object")
    return found


def _rank(found: Mapping[str, Any], name: str) -> int:
    rank = found.get(name)
    if type(rank) is not int or not 0 < rank < 1 << 16:
        raise failure(Reason.CONFIG_INVALID, f"adapter_config.json has no rank {_short(name)} above 0")
    return rank


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise failure(Reason.CONFIG_INVALID, f"adapter_config.json: {name} is no number")
    return float(value)


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name) or ""
    if not isinstance(value, str):
        raise failure(Reason.CONFIG_INVALID, f"adapter_config.json: {name} is no text")
    return value[:512]


def _targets(found: Mapping[str, Any]) -> tuple[str, ...]:
    targets = found.get("target_modules")
    if isinstance(targets, str):
        return (targets,)
    if not isinstance(targets, list) or not all(isinstance(each, str) for each in targets):
        raise failure(Reason.CONFIG_INVALID, "adapter_config.json names no target_modules")
    return tuple(targets)


def _pattern(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    pattern = found.get(name) or {}
    if not isinstance(pattern, dict):
        raise failure(Reason.CONFIG_INVALID, f"adapter_config.json: {name} maps no names")
    return pattern


def _short(value: object) -> str:
    return repr(str(value)[:80])
