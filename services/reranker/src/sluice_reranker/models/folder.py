"""A cross-encoder's files in a folder, as Hugging Face's tools export them: which they are, and whether they fit."""

import json
import math
import mmap
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from sluice_api.objects.ranker import Precision
from sluice_minilm.int8 import is_exact
from sluice_servicekit.errors import FailedPrecondition

#: Models of 32-bit floats.
_FLOAT32 = ("model.onnx", "onnx/model.onnx")
#: Models of 8-bit integers that run anywhere.
_INT8 = (
    "model_quantized.onnx",
    "onnx/model_quantized.onnx",
    "onnx/model_int8.onnx",
    "onnx/model_uint8.onnx",
)
#: Those that sentence-transformers makes for one kind of processor.
_EXACT = ("onnx/model_qint8_avx512_vnni.onnx",)
_ARM = ("onnx/model_qint8_arm64.onnx",)
_AVX2 = ("onnx/model_quint8_avx2.onnx",)

#: Models that count positions from behind the padding token's id.
_SHIFTED = frozenset({"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer"})

#: The key under which a tensor names the file that holds it.
_LOCATION = b"location"

_CPU = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Config:
    """What `config.json` and `tokenizer_config.json` say."""

    outputs: int
    """Figures for each pair: 1, or 2 for irrelevant and relevant."""
    most_tokens: int
    """That the model reads; very large where nothing limits it."""
    vocabulary: int | None
    """Tokens that the model knows; None where it is not said."""
    padding: int
    """The padding token's id."""


def model_file(folder: Path, precision: Precision) -> tuple[Path, bool]:
    """The model, and whether it is yet to be made of 8-bit integers.

    Raises:
        FailedPrecondition: there is none.
    """
    if not folder.is_dir():
        raise FailedPrecondition(
            f"the ranker's folder {folder} is not there; copy the model there, or correct crossEncoder.path",
            reason="RANKER_MISSING",
        )
    if precision is Precision.INT8 and (found := _first(folder, _int8_files())) is not None:
        return found, False
    if (found := _first(folder, _FLOAT32)) is not None:
        return found, precision is Precision.INT8
    if precision is Precision.FLOAT32 and _first(folder, _int8_files()) is not None:
        raise unfit(f"{folder} holds a model of 8-bit integers only; set crossEncoder.precision to int8")
    raise FailedPrecondition(
        f"the ranker's folder {folder} has no {_FLOAT32[0]} or {_FLOAT32[1]}; export the model with "
        "`optimum-cli export onnx --task text-classification`",
        reason="RANKER_MISSING",
    )


def read_config(folder: Path) -> Config:
    """What the folder says of the model.

    Raises:
        FailedPrecondition: it cannot be read, or the model is no cross-encoder.
    """
    config = _json(folder / "config.json")
    outputs = _outputs(config)
    if outputs not in (1, 2):
        raise unfit(
            f"the model in {folder} has {outputs} labels: a cross-encoder that ranks has one, or two for irrelevant "
            "and relevant"
        )
    limits = [_whole(config.get("max_position_embeddings"))]
    padding = _whole(config.get("pad_token_id")) or 0
    if config.get("model_type") in _SHIFTED and limits[0] is not None:
        limits[0] -= padding + 1
    tokenizer_config = folder / "tokenizer_config.json"
    if tokenizer_config.is_file():
        limits.append(_whole(_json(tokenizer_config).get("model_max_length")))
    most = min((limit for limit in limits if limit is not None and limit > 0), default=1 << 30)
    return Config(outputs, most, _whole(config.get("vocab_size")), padding)


def open_tokenizer(folder: Path, config: Config) -> Tokenizer:
    """The tokenizer, which neither pads nor cuts.

    Raises:
        FailedPrecondition: there is none, or it is another model's.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise FailedPrecondition(
            f"the ranker's folder {folder} has no tokenizer.json; save the tokenizer there with transformers' "
            "`save_pretrained`, which writes it for fast tokenizers",
            reason="RANKER_MISSING",
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no other
        raise unfit(f"{path} cannot be read: {str(error)[:300]}") from error
    last = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if config.vocabulary is not None and last >= config.vocabulary:
        raise unfit(
            f"{path} is of another model: it knows tokens up to {last}, the model {config.vocabulary} of them"
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def check_external_data(file: Path) -> None:
    """Looks at the files that hold weights beside the model's own.

    Raises:
        FailedPrecondition: one of them is not there, or lies outside the model's folder; or the model is none.
    """
    with file.open("rb") as content, mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        if whole.find(_LOCATION) < 0:
            return
    import onnx  # takes half a second, and few models need it
    from onnx.external_data_helper import uses_external_data

    try:
        model = onnx.load(str(file), load_external_data=False)
    except Exception as error:  # protobuf's and Python's
        raise unfit(f"{file} is no ONNX model: {type(error).__name__}") from error
    for tensor in model.graph.initializer:
        if not uses_external_data(tensor):
            continue
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
        if Path(location).is_absolute() or ".." in Path(location).parts:
            raise unfit(f"{file} names weights outside its folder: {location}")
        if not (file.parent / location).is_file():
            raise FailedPrecondition(
                f"{file} needs {location} beside it, which is not there", reason="RANKER_MISSING"
            )


def unfit(message: str) -> FailedPrecondition:
    """The error of a model that cannot be used."""
    return FailedPrecondition(message, reason="RANKER_UNFIT")


def sigmoid(logit: float) -> float:
    """From a logit to a relevance, 0 to 1."""
    return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, logit))))


def _int8_files() -> tuple[str, ...]:
    if platform.machine() in ("aarch64", "arm64"):
        return (*_ARM, *_INT8)
    return (*(_EXACT if is_exact(_CPU) else _AVX2), *_INT8)


def _first(folder: Path, names: Sequence[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _outputs(config: dict[str, Any]) -> int:
    labels = config.get("id2label")
    if isinstance(labels, dict) and labels:
        return len(labels)
    return _whole(config.get("num_labels")) or 2  # as transformers has it where nothing is said


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value < 1 << 30 else None


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FailedPrecondition(
            f"{path} cannot be read: {error.strerror}", reason="RANKER_MISSING"
        ) from error
    except ValueError as error:
        raise unfit(f"{path} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise unfit(f"{path} is no JSON object")
    return content
