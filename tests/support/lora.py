"""Small adapters and base models, as PEFT and `transformers` write them; zeros stand for weights."""

import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Shapes = Mapping[str, tuple[int, ...]]

HIDDEN, INTERMEDIATE, HEADS, KV_HEADS, HEAD, VOCABULARY, LAYERS = 16, 32, 4, 2, 4, 64, 2

#: Of a tiny Llama whose heads share keys and values.
BASE_CONFIG = {
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": INTERMEDIATE,
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "num_hidden_layers": LAYERS,
    "vocab_size": VOCABULARY,
    "tie_word_embeddings": True,
}

#: Out, in; of the modules that adapters change most.
MODULES = {
    "self_attn.q_proj": (HEADS * HEAD, HIDDEN),
    "self_attn.k_proj": (KV_HEADS * HEAD, HIDDEN),
    "self_attn.v_proj": (KV_HEADS * HEAD, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HEADS * HEAD),
    "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
    "mlp.up_proj": (INTERMEDIATE, HIDDEN),
    "mlp.down_proj": (HIDDEN, INTERMEDIATE),
}


def safetensors(shapes: Shapes, fill: int = 0, dtype: str = "BF16", width: int = 2) -> bytes:
    """A file with tensors of these shapes; `fill` tells one's bytes from another's."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, shape in shapes.items():
        size = width
        for length in shape:
            size *= length
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes([fill]) * at


def adapter_shapes(
    rank: int = 4, modules: Mapping[str, tuple[int, int]] = MODULES, layers: int = LAYERS
) -> dict[str, tuple[int, ...]]:
    """The tensors of an adapter for these modules of every layer."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(layers):
        for module, (outputs, inputs) in modules.items():
            name = f"base_model.model.model.layers.{layer}.{module}"
            shapes[f"{name}.lora_A.weight"] = (rank, inputs)
            shapes[f"{name}.lora_B.weight"] = (outputs, rank)
    return shapes


def config(**fields: Any) -> bytes:
    """`adapter_config.json`."""
    return json.dumps(
        {
            "peft_type": "LORA",
            "base_model_name_or_path": "example/tiny",
            "r": 4,
            "lora_alpha": 8,
            "target_modules": ["q_proj", "v_proj"],
            "bias": "none",
            "modules_to_save": None,
            "use_dora": False,
            "task_type": "CAUSAL_LM",
            **fields,
        }
    ).encode()


def adapter(rank: int = 4, fill: int = 0, **fields: Any) -> dict[str, bytes]:
    """Both files of an adapter that fits the base model."""
    return {
        "adapter_config.json": config(r=rank, **fields),
        "adapter_model.safetensors": safetensors(adapter_shapes(rank), fill),
    }


def digest(content: bytes) -> str:
    """As Sluice writes digests."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def weights_digest(files: Mapping[str, bytes]) -> str:
    """The digest that an adapter goes by."""
    return digest(files["adapter_model.safetensors"])


def written(folder: Path, files: Mapping[str, bytes]) -> Path:
    """The files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def tar(files: Mapping[str, bytes], mode: str = "w:gz", folder: str = "adapter/") -> bytes:
    """The files in an archive."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(folder + name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def base_weights() -> dict[str, tuple[int, ...]]:
    """The tensors of the base model."""
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, HIDDEN),
        "model.norm.weight": (HIDDEN,),
    }
    for layer in range(LAYERS):
        for module, shape in MODULES.items():
            shapes[f"model.layers.{layer}.{module}.weight"] = shape
    return shapes


def base_model(folder: Path, *, weights: bool = True, sharded: bool = False, **fields: Any) -> Path:
    """A base model's folder."""
    written(folder, {"config.json": json.dumps({**BASE_CONFIG, **fields}).encode()})
    if not weights:
        return folder
    shapes = list(base_weights().items())
    if not sharded:
        return written(folder, {"model.safetensors": safetensors(dict(shapes))})
    halves = {"model-1-of-2.safetensors": dict(shapes[:5]), "model-2-of-2.safetensors": dict(shapes[5:])}
    index = {"weight_map": {name: file for file, names in halves.items() for name in names}}
    files = {file: safetensors(names) for file, names in halves.items()}
    return written(folder, {**files, "model.safetensors.index.json": json.dumps(index).encode()})
