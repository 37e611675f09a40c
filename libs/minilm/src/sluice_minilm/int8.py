"""The built-in model on 8-bit integers, where the processor multiplies them fast and exactly.

The packaged graph turns its 8-bit weights into floats before it multiplies. Ours (`tools/build_encoder_graph.py`) holds
no weights; it names their places in the package's file, and multiplies them as they are.
"""

import hashlib
from pathlib import Path

import onnxruntime

from sluice_minilm.tokenizing import ASSETS

GRAPH = ASSETS / "minilm_int8.onnx"

#: SHA-256 of the model file whose weights the graph names by their places.
WEIGHTS = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"

#: Without these, products of bytes are added in 16 bits and cut off where they do not fit.
_EXACT = frozenset({"avx512_vnni", "avx_vnni"})


def session(
    model: Path, content: bytes, options: onnxruntime.SessionOptions, cpu: Path = Path("/proc/cpuinfo")
) -> onnxruntime.InferenceSession:
    """The model on 8-bit integers where that is possible, else as it is packaged.

    Args:
        model: The packaged model.
        content: What the file holds.
        options: For the session.
        cpu: Where Linux tells what the processor can do.
    """
    if not is_exact(cpu) or hashlib.sha256(content).hexdigest() != WEIGHTS:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    options.add_session_config_entry(
        "session.model_external_initializers_file_folder_path", str(model.parent)
    )
    return onnxruntime.InferenceSession(GRAPH.read_bytes(), options, providers=["CPUExecutionProvider"])


def is_exact(cpu: Path) -> bool:
    """True where the processor adds products of bytes in 32 bits."""
    try:
        lines = cpu.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not _EXACT.isdisjoint(flags.split())
