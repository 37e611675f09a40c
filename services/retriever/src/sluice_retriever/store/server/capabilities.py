"""What a Qdrant server can do, by its version."""

from dataclasses import dataclass
from typing import NamedTuple

from sluice_api.objects.knowledge_base import Quantization
from sluice_servicekit.errors import FailedPrecondition

#: Reason of every refusal that a newer server would lift.
TOO_OLD = "QDRANT_TOO_OLD"


class Version(NamedTuple):
    """A server's version."""

    major: int
    minor: int
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


#: Routing to a fallback shard, conditional and insert-only writes, and a promotion that keeps one replica.
FLOOR = Version(1, 17, 1)
_TURBO = Version(1, 18)
_TENANT_IDF = Version(1, 19)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """One server."""

    version: Version
    cluster: bool
    """Runs as a cluster, which alone has shard keys."""

    @property
    def turbo(self) -> bool:
        """TurboQuant."""
        return self.version >= _TURBO

    @property
    def tenant_idf(self) -> bool:
        """BM25's statistics within a tenant; older servers ignore that it is asked for."""
        return self.version >= _TENANT_IDF


def parse_version(text: str) -> Version:
    """`1.18.3`, or `1.20.0-dev`.

    Raises:
        FailedPrecondition: it is no version.
    """
    try:
        numbers = [int(number) for number in text.split("-")[0].split(".")]
        return Version(*numbers[:3])
    except (TypeError, ValueError):
        raise FailedPrecondition(f"Qdrant says that its version is {text!r}", reason=TOO_OLD) from None


def refuse_too_old(version: Version) -> None:
    """Raises:
    FailedPrecondition: this version of Sluice cannot work with the server.
    """
    if version < FLOOR:
        raise FailedPrecondition(f"Qdrant is {version}; {FLOOR} or newer is needed", reason=TOO_OLD)


def refuse_unsupported(quantization: Quantization, capabilities: Capabilities) -> None:
    """Raises:
    FailedPrecondition: the server lacks what the knowledge base asks for by name.
    """
    if quantization is Quantization.TURBO and not capabilities.turbo:
        raise FailedPrecondition(
            f"dense.quantization turbo needs Qdrant {_TURBO}, and the server is {capabilities.version};"
            " binary-16x takes as much memory",
            reason=TOO_OLD,
        )


def unsupported(capabilities: Capabilities) -> tuple[str, ...]:
    """What works less well on this server than on the newest, one sentence each."""
    if capabilities.tenant_idf:
        return ()
    return (
        f"BM25 weighs words by all tenants' documents of a shard: within a tenant needs Qdrant {_TENANT_IDF}",
    )
