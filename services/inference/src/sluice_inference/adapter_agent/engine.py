"""The vLLM beside the agent: four paths of it and no other, and what its replies mean.

Replies are those that vLLM 0.32.0 gave when it was recorded; errors come nested under `error`, in older ones flat.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import aiohttp

from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_servicekit import upstream
from sluice_servicekit.errors import ServiceError

_MODELS: Final = "/v1/models"
_LOAD: Final = "/v1/load_lora_adapter"
_UNLOAD: Final = "/v1/unload_lora_adapter"

#: The most of a reply that is read.
_MOST_BYTES: Final = 16 << 20
#: Seconds that vLLM may take to list its models; it does so at once unless it hangs.
_LIST_SECONDS: Final = 10.0

#: What FastAPI says of a path that is not there: vLLM has these two only where they were turned on.
_NO_SUCH_PATH: Final = "Not Found"


@dataclass(frozen=True, slots=True)
class Models:
    """What vLLM lists."""

    base: tuple[str, ...]
    """The base model's names."""
    adapters: dict[str, str]
    """The path of each adapter by its name."""


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    text: str

    @property
    def message(self) -> str:
        try:
            found = json.loads(self.text)
        except ValueError:
            return self.text[:500]
        if isinstance(found, dict) and set(found) == {"detail"}:  # FastAPI's own
            return str(found["detail"])[:500]
        return upstream.message(found)


class Engine:
    """Asks vLLM.

    Args:
        url: Its base URL, without `/v1`.
        api_key: Gives the key that it was started with; empty where it has none.
        load_seconds: That loading or unloading one adapter may take.
    """

    def __init__(self, url: str, api_key: Callable[[], str], load_seconds: float) -> None:
        self._url = url.rstrip("/")
        self._api_key = api_key
        self._load_seconds = load_seconds
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    async def models(self) -> Models:
        """What it lists.

        Raises:
            ServiceError: it cannot be asked.
        """
        reply = await self._ask("GET", _MODELS, None, _LIST_SECONDS)
        if reply.status != 200:
            _refused(reply)
        try:
            cards = json.loads(reply.text)["data"]
            adapters = {card["id"]: card["root"] for card in cards if card.get("parent")}
            return Models(tuple(card["id"] for card in cards if not card.get("parent")), adapters)
        except (ValueError, LookupError, TypeError, AttributeError):
            raise failure(Reason.ENGINE_FAILED, "vLLM lists no models as it should") from None

    async def load(self, name: str, path: str) -> bool:
        """Has it load an adapter, and makes sure that it lists it.

        Returns:
            False where it was loaded before.

        Raises:
            ServiceError: it is not loaded, and why.
        """
        if await self._has(name, path):
            return False
        lost: ServiceError | None = None
        try:
            reply = await self._ask("POST", _LOAD, {"lora_name": name, "lora_path": path}, self._load_seconds)
        except ServiceError as error:
            lost = error  # it may have been loaded all the same: only the reply was lost
        else:
            if reply.status != 200 and "already been loaded" not in reply.message:
                _not_loaded(reply, name, path)
        if await self._has(name, path):
            return True
        raise lost or failure(
            Reason.ENGINE_FAILED, f"vLLM says that it has loaded {name}, and does not list it"
        )

    async def unload(self, name: str) -> str:
        """Has it forget an adapter, and makes sure that it does not list it.

        Returns:
            The folder that it was loaded from; empty where it was not loaded.

        Raises:
            ServiceError: it is still loaded, or cannot be asked.
        """
        models = await self.models()
        if name in models.base:
            raise failure(Reason.NAME_INVALID, f"{name} is the base model, and no adapter")
        if name not in models.adapters:
            return ""
        lost: ServiceError | None = None
        try:
            reply = await self._ask("POST", _UNLOAD, {"lora_name": name}, self._load_seconds)
        except ServiceError as error:
            lost = error
        else:
            if reply.status != 200 and (reply.status != 404 or reply.message == _NO_SUCH_PATH):
                _refused(reply)
        if name not in (await self.models()).adapters:
            return models.adapters[name]
        raise lost or failure(
            Reason.ENGINE_FAILED, f"vLLM says that it has unloaded {name}, and still lists it"
        )

    async def _has(self, name: str, path: str) -> bool:
        models = await self.models()
        if name in models.base or models.adapters.get(name, path) != path:
            where = models.adapters.get(name, "the base model")
            raise failure(
                Reason.NAME_TAKEN, f"vLLM serves {where} as {name}; give each version a name of its own"
            )
        return name in models.adapters

    async def _ask(self, method: str, path: str, body: dict[str, str] | None, seconds: float) -> _Reply:
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        key = self._api_key()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.request(
                    method, self._url + path, json=body, headers=headers, allow_redirects=False
                ) as response,
            ):
                return _Reply(response.status, (await _read(response)).decode(errors="replace"))
        except TimeoutError:
            raise failure(Reason.ENGINE_UNREACHABLE, f"vLLM did not answer within {seconds:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            message = f"vLLM cannot be reached: {type(error).__name__}; it may still be starting"
            raise failure(Reason.ENGINE_UNREACHABLE, message) from None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    found = bytearray()
    async for piece in response.content.iter_any():
        found += piece
        if len(found) > _MOST_BYTES:
            raise failure(Reason.ENGINE_FAILED, "vLLM answers more than it ever should")
    return bytes(found)


def _not_loaded(reply: _Reply, name: str, path: str) -> NoReturn:
    message = reply.message
    if "greater than max_lora_rank" in message:
        raise failure(Reason.RANK_TOO_HIGH, f"vLLM refuses {name}: {message}")
    if reply.status == 404 and message != _NO_SUCH_PATH:
        raise failure(
            Reason.ENGINE_PATH_MISSING,
            f"vLLM finds no adapter in {path}; it must mount the agent's folder there: {message}",
        )
    _refused(reply)


def _refused(reply: _Reply) -> NoReturn:
    said: Any = f"vLLM says ({reply.status}): {reply.message}"
    if reply.status in (401, 403):
        raise failure(Reason.ENGINE_AUTH, f"{said}; the agent's API key is not vLLM's")
    if reply.status in (404, 405):
        raise failure(
            Reason.ENGINE_LORA_OFF,
            f"{said}; start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True",
        )
    if 400 <= reply.status < 500 and reply.status not in (408, 429):
        raise failure(Reason.ENGINE_REFUSED, said)
    raise failure(Reason.ENGINE_FAILED, said)
