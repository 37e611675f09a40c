"""The shapes of a base model's modules: by the headers of its own weights where they are, else by its `config.json`."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sluice_inference.adapter_agent.checking import architectures, safetensors_header
from sluice_inference.adapter_agent.checking.architectures import Architecture, Shape
from sluice_inference.adapter_agent.checking.safetensors_header import NotSafetensors, Tensor

_INDEX: Final = "model.safetensors.index.json"
_CONFIG: Final = "config.json"
#: What stands before a module's name in one saved form and not in another.
_WRAPPERS: Final = frozenset({"base_model", "language_model", "model"})
#: A matrix that is stored as it is; others are packed by a quantization, and their shapes say little.
_PLAIN: Final = frozenset({"F16", "BF16", "F32", "F64", "F8_E4M3", "F8_E5M2"})
#: A configuration or an index is no larger.
_MOST_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class Lookup:
    """What is known of a module."""

    shape: Shape | None
    """Out, in; None where it is not known."""
    absent: bool = False
    """The base model has no such module."""


@dataclass(frozen=True, slots=True)
class BaseModel:
    """What a folder told of a base model; of none, nothing."""

    shapes: Mapping[str, Shape] = field(default_factory=lambda: MappingProxyType({}))
    """By the module's name without what wraps it."""
    modules: frozenset[str] = frozenset()
    """All that have weights, and what holds those; empty where not all weights are there to be read."""
    architecture: Architecture | None = None

    def look_up(self, module: str) -> Lookup:
        """What is known of a module, by the name that an adapter gives it."""
        name = _unwrapped(module)
        if shape := self.shapes.get(name):
            return Lookup(shape)
        if self.architecture and (derived := self.architecture.shape_of(name)):
            return Lookup(derived)
        return Lookup(None, absent=bool(self.modules) and name not in self.modules)


def read(folder: Path | None) -> BaseModel:
    """What a folder tells; less, down to nothing, where it holds less or is not there yet."""
    if folder is None or not folder.is_dir():
        return BaseModel()
    config = _json(folder / _CONFIG)
    tensors, whole = _tensors(folder)
    shapes = {}
    for name, tensor in tensors.items():
        if name.endswith(".weight") and len(tensor.shape) == 2 and tensor.dtype in _PLAIN:
            shapes[_unwrapped(name.removesuffix(".weight"))] = (tensor.shape[0], tensor.shape[1])
    modules = frozenset(_holders(tensors)) if whole else frozenset()
    if "embed_tokens" in shapes and "lm_head" not in shapes:  # tied: one matrix serves both
        shapes["lm_head"] = shapes["embed_tokens"]
    return BaseModel(shapes, modules, architectures.read(config))


def _holders(tensors: Iterable[str]) -> Iterator[str]:
    """The modules that hold tensors, and those that hold them: experts may be one tensor of the module above."""
    for tensor in tensors:
        parts = _unwrapped(tensor).split(".")
        yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))


def _tensors(folder: Path) -> tuple[dict[str, Tensor], bool]:
    """All that can be read, and whether that is all there is."""
    index = _json(folder / _INDEX).get("weight_map")
    names = set(index.values()) if isinstance(index, dict) else {"model.safetensors"}
    tensors: dict[str, Tensor] = {}
    for name in sorted(map(str, names)):
        try:
            tensors |= safetensors_header.read(folder / Path(name).name)
        except (NotSafetensors, OSError):
            return tensors, False
    return tensors, True


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return {}
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _unwrapped(module: str) -> str:
    parts = module.split(".")
    while len(parts) > 1 and parts[0] in _WRAPPERS:
        del parts[0]
    return ".".join(parts)
