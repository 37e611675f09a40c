"""References to artifacts, as image references are written (https://github.com/distribution/reference)."""

import re
from dataclasses import dataclass
from typing import Final, Self

from sluice_inference.adapter_agent.reasons import Reason, failure

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_TAG: Final = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_REGISTRY: Final = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_DOCKER: Final = "docker.io"


def is_digest(text: object) -> bool:
    """True for the digest of a manifest or a layer."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an artifact is, and which one."""

    registry: str
    """`host` or `host:port`."""
    repository: str
    reference: str
    """A tag or a digest."""

    @classmethod
    def parse(cls, image: str) -> Self:
        """A reference; without a registry it is Docker's, without a tag `latest`.

        Raises:
            ServiceError: it is none (`SOURCE_INVALID`).
        """
        rest, _, digest = image.removeprefix("oci://").partition("@")
        first, slash, path = rest.partition("/")
        if not slash or not (set(first) & {".", ":"} or first == "localhost"):
            first, path = _DOCKER, rest
        path, colon, tag = path.partition(":")
        if first == _DOCKER and "/" not in path:
            path = f"library/{path}"
        reference = digest or tag or "latest"
        known = is_digest(reference) if digest else _TAG.fullmatch(reference)
        if (
            not known
            or (colon and not _TAG.fullmatch(tag))
            or not _REPOSITORY.fullmatch(path)
            or not _REGISTRY.fullmatch(first)
        ):
            raise failure(
                Reason.SOURCE_INVALID, f"{image!r} is no image: registry/repository:tag or …@sha256:…"
            )
        return cls(first, path, reference)

    @property
    def host(self) -> str:
        """Where its API is."""
        return "registry-1.docker.io" if self.registry == _DOCKER else self.registry
