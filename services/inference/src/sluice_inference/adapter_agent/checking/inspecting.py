"""An adapter's two files, checked."""

from dataclasses import dataclass
from pathlib import Path

from sluice_inference.adapter_agent import files
from sluice_inference.adapter_agent.checking import base_model, safetensors_header
from sluice_inference.adapter_agent.checking.adapter_config import AdapterConfig
from sluice_inference.adapter_agent.checking.checks import Checked, Limits, check
from sluice_inference.adapter_agent.checking.pairs import pair
from sluice_inference.adapter_agent.checking.safetensors_header import NotSafetensors
from sluice_inference.adapter_agent.reasons import Reason, failure


@dataclass(frozen=True, slots=True)
class Inspected:
    """What the files say, and what the checks found."""

    base_model: str
    checked: Checked


def inspect(folder: Path, base: Path | None, limits: Limits) -> Inspected:
    """Checks the adapter in a folder. Reads headers alone, so this takes milliseconds.

    Args:
        folder: Holds both files.
        base: The base model's folder, where there is one.
        limits: What the adapter is held to.

    Raises:
        ServiceError: it does not fit.
        OSError: a file cannot be read.
    """
    config = AdapterConfig.parse((folder / files.CONFIG).read_bytes())
    try:
        tensors = safetensors_header.read(folder / files.WEIGHTS)
    except NotSafetensors as error:
        raise failure(Reason.NOT_SAFETENSORS, f"{files.WEIGHTS} is not safetensors: {error}") from None
    checked = check(config, pair(tensors), base_model.read(base), limits)
    return Inspected(config.base_model, checked)
