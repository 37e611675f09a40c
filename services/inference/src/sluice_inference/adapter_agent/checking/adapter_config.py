"""`adapter_config.json` as PEFT writes it, and what of it vLLM takes (`vllm/lora/peft_helper.py` of 0.32)."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Self

from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_servicekit.errors import ServiceError

#: A key of `rank_pattern` or `alpha_pattern` that is a name. Both PEFT and vLLM take it for a regular expression;
#: those of others are not run here.
_NAME: Final = re.compile(r"\^?([A-Za-z0-9_.]+)\$?")
#: A group that is repeated: a search may then take longer than anybody waits, and vLLM would make it.
_REPEATED_GROUP: Final = re.compile(r"\)[*+?{]")
_MAX_REPEATS: Final = 4
_MAX_KEY: Final = 256

#: What vLLM refuses, or leaves out. A value that counts as false is as good as none.
_UNSUPPORTED: Final = (
    "use_dora",
    "modules_to_save",
    "lora_bias",
    "layer_replication",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "use_qalora",
    "use_bdlora",
)
#: Ways to begin that leave the base model's weights as they are. Others, such as PiSSA, change them when PEFT loads the
#: adapter, and vLLM does not.
_BEGINNINGS: Final = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """An adapter as its configuration describes it."""

    rank: int
    base_model: str
    """Empty where it names none."""
    target_modules: tuple[str, ...]
    """Names, or one regular expression."""
    transposed: bool
    """The base's weights are stored as (in, out)."""
    ranks: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """By module, where it is not `rank`."""

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """The configuration in a file.

        Raises:
            ServiceError: it cannot be read (`CONFIG_INVALID`), or asks for what vLLM does not do
                (`UNSUPPORTED_ADAPTER`).
        """
        found = _object(content)
        _check_supported(found)
        _number(found.get("lora_alpha"), "lora_alpha")
        for key, alpha in _pattern(found, "alpha_pattern").items():
            _number(alpha, f"the alpha of {_short(key)}")
        ranks = _pattern(found, "rank_pattern")
        return cls(
            rank=_rank(found, "r"),
            base_model=_text(found, "base_model_name_or_path"),
            target_modules=_targets(found),
            transposed=found.get("fan_in_fan_out") is True,
            ranks={key: _rank(ranks, key) for key in ranks},
        )

    @property
    def largest_rank(self) -> int:
        """Of all modules."""
        return max(self.rank, *self.ranks.values()) if self.ranks else self.rank

    @property
    def expressions(self) -> tuple[str, ...]:
        """Keys of `rank_pattern` that are expressions rather than names."""
        return tuple(key for key in self.ranks if not _NAME.fullmatch(key))

    def rank_of(self, module: str) -> int:
        """The rank that a module should have, by the names: the first that is the module's, or its end."""
        for key, rank in self.ranks.items():
            if (name := _NAME.fullmatch(key)) and f".{module}".endswith(f".{name[1]}"):
                return rank
        return self.rank


def _check_supported(found: Mapping[str, Any]) -> None:
    kind = found.get("peft_type", "LORA")
    if kind != "LORA":
        raise _unsupported(f"the adapter is of the kind {_short(kind)}; vLLM loads LORA")
    for name in _UNSUPPORTED:
        if found.get(name):
            raise _unsupported(f"vLLM does not do what {name} asks for; train the adapter without it")
    if found.get("bias", "none") != "none":
        raise _unsupported("vLLM loads no biases; train the adapter with bias: none")
    beginning = found.get("init_lora_weights")
    if isinstance(beginning, str) and beginning.lower() not in _BEGINNINGS:
        raise _unsupported(
            f"init_lora_weights {_short(beginning)} has PEFT change the base model's weights, and vLLM does not; "
            "save the adapter with path_initial_model_for_weight_conversion"
        )


def _unsupported(message: str) -> ServiceError:
    return failure(Reason.UNSUPPORTED_ADAPTER, message)


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


def _number(value: Any, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise failure(Reason.CONFIG_INVALID, f"adapter_config.json: {name} is no number")


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
    for key in pattern:
        repeats = sum(key.count(sign) for sign in "*+?{")
        if len(key) > _MAX_KEY or repeats > _MAX_REPEATS or _REPEATED_GROUP.search(key):
            raise _unsupported(f"{name} has an expression that may take for ever to search: {_short(key)}")
    return pattern


def _short(value: object) -> str:
    return repr(str(value)[:80])
