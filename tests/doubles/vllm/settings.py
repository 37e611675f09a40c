"""How a double is set up: vLLM's options by their names, and how long its work takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of one server."""

    model: str = "tiny"
    """The base model's served name."""
    max_model_len: int = 1024
    max_num_seqs: int = 256
    """Requests that run at once; the rest wait."""
    max_loras: int = 2
    """GPU slots: adapters of one batch."""
    max_cpu_loras: int = 8
    """Adapters in memory; one that has been dropped is read from its folder again when it is asked for."""
    max_lora_rank: int = 8
    runtime_lora: bool = True
    """Whether adapters can be loaded and unloaded (VLLM_ALLOW_RUNTIME_LORA_UPDATING)."""
    api_key: str = ""
    """Asked for under `/v1` alone, as vLLM does."""
    block_size: int = 16
    num_blocks: int = 4096
    """Of the KV cache."""
    prompt_tokens_details: bool = False
    """Whether usage tells the tokens that the prefix cache had (--enable-prompt-tokens-details)."""
    reasoning_parser: bool = False
    """Whether usage tells what is reasoning apart (--reasoning-parser)."""
    version: str = "0.32.0"

    answer_tokens: int = 16
    """What it writes where the request's own limit is higher."""
    token_seconds: float = 0.0
    """Between one token of an answer and the next."""
    prompt_token_seconds: float = 0.0
    """For each token of the prompt that the prefix cache has not."""
    load_seconds: float = 0.0
    """To read an adapter from its folder; nothing else is written meanwhile."""
    slot_seconds: float = 0.0
    """To bring an adapter from memory into a slot; nothing else is written meanwhile."""
