"""The tokens that agents ask the operator for: one Secret for each model server."""

import asyncio
import base64
import binascii
import time
from collections import defaultdict
from dataclasses import dataclass

from sluice_operator.agents.troubles import TOKEN_UNREADABLE
from sluice_operator.cluster.protocol import Cluster, Manifest
from sluice_operator.cluster.resources import SECRETS
from sluice_operator.kinds.model_server import layout, names
from sluice_servicekit.errors import ServiceError, Unavailable


@dataclass(slots=True)
class _Read:
    # not shown: it must not reach a log
    token: str
    at: float

    def __repr__(self) -> str:
        return "_Read(...)"


class Tokens:
    """Reads tokens, and keeps them. Raises `Unavailable` (`TOKEN_UNREADABLE`) where the API server gives none.

    Args:
        cluster: Has the Secrets.
        seconds: A token that is refused is read again, but no more often than this: fifty pods may refuse it at once.
    """

    def __init__(self, cluster: Cluster, seconds: float = 5.0) -> None:
        self._cluster = cluster
        self._seconds = seconds
        self._read: dict[tuple[str, str], _Read] = {}
        self._turns: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, namespace: str, model_server: str) -> str:
        """The token; empty where there is none."""
        known = self._read.get((namespace, model_server))
        if known and known.token:
            return known.token
        return await self.renewed(namespace, model_server, "")

    async def renewed(self, namespace: str, model_server: str, refused: str) -> str:
        """The token after an agent has refused one; the same where there is no other yet."""
        key = namespace, model_server
        async with self._turns[key]:
            known = self._read.get(key)
            if known and (known.token != refused or time.monotonic() < known.at + self._seconds):
                return known.token
            token = _token(await self._secret(namespace, names.agent_secret(model_server)))
            self._read[key] = _Read(token, time.monotonic())
            return token

    async def _secret(self, namespace: str, name: str) -> Manifest | None:
        try:
            return await self._cluster.get(SECRETS, namespace, name)
        except ServiceError as error:
            # by another reason: it is not the agent that cannot be reached
            raise Unavailable(
                f"the Secret {namespace}/{name}, which holds the agents' token, cannot be read: {error.message}",
                reason=TOKEN_UNREADABLE,
            ) from error


def _token(secret: Manifest | None) -> str:
    try:
        return (
            base64.b64decode(((secret or {}).get("data") or {}).get(layout.TOKEN_KEY) or "").decode().strip()
        )
    except (binascii.Error, UnicodeDecodeError):
        return ""
