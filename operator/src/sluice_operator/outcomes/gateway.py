"""`Outcomes` over the gateway's HTTP API, as an admin."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from pydantic import ValidationError
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from sluice_operator.outcomes.protocol import Report
from sluice_servicekit import errors, upstream

_SECONDS = 10.0

#: A look is repeated at the next interval anyway: no need to be stubborn.
_ATTEMPTS = 3
_BACKOFF = wait_exponential_jitter(multiplier=0.2, max=2.0, jitter=0.2)

#: Who asks for more patience, in seconds, is asked again at the next look.
_LONGEST_WAIT = 5.0

_BY_STATUS: dict[int, type[errors.ServiceError]] = {
    401: errors.Unauthenticated,
    403: errors.PermissionDenied,
    504: errors.DeadlineExceeded,
}


class GatewayOutcomes:
    """The gateway at a URL.

    Args:
        url: Of its HTTP API, without `/v1`.
        key_file: Holds an admin's API key; read at every look, so that another key needs no restart. None for an open
            gateway.
    """

    def __init__(
        self,
        url: str,
        key_file: Path | None = None,
        seconds: float = _SECONDS,
    ) -> None:
        self._url = url.rstrip("/").removesuffix("/v1")
        self._key_file = key_file
        self._timeout = aiohttp.ClientTimeout(total=seconds)

    async def report(self, experiment: str, since: float) -> Report:
        """See `Outcomes.report`."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((errors.Unavailable, errors.ResourceExhausted)),
            wait=_wait,
            stop=lambda state: stop_after_attempt(_ATTEMPTS)(state) or _wait(state) > _LONGEST_WAIT,
            reraise=True,
        )
        return await retrying(self._once, experiment, since)

    async def _once(self, experiment: str, since: float) -> Report:
        moment = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        url = f"{self._url}/v1/experiments/{quote(experiment, safe='')}"
        try:
            async with (
                # One a look: there are few, and what nobody holds need not be closed.
                aiohttp.ClientSession(timeout=self._timeout) as session,
                session.get(
                    url, params={"since": moment}, headers=self._headers(), allow_redirects=False
                ) as response,
            ):
                status, headers = response.status, response.headers
                answer = _parsed(await response.read())
        except TimeoutError as error:
            raise errors.DeadlineExceeded(
                f"{self._url} did not answer in {self._timeout.total:g} s"
            ) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise errors.FailedPrecondition(f"{self._url!r} is no URL") from error
        except (aiohttp.ClientError, OSError) as error:
            raise errors.Unavailable(f"{self._url} cannot be reached: {error}") from error
        if status != 200:
            raise self._refused(status, answer, upstream.retry_after(headers))
        return self._report(answer, since)

    def _report(self, answer: Any, since: float) -> Report:
        otherwise = f"{self._url} answers otherwise than the gateway of this release"
        try:
            report = Report.model_validate(answer)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the whole"
            raise errors.FailedPrecondition(f"{otherwise}: {where}") from error
        if (report.since.timestamp() if report.since else 0.0) != since:
            raise errors.FailedPrecondition(f"{otherwise}: it counts from another time than it is asked for")
        return report

    def _headers(self) -> dict[str, str]:
        if self._key_file is None:
            return {}
        try:
            key = self._key_file.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise errors.Unauthenticated(f"the API key's file {self._key_file} cannot be read") from error
        if not (key.isascii() and key.isprintable() and key):
            raise errors.Unauthenticated(f"the file {self._key_file} holds no API key")
        return {"authorization": f"Bearer {key}"}

    def _refused(self, status: int, answer: Any, retry_after: float | None) -> errors.ServiceError:
        message = f"{self._url} answered {status}: {upstream.message(answer)}"
        if status == 429:
            return errors.ResourceExhausted(message, retry_after=retry_after)
        if known := _BY_STATUS.get(status):
            return known(message)
        if status >= 500:
            return errors.Unavailable(message, retry_after=retry_after)
        if status == 404 and _code(answer) == "experiment_not_found":
            return errors.NotFound(upstream.message(answer), reason="EXPERIMENT_NOT_FOUND")
        return errors.FailedPrecondition(message)


def _wait(state: RetryCallState) -> float:
    error = state.outcome and state.outcome.exception()
    asked = getattr(error, "retry_after", None)
    return _BACKOFF(state) if asked is None else float(asked)


def _parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return content[:200].decode(errors="replace")


def _code(answer: Any) -> str:
    found = answer.get("error") if isinstance(answer, dict) else None
    return str(found.get("code", "")) if isinstance(found, dict) else ""
