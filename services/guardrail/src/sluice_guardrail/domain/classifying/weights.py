"""The trained model's file: weights, and the calibration of each channel."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from sluice_guardrail.domain.classifying.scale import Scale
from sluice_guardrail.domain.model import Channel

Floats = npt.NDArray[np.float32]

#: Hex digits of a digest that names a version.
_DIGITS = 12
_SHIPPED = files("sluice_guardrail") / "models" / "injection.npz"
_SCALES = "scales"


@dataclass(frozen=True, slots=True)
class Weights:
    """What training comes to."""

    arrays: Mapping[str, npt.NDArray[Any]]
    """By name: float16, or 8-bit integers with their step as `name.step`."""
    scales: Mapping[Channel, Scale]

    def floats(self, name: str) -> Floats:
        """One array."""
        array: Floats = self.arrays[name].astype(np.float32)
        step = self.arrays.get(f"{name}.step")
        return array if step is None else array * np.float32(step)

    @property
    def version(self) -> str:
        """Names the weights: a digest of them."""
        digest = hashlib.sha256()
        for name in sorted(self.arrays):
            digest.update(name.encode() + str(self.arrays[name].dtype).encode() + self.arrays[name].tobytes())
        return digest.hexdigest()[:_DIGITS]

    @property
    def threshold_set(self) -> str:
        """Names the calibration: a digest of it."""
        return hashlib.sha256(self._written_scales().encode()).hexdigest()[:_DIGITS]

    def written(self) -> bytes:
        """As a file; the same weights always make the same bytes."""
        file = io.BytesIO()
        scales = np.frombuffer(self._written_scales().encode(), np.uint8)
        np.savez_compressed(
            file, allow_pickle=False, **{**dict(sorted(self.arrays.items())), _SCALES: scales}
        )
        return file.getvalue()

    def _written_scales(self) -> str:
        return json.dumps({str(channel): asdict(scale) for channel, scale in sorted(self.scales.items())})


def read(content: bytes) -> Weights:
    """What `written` gave."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    scales = json.loads(arrays.pop(_SCALES).tobytes())
    return Weights(
        arrays,
        {Channel(name): Scale(tuple(each["logits"]), each["growth"]) for name, each in scales.items()},
    )


def shipped() -> Weights:
    """The weights in the package."""
    return read(_SHIPPED.read_bytes())


def quantised(name: str, values: npt.NDArray[np.floating[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Values as 8-bit integers and the step between them."""
    step = np.float32(max(float(np.abs(values).max()), 1e-9) / 127)
    return {name: np.round(values / step).astype(np.int8), f"{name}.step": np.asarray(step)}
