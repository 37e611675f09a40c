"""Signed stubs: where retention has cut the start of a chain, so that a cut without one shows."""

from collections.abc import Iterable
from dataclasses import dataclass

from sluice_gateway.journal import signing
from sluice_gateway.journal.chain import Head
from sluice_gateway.journal.signing import ForgedError


@dataclass(frozen=True, slots=True)
class Stub:
    """The end of the part of a writer's chain that has been cut off."""

    writer: str
    head: Head
    """The last row cut; the next one follows it."""
    before: str
    """The day, in UTC, before which rows were cut: `2026-11-29`."""
    at: float
    """Unix seconds."""


def encoded(key: bytes, stub: Stub) -> str:
    """The stub as a signed text."""
    content = {
        "writer": stub.writer,
        "seq": stub.head.seq,
        "hash": stub.head.hash,
        "before": stub.before,
        "at": stub.at,
    }
    return signing.signed(key, content)


def decoded(key: bytes, text: str) -> Stub:
    """The stub of a signed text.

    Raises:
        ForgedError: it is not genuine.
    """
    content = signing.opened(key, text)
    try:
        head = Head(content["seq"], content["hash"])
        return Stub(content["writer"], head, content["before"], content["at"])
    except (KeyError, TypeError) as error:
        raise ForgedError("it is no stub") from error


def read_all(key: bytes, texts: Iterable[tuple[str, str]]) -> tuple[dict[str, Stub], list[str]]:
    """The stubs by writer, and the writers of those that are forged.

    Args:
        texts: Writers and the signed texts stored for them.
    """
    found: dict[str, Stub] = {}
    forged: list[str] = []
    for writer, text in texts:
        try:
            stub = decoded(key, text)
        except ForgedError:
            forged.append(writer)
            continue
        if stub.writer == writer:
            found[writer] = stub
        else:
            forged.append(writer)
    return found, forged
