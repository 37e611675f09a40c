"""An upstream engine over servers of a test."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sluice_api.objects.model_server import Routing
from sluice_api.snapshot import Endpoint
from sluice_inference.engines.api_key import ApiKey
from sluice_inference.engines.client import replica_name
from sluice_inference.engines.openai_compatible import OpenAiCompatibleEngine, Upstream
from sluice_inference.engines.replica import Room
from sluice_inference.engines.tokenizing import LocalTokenizer

NONE = Room()


def upstream(
    urls: Sequence[str],
    *,
    key: str = "",
    folder: Path | None = None,
    is_vllm: bool = False,
    room: Room = NONE,
    tokenizer: LocalTokenizer | None = None,
    **routing: object,
) -> Upstream:
    """What an engine is told of servers at these URLs, of a model `tiny`.

    Args:
        key: The name of a secret in `folder`; without a folder, the key itself.
        routing: Fields of `Routing`.
    """
    endpoints = [Endpoint(name=replica_name(url), url=url) for url in urls]
    api_key = ApiKey(folder, key, "a test") if folder is not None else FixedKey(key)
    return Upstream("tiny", endpoints, Routing.model_validate(routing), api_key, is_vllm, room, tokenizer)


def upstream_engine(urls: Sequence[str], **options: Any) -> OpenAiCompatibleEngine:
    """An engine that goes by `upstream`; it looks at no replica unless told to."""
    return OpenAiCompatibleEngine("test", upstream(urls, **options))


class FixedKey(ApiKey):
    """A key of no file."""

    def __init__(self, key: str) -> None:
        super().__init__()
        self._key = key
