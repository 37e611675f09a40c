"""A registry, by the OCI distribution API (https://github.com/opencontainers/distribution-spec), and the tokens that it
asks for (https://distribution.github.io/distribution/spec/auth/token/).

No library speaks it over connections of ours: `oras` connects by itself, past the check of addresses.
"""

import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from sluice_inference.adapter_agent.reasons import Reason, failure
from sluice_inference.adapter_agent.sources import credentials, remote
from sluice_inference.adapter_agent.sources.credentials import Login
from sluice_inference.adapter_agent.sources.references import Reference
from sluice_inference.adapter_agent.sources.remote import Remote

_PARAMETER: Final = re.compile(r'(\w+)="([^"]*)"')


class Registry:
    """One repository of a registry.

    Args:
        reference: Which.
        remote_: Asks it.
        credentials_file: A `config.json` of Docker; none where it is public.
        insecure: Registries (`host:port`) that are asked over plain HTTP.
    """

    def __init__(
        self, reference: Reference, remote_: Remote, credentials_file: Path | None, insecure: Collection[str]
    ) -> None:
        scheme = "http" if reference.registry in insecure else "https"
        self._base = f"{scheme}://{reference.host}/v2/{reference.repository}"
        self._reference = reference
        self._remote = remote_
        self._is_insecure = scheme == "http"
        self._login = credentials.of_registry(credentials_file, reference.registry)
        self._authorization = ""

    @asynccontextmanager
    async def get(self, path: str, accept: str = "*/*") -> AsyncIterator[aiohttp.ClientResponse]:
        """What the registry answers with 200, signed in where it asks for that.

        Args:
            path: Below the repository.
            accept: Media types, parted by commas.

        Raises:
            ServiceError: it is not there, or may not be read.
        """
        what = f"{self._reference.registry}/{self._reference.repository}/{path}"
        async with self._remote.answer(f"{self._base}/{path}", self._headers(accept)) as response:
            if response.status != 401:
                remote.check(response, what)
                yield response
                return
            challenge = response.headers.get("www-authenticate", "")
        self._authorization = await self._signed_in(
            challenge
        )  # for the first time, or since the token ran out
        async with self._remote.answer(f"{self._base}/{path}", self._headers(accept)) as response:
            remote.check(response, what)
            yield response

    def _headers(self, accept: str) -> Mapping[str, str]:
        authorization = {"authorization": self._authorization} if self._authorization else {}
        return {"accept": accept, **authorization}

    async def _signed_in(self, challenge: str) -> str:
        scheme, _, rest = challenge.partition(" ")
        if scheme.lower() == "basic" and self._login:
            return self._login.header
        parameters = dict(_PARAMETER.findall(rest))
        if scheme.lower() != "bearer" or "realm" not in parameters:
            raise failure(
                Reason.SOURCE_FORBIDDEN,
                f"{self._reference.registry} asks for a login that the agent does not have",
            )
        return f"Bearer {await self._token(parameters, self._login)}"

    async def _token(self, parameters: Mapping[str, str], login: Login | None) -> str:
        scope = f"repository:{self._reference.repository}:pull"  # not what the registry says: no more than is needed
        query = urlencode({"service": parameters.get("service", ""), "scope": scope})
        realm = parameters["realm"]
        try:
            parsed = URL(realm)
        except ValueError:
            raise failure(Reason.SOURCE_REFUSED, f"{self._reference.registry} names no realm") from None
        if not self._is_insecure and parsed.scheme != "https":
            raise failure(
                Reason.SOURCE_REFUSED, f"{self._reference.registry} gives its tokens out without encryption"
            )
        headers = {"authorization": login.header} if login else {}
        told = await self._remote.json(f"{realm}{'&' if '?' in realm else '?'}{query}", headers)
        token = (told.get("token") or told.get("access_token")) if isinstance(told, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise failure(Reason.SOURCE_REFUSED, f"{parsed.host} gives no token")
        return token
