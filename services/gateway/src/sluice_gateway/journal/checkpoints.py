"""Signed checkpoints outside the database: how far each writer's chain went, so that a cut tail shows."""

import os
import threading
from dataclasses import dataclass
from pathlib import Path

from sluice_gateway.journal import signing
from sluice_gateway.journal.chain import Head
from sluice_gateway.journal.signing import ForgedError


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a writer had come when it last committed."""

    writer: str
    head: Head
    at: float
    """Unix seconds."""


def encoded(key: bytes, checkpoint: Checkpoint) -> str:
    """The checkpoint as a signed text."""
    content = {
        "writer": checkpoint.writer,
        "seq": checkpoint.head.seq,
        "hash": checkpoint.head.hash,
        "at": checkpoint.at,
    }
    return signing.signed(key, content)


def decoded(key: bytes, text: str) -> Checkpoint:
    """The checkpoint of a signed text.

    Raises:
        ForgedError: it is not genuine.
    """
    content = signing.opened(key, text)
    try:
        return Checkpoint(content["writer"], Head(content["seq"], content["hash"]), content["at"])
    except (KeyError, TypeError) as error:
        raise ForgedError("it is no checkpoint") from error


def write(folder: Path, key: bytes, checkpoint: Checkpoint) -> None:
    """Replaces the writer's checkpoint at once and whole."""
    # Replicas that share the folder keep each other's, too.
    partial = folder / f".{checkpoint.writer}.{os.getpid()}-{threading.get_ident()}.partial"
    partial.write_text(encoded(key, checkpoint))
    partial.replace(folder / f"{checkpoint.writer}.json")


def read(folder: Path, key: bytes, writer: str) -> Checkpoint | None:
    """The writer's checkpoint; None where there is none that is genuine."""
    try:
        return decoded(key, (folder / f"{writer}.json").read_text())
    except (OSError, ForgedError, UnicodeDecodeError):
        return None


def read_all(folder: Path, key: bytes) -> tuple[dict[str, Checkpoint], list[str]]:
    """The checkpoints by writer, and the names of files that are forged or broken."""
    found: dict[str, Checkpoint] = {}
    forged: list[str] = []
    for file in sorted(folder.glob("*.json")):
        try:
            checkpoint = decoded(key, file.read_text())
        except (ForgedError, UnicodeDecodeError):
            forged.append(file.name)
            continue
        if file.stem == checkpoint.writer:
            found[checkpoint.writer] = checkpoint
        else:
            forged.append(file.name)
    return found, forged


def furthest(*several: dict[str, Checkpoint]) -> dict[str, Checkpoint]:
    """Of each writer the checkpoint that went furthest."""
    found: dict[str, Checkpoint] = {}
    for checkpoints in several:
        for writer, checkpoint in checkpoints.items():
            if writer not in found or found[writer].head.seq < checkpoint.head.seq:
                found[writer] = checkpoint
    return found
