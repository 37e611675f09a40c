"""Whether an adapter fits the base model and vLLM's limits: refused with a reason, or taken with what is to be told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from sluice_inference.adapter_agent.checking.adapter_config import AdapterConfig
from sluice_inference.adapter_agent.checking.base_model import BaseModel
from sluice_inference.adapter_agent.checking.pairs import Pair
from sluice_inference.adapter_agent.reasons import Reason, failure

#: How many modules a message names.
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class AdapterWarning:
    """What a person should know about an adapter that was taken all the same."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What an adapter is held to."""

    max_rank: int
    """vLLM's `--max-lora-rank`."""
    base_models: tuple[str, ...] = ()
    """Names of the base model, with `*` for any part; not checked where there are none."""
    rank: int = 0
    """The rank it must have; any where 0."""
    strict: bool = False
    """Refuse what cannot be checked."""


@dataclass(frozen=True, slots=True)
class Checked:
    """An adapter that may be loaded."""

    rank: int
    target_modules: tuple[str, ...]
    warnings: tuple[AdapterWarning, ...]


def check(config: AdapterConfig, pairs: Mapping[str, Pair], base: BaseModel, limits: Limits) -> Checked:
    """An adapter that fits, and what of it could not be checked.

    Raises:
        ServiceError: it does not fit; which reason and which module.
    """
    warnings: list[AdapterWarning] = []
    rank = _rank(config, pairs, limits, warnings)
    _base_model(config, limits, warnings)
    _shapes(config, pairs, base, warnings)
    if limits.strict and warnings:
        raise failure(Reason.UNCHECKED, "; ".join(warning.message for warning in warnings))
    kinds = sorted({module.rpartition(".")[2] for module in pairs})
    return Checked(rank, tuple(kinds), tuple(warnings))


def _rank(
    config: AdapterConfig, pairs: Mapping[str, Pair], limits: Limits, warnings: list[AdapterWarning]
) -> int:
    rank = max(config.largest_rank, *(pair.rank for pair in pairs.values()))
    if rank > limits.max_rank:
        raise failure(
            Reason.RANK_TOO_HIGH,
            f"the adapter has the rank {rank}; the model server takes {limits.max_rank}: raise its maxLoraRank",
        )
    if limits.rank not in (0, rank):
        raise failure(
            Reason.RANK_MISMATCH, f"the adapter has the rank {rank}, and {limits.rank} is asked for"
        )
    if config.expressions:
        message = f"rank_pattern has expressions, {_named(config.expressions)}, which were not compared with the ranks"
        warnings.append(AdapterWarning("RANKS_UNCHECKED", message))
        return rank
    for module, pair in pairs.items():
        if pair.rank != config.rank_of(module):
            raise failure(
                Reason.RANK_MISMATCH,
                f"{module} has the rank {pair.rank}; adapter_config.json says {config.rank_of(module)}",
            )
    return rank


def _base_model(config: AdapterConfig, limits: Limits, warnings: list[AdapterWarning]) -> None:
    if not config.base_model:
        warnings.append(
            AdapterWarning("BASE_MODEL_UNCHECKED", "adapter_config.json does not name its base model")
        )
    elif not limits.base_models:
        message = (
            f"the adapter names the base model {config.base_model!r}; the agent was told none to compare"
        )
        warnings.append(AdapterWarning("BASE_MODEL_UNCHECKED", message))
    elif not any(_is(config.base_model, name) for name in limits.base_models):
        raise failure(
            Reason.BASE_MODEL_MISMATCH,
            f"the adapter was trained on {config.base_model!r}; this server has {', '.join(limits.base_models)}",
        )


def _is(model: str, name: str) -> bool:
    """The same whole name, or the same last part where one of the two is a path."""
    model, name = model.rstrip("/").lower(), name.rstrip("/").lower()
    if model.startswith(("/", ".")) or name.startswith(("/", ".")):
        model, name = model.rpartition("/")[2], name.rpartition("/")[2]
    return fnmatchcase(model, name)


def _shapes(
    config: AdapterConfig, pairs: Mapping[str, Pair], base: BaseModel, warnings: list[AdapterWarning]
) -> None:
    unknown = []
    for module, pair in pairs.items():
        found = base.look_up(module)
        if found.absent:
            raise failure(Reason.MODULE_UNKNOWN, f"the base model has no module {module}")
        if found.shape is None:
            unknown.append(module)
            continue
        is_embedding = module.endswith("embed_tokens")
        outputs, inputs = found.shape[::-1] if config.transposed or is_embedding else found.shape
        if (pair.outputs, pair.inputs) != (outputs, inputs):
            raise failure(
                Reason.SHAPE_MISMATCH,
                f"{module} is {pair.outputs} × {pair.inputs} in the adapter and {outputs} × {inputs} in the base "
                "model: it was trained on another model",
            )
    if unknown:
        message = f"the shapes of {_named(unknown)} could not be compared with the base model's"
        warnings.append(AdapterWarning("SHAPES_UNCHECKED", message))


def _named(modules: Sequence[str]) -> str:
    named = ", ".join(module[:200] for module in modules[:_NAMED])
    return f"{named} and {len(modules) - _NAMED} more" if len(modules) > _NAMED else named
