"""The gateway's HTTP API as the commands use it; every failure is a `CommandError`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from sluice_cli import exits
from sluice_cli.errors import CommandError, usage

Json = dict[str, Any]
Params = Mapping[str, str | int | list[str]]

DEFAULT_URL = "http://127.0.0.1:8080"

#: Codes of errors that may be over in a moment.
_PASSING = frozenset({"unavailable", "deadline_exceeded", "resource_exhausted"})

#: Answers may take as long as a pipeline allows; the gateway bounds them.
_READ_SECONDS = 300.0
_CONNECT_SECONDS = 5.0

#: Silence after which a stream of events is given up; the gateway comments more often than that.
_SILENCE_SECONDS = 90.0


@dataclass(frozen=True)
class Target:
    """Which gateway, and as whom."""

    url: str = DEFAULT_URL
    api_key: str = ""
    tenant: str = ""


class Api:
    """One gateway. Close it, or use it as a context manager.

    Args:
        seconds: How long an answer may keep silent.
    """

    def __init__(self, target: Target, seconds: float = _READ_SECONDS) -> None:
        headers = {"authorization": f"Bearer {target.api_key}"} if target.api_key else {}
        if target.tenant:
            headers["x-sluice-tenant"] = target.tenant
        self._url = target.url
        with self._reporting():
            timeout = httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))
            self._http = httpx.Client(base_url=target.url, headers=headers, timeout=timeout)

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: str | int) -> Json:
        """A JSON document."""
        with self._reporting():
            return _content(self._http.get(path, params=params))

    def post(self, path: str, body: Json) -> Json:
        """The reply to a JSON document."""
        with self._reporting():
            return _content(self._http.post(path, json=body))

    def delete(self, path: str) -> None:
        """Has something removed."""
        with self._reporting():
            response = self._http.delete(path)
            if response.is_error:
                raise _error(response)

    def events(self, path: str, body: Json) -> Iterator[Json]:
        """The events of a reply that ends in one of type `done`, that one included.

        Raises:
            CommandError: an event says that it failed, or the stream ends before it is whole.
        """
        with (
            self._reporting(),
            connect_sse(self._http, "POST", path, json=body) as source,
        ):
            if source.response.is_error:
                source.response.read()
                raise _error(source.response)
            for event in source.iter_sse():
                content: Json = json.loads(event.data)
                if "error" in content:
                    detail = content["error"]
                    raise CommandError(detail["message"], passing=detail.get("code") in _PASSING)
                yield content
                if content["type"] == "done":
                    return
        raise CommandError("the reply broke off", "the gateway went away; try again", passing=True)

    def chat(self, body: Json) -> Iterator[Json]:
        """The chunks of a streamed chat completion.

        Raises:
            CommandError: the stream says that the run failed, or ends before it is whole.
        """
        with (
            self._reporting(),
            connect_sse(self._http, "POST", "/v1/chat/completions", json={**body, "stream": True}) as source,
        ):
            if source.response.is_error:
                source.response.read()
                raise _error(source.response)
            for event in source.iter_sse():
                if event.data == "[DONE]":
                    return
                chunk: Json = json.loads(event.data)
                if "error" in chunk:
                    raise CommandError(chunk["error"]["message"])
                yield chunk
        raise CommandError("the answer broke off", "the gateway went away; ask again")

    def follow(self, path: str, params: Params, last_id: str = "") -> Iterator[ServerSentEvent]:
        """The events of a stream, until the gateway ends it.

        Args:
            last_id: The last event's id seen; the stream goes on after it.

        Raises:
            CommandError: the stream broke off or cannot be had now, which may pass, or the gateway refuses.
        """
        headers = {"last-event-id": last_id} if last_id else {}
        timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
        with (
            self._reporting(),
            connect_sse(self._http, "GET", path, params=params, headers=headers, timeout=timeout) as source,
        ):
            if source.response.is_error:
                source.response.read()
                raise _error(source.response)
            yield from source.iter_sse()

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as error:
            raise CommandError(
                f"nothing answers at {self._url}",
                "start Sluice with `sluice up`, or name its address in --url",
                passing=True,
            ) from error
        except httpx.TimeoutException as error:
            raise CommandError(f"{self._url} did not answer in time", passing=True) from error
        except httpx.HTTPError as error:
            raise CommandError(f"{self._url}: {error}", passing=True) from error
        except httpx.InvalidURL as error:
            raise usage(f"{self._url!r} is not a URL: {error}") from error
        except UnicodeEncodeError as error:  # bytes of an argument or of stdin that are no text
            raise usage(
                f"{error.object[error.start : error.end]!r} cannot be sent as {error.encoding}"
            ) from error


def _content(response: httpx.Response) -> Json:
    if response.is_error:
        raise _error(response)
    try:
        content = response.json()
    except ValueError as error:
        raise CommandError(f"{response.url} answers, but not as Sluice does") from error
    if not isinstance(content, dict):
        raise CommandError(f"{response.url} answers, but not as Sluice does")
    return content


def _error(response: httpx.Response) -> CommandError:
    """The error of a response in OpenAI's shape; the caller's own mistakes exit with another code."""
    try:
        detail = response.json()["error"]
        message, code = str(detail["message"]), str(detail.get("code") or "")
    except (ValueError, KeyError, TypeError):
        message, code = f"{response.url} answered {response.status_code}", ""
    hint = "give a key with --api-key or SLUICE_API_KEY" if response.status_code == 401 else ""
    mistaken = response.status_code in (400, 404, 413, 422)
    return CommandError(
        f"{message} ({code})" if code else message,
        hint,
        exits.USAGE if mistaken else exits.FAILED,
        passing=response.status_code in (429, 502, 503, 504),
    )
