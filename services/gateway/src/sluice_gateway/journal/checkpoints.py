"""Signed checkpoints outside the database: how far each writer's chain went, so that a cut tail shows."""

import hashlib
import hmac
import json
from dataclasses import dataclass
from pathlib import Path

from sluice_gateway.journal.chain import Head


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a writer had come when it last committed."""

    writer: str
    head: Head
    at: float
    """Unix seconds."""


class ForgedCheckpointError(ValueError):
    """A checkpoint whose signature does not match, or that cannot be read."""


def write(folder: Path, key: bytes, checkpoint: Checkpoint) -> None:
    """Replaces the writer's checkpoint at once and whole."""
    content = {
        "writer": checkpoint.writer,
        "seq": checkpoint.head.seq,
        "hash": checkpoint.head.hash,
        "at": checkpoint.at,
    }
    partial = folder / f".{checkpoint.writer}.partial"
    partial.write_text(json.dumps({**content, "signature": _signature(key, content)}))
    partial.replace(folder / f"{checkpoint.writer}.json")


def read_all(folder: Path, key: bytes) -> tuple[dict[str, Checkpoint], list[str]]:
    """The checkpoints by writer, and the names of files that are forged or broken."""
    found: dict[str, Checkpoint] = {}
    forged: list[str] = []
    for file in sorted(folder.glob("*.json")):
        try:
            checkpoint = _read(file, key)
        except ForgedCheckpointError:
            forged.append(file.name)
        else:
            found[checkpoint.writer] = checkpoint
    return found, forged


def _read(file: Path, key: bytes) -> Checkpoint:
    try:
        content = json.loads(file.read_text())
        signature = content.pop("signature")
        checkpoint = Checkpoint(content["writer"], Head(content["seq"], content["hash"]), content["at"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ForgedCheckpointError(file.name) from error
    genuine = isinstance(signature, str) and hmac.compare_digest(signature, _signature(key, content))
    if not genuine or file.stem != checkpoint.writer:
        raise ForgedCheckpointError(file.name)
    return checkpoint


def _signature(key: bytes, content: dict[str, object]) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.digest(key, canonical.encode(), hashlib.sha256).hex()
