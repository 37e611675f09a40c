"""The two files of an adapter, as PEFT writes them and vLLM reads them; nothing else of a source is kept."""

from typing import Final

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
BOTH: Final = (CONFIG, WEIGHTS)

#: The same weights as a pickle, which runs code when it is read.
PICKLES: Final = frozenset({"adapter_model.bin", "adapter_model.pt", "adapter_model.pth"})

#: Far more than any configuration needs.
MAX_CONFIG_BYTES: Final = 1 << 20

#: What is read, hashed and written at a time.
PIECE: Final = 1 << 20
