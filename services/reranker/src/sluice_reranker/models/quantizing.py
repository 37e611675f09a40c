"""A model of 32-bit floats into one of 8-bit integers, once."""

import hashlib
import tempfile
from pathlib import Path

from sluice_minilm.int8 import is_exact
from sluice_reranker.models.folder import unfit

#: Changes whenever the same model is to be made otherwise.
_VERSION = "1"

_CPU = Path("/proc/cpuinfo")


def quantized(file: Path, cache: Path) -> Path:
    """The model on 8-bit integers: its weights once and for all, what flows between them by each pair's own range.

    Made once for each model, whole or not at all; of several that make it at once one wins. It takes several times the
    model's size in memory.

    Args:
        file: The model of 32-bit floats.
        cache: A folder for such models.

    Raises:
        FailedPrecondition: it cannot be made.
        OSError: it cannot be written.
    """
    # Where products of bytes are added in 16 bits, weights of 7 bits keep the sum within them.
    narrow = not is_exact(_CPU)
    made = cache / _name(file, narrow=narrow) / "model.onnx"
    if made.is_file():
        return made
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".making-") as folder:
        partial = Path(folder) / "whole"
        partial.mkdir()
        try:
            quantize_dynamic(
                onnx.load(str(file)),  # given a path, it writes beside the model, where it may not
                partial / "model.onnx",
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=narrow,
                use_external_data_format=_is_large(file),
            )
        except Exception as error:  # its errors have no common base
            raise unfit(
                f"{file} cannot be made one of 8-bit integers ({str(error)[:200]}); set crossEncoder.precision to "
                "float32"
            ) from error
        try:
            partial.rename(made.parent)
        except OSError:
            if not made.is_file():  # else another was first
                raise
    return made


def _name(file: Path, *, narrow: bool) -> str:
    whole = hashlib.sha256(f"{_VERSION} {narrow}".encode())
    for each in (file, *_beside(file)):
        with each.open("rb") as content:
            whole.update(hashlib.file_digest(content, "sha256").digest())
    return whole.hexdigest()[:32]


def _beside(file: Path) -> list[Path]:
    """Files that may hold its weights."""
    return sorted(file.parent.glob(f"{file.name}_data*")) + sorted(file.parent.glob(f"{file.name}.data*"))


def _is_large(file: Path) -> bool:
    """True where an ONNX file, which holds 2 GB, could not hold it."""
    return sum(each.stat().st_size for each in (file, *_beside(file))) > 4 << 30
