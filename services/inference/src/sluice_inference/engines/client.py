"""The one way to a model server: the paths that may be asked for, and no others.

A vLLM has no key for its admin paths, by which anybody who reaches its port loads adapters or puts it to sleep. All
URLs are built here, from this list, and no redirect is followed, so that nothing a request says can lead to another
path.
"""

from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from sluice_inference.engines.api_key import ApiKey
from sluice_servicekit import deadlines

#: What a base URL ends in; vLLM has its other paths beside it.
_VERSION = "/v1"

_JSON = {"content-type": "application/json"}

#: Characters of a replica's name, at most.
_LONGEST_NAME = 253


class Path(StrEnum):
    """What a model server may be asked for."""

    CHAT = "/v1/chat/completions"
    MODELS = "/v1/models"
    HEALTH = "/health"
    METRICS = "/metrics"
    TOKENIZE = "/tokenize"


def address(base_url: str, path: Path) -> str:
    """The URL of a path.

    Args:
        base_url: Ends in `/v1`, or in whatever else stands for it.
    """
    base = base_url.rstrip("/")
    if path.startswith(f"{_VERSION}/"):
        return base + path.removeprefix(_VERSION)
    return base.removesuffix(_VERSION) + path


def replica_name(base_url: str) -> str:
    """What a replica is called that has no other name: its URL without scheme, credentials and `/v1`."""
    parts = urlsplit(base_url.rstrip("/"))
    name = parts.netloc.rpartition("@")[2] + parts.path.removesuffix(_VERSION)
    return name[-_LONGEST_NAME:] or "server"


class Client:
    """Connections to the replicas of one model server.

    Args:
        connect_timeout: Seconds to reach a replica.
    """

    def __init__(self, api_key: ApiKey, connect_timeout: float = 2.0) -> None:
        self.api_key = api_key
        self._connect_timeout = connect_timeout
        self._session: aiohttp.ClientSession | None = None

    def post(self, base_url: str, path: Path, body: Any) -> "aiohttp.client._RequestContextManager":
        """Asks, with the key, within what the caller has left."""
        return self._connected().post(
            address(base_url, path),
            data=orjson.dumps(body),
            headers=self._headers(),
            timeout=aiohttp.ClientTimeout(total=deadlines.remaining(), sock_connect=self._connect_timeout),
            allow_redirects=False,
        )

    def get(
        self, base_url: str, path: Path, seconds: float, *, with_key: bool = False
    ) -> "aiohttp.client._RequestContextManager":
        """Asks for what a server tells of itself; vLLM wants no key for what is not below `/v1`."""
        return self._connected().get(
            address(base_url, path),
            headers=self._headers() if with_key else None,
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=self._connect_timeout),
            allow_redirects=False,
        )

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    def _headers(self) -> dict[str, str]:
        key = self.api_key.current()
        return _JSON | {"authorization": f"Bearer {key}"} if key else _JSON

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session
