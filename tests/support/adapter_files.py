"""Folders of LoRA adapters as PEFT writes them, made without torch."""

import json
import struct
from pathlib import Path

import numpy as np

HIDDEN = 128
_WIDTHS = {"q_proj": HIDDEN, "v_proj": HIDDEN // 2}


def write(folder: Path, *, seed: int = 1, rank: int = 8, hidden: int = HIDDEN, layers: int = 2) -> Path:
    """An adapter over the queries and values of a tiny Llama; gives its folder."""
    random = np.random.default_rng(seed)
    tensors = {}
    for layer in range(layers):
        for name, width in _WIDTHS.items():
            of = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{of}.lora_A.weight"] = random.normal(size=(rank, hidden)).astype("<f4")
            tensors[f"{of}.lora_B.weight"] = random.normal(size=(width * hidden // HIDDEN, rank)).astype(
                "<f4"
            )
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(_safetensors(tensors))
    configuration = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "tiny",
        "r": rank,
        "lora_alpha": 16,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": sorted(_WIDTHS),
    }
    (folder / "adapter_config.json").write_text(json.dumps(configuration))
    return folder


def write_all(folder: Path) -> Path:
    """`a1` and `a2`, and under `bad` one of each kind that is wrong; gives the folder."""
    write(folder / "a1", seed=11)
    write(folder / "a2", seed=12)
    write(folder / "bad" / "rank64", rank=64)
    write(folder / "bad" / "shape", hidden=HIDDEN // 2)
    (write(folder / "bad" / "noconfig") / "adapter_config.json").unlink()
    (write(folder / "bad" / "corrupt") / "adapter_model.safetensors").write_bytes(b"\xff" * 64)
    return folder


def _safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    """The format of https://huggingface.co/docs/safetensors: a header's length, the header, the tensors."""
    header, end = {}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    told = json.dumps(header).encode()
    return struct.pack("<Q", len(told)) + told + b"".join(tensor.tobytes() for tensor in tensors.values())
