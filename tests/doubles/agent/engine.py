"""The vLLM beside the agent, as far as the agent asks it: names, the folders they stand for, and memory's slots."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass
class Engine:
    """One engine. Reads one adapter at a time, as vLLM does."""

    model: str = "tiny"
    max_cpu_loras: int = 16
    load_seconds: float = 0.0
    loaded: dict[str, str] = field(default_factory=dict)
    """The folder of each name that is listed."""
    most: int = 0
    """Names that were ever listed together."""
    evicted: int = 0
    """Times that memory had no slot and dropped an adapter: one that is needed again is read from its folder."""
    loads: list[str] = field(default_factory=list)
    """Names in the order in which they were loaded, over all restarts."""
    _memory: OrderedDict[str, None] = field(default_factory=OrderedDict)
    _busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    _boots: int = 0

    async def load(self, name: str, path: str, more_seconds: float = 0.0) -> bool:
        """Takes an adapter; false where it restarted meanwhile."""
        async with self._busy:
            boot = self._boots
            await asyncio.sleep(self.load_seconds + more_seconds)
            if boot != self._boots:
                return False
            self.put(name, path)
            self.loads.append(name)
            return True

    def put(self, name: str, path: str) -> None:
        """Takes an adapter that somebody else loads."""
        if name not in self._memory and len(self._memory) >= self.max_cpu_loras:
            self._memory.popitem(last=False)
            self.evicted += 1
        self._memory[name] = None
        self._memory.move_to_end(name)
        self.loaded[name] = path
        self.most = max(self.most, len(self.loaded))

    def unload(self, name: str) -> None:
        """Takes a name away; memory keeps the adapter until others push it out."""
        self.loaded.pop(name, None)
        if name in self._memory:
            self._memory.move_to_end(name, last=False)

    def restart(self) -> None:
        """Comes back with nothing."""
        self._boots += 1
        self.loaded.clear()
        self._memory.clear()
