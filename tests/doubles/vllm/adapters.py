"""Adapters: the names that the API serves, and what the engine behind it holds. Both as vLLM 0.32 keeps them.

An unload takes the name away and no more: the engine keeps the adapter until others push it out.
"""

import hashlib
import json
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from doubles.vllm import errors


@dataclass(frozen=True, slots=True)
class Adapter:
    """What a name stands for."""

    name: str
    number: int
    """Kept where the name is loaded again in place, else new."""
    path: str
    weights: str
    """Tells one adapter's answers from another's."""
    in_place: bool = False


#: What reads an adapter: its name and folder to its weights.
Reader = Callable[[str, str], str]


def reading(max_rank: int) -> Reader:
    """Reads folders as vLLM does: looks at the rank and whether the file can be read, not at the shapes."""

    def read(name: str, path: str) -> str:
        folder = Path(path)
        configuration, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
        if not configuration.is_file() or not weights.is_file():
            raise errors.no_adapter(name, path)
        rank = json.loads(configuration.read_text())["r"]
        if rank > max_rank:
            raise errors.load_failed(f"LoRA rank {rank} is greater than max_lora_rank {max_rank}.")
        content = weights.read_bytes()
        (header,) = struct.unpack("<Q", content[:8].ljust(8, b"\x00"))
        if header > 100_000_000:
            raise errors.load_failed("Error while deserializing header: header too large")
        if header > len(content) - 8:
            raise errors.load_failed("Error while deserializing header: invalid header length")
        return hashlib.sha256(content).hexdigest()

    return read


def believing(_name: str, path: str) -> str:
    """Takes any folder, there or not: its path stands for its weights."""
    return path


class Place(StrEnum):
    """Where an adapter was when a batch needed it."""

    SLOT = "slot"
    MEMORY = "memory"
    FOLDER = "folder"


class Held:
    """What the engine holds: adapters in slots, and in memory, each the least recently used first to go.

    Args:
        slots: `max_loras`.
        memory: `max_cpu_loras`; what is in a slot is in memory too.
    """

    def __init__(self, slots: int, memory: int) -> None:
        self._most_slots = slots
        self._most_memory = max(memory, slots)
        self.slots: OrderedDict[int, None] = OrderedDict()
        self.memory: OrderedDict[int, None] = OrderedDict()

    def where(self, number: int) -> Place:
        """Where it is now."""
        if number not in self.memory:
            return Place.FOLDER
        return Place.SLOT if number in self.slots else Place.MEMORY

    def use(self, number: int) -> None:
        """Brings it into a slot, at the cost of others."""
        if number not in self.memory and len(self.memory) >= self._most_memory:
            oldest, _ = self.memory.popitem(last=False)
            self.slots.pop(oldest, None)
        self.memory[number] = None
        self.memory.move_to_end(number)
        if number not in self.slots and len(self.slots) >= self._most_slots:
            self.slots.popitem(last=False)
        self.slots[number] = None
        self.slots.move_to_end(number)

    def drop(self, number: int) -> None:
        """Forgets it: it is about to be read again."""
        self.memory.pop(number, None)
        self.slots.pop(number, None)
