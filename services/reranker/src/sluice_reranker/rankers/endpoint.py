"""A server that ranks, such as Text Embeddings Inference: it batches by itself, so each request goes there at once."""

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from prometheus_client import Counter

from sluice_api.objects.ranker import RankerEndpoint, RerankProtocol
from sluice_reranker.domain.model import Candidate, Question
from sluice_reranker.rankers import wire
from sluice_reranker.rankers.pooled import read_text
from sluice_reranker.rankers.protocol import DEADLINE, Scores
from sluice_servicekit import telemetry_names as names
from sluice_servicekit import upstream
from sluice_servicekit.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)

_FAILURES = Counter(names.RERANK_UPSTREAM_FAILURES, "Calls to ranking servers that failed", ("reason",))

#: Requests for one question at the same time.
_CONCURRENCY = 4
#: How often a request is sent, at most, and the seconds before the second time where the server names none.
_ATTEMPTS, _BACKOFF = 4, 0.05
#: Who asks for more patience, in seconds, is not asked again.
_LONGEST_WAIT = 5.0
#: Seconds for a question that has no deadline.
_LONGEST = 60.0
#: Seconds that asking a server for its limits may take, and after which it is asked again where it did not say.
_INFO_SECONDS, _INFO_RETRY = 1.0, 30.0


class EndpointScorer:
    """Asks the server.

    Args:
        spec: Where it is and how it is asked.
        api_key: Sent as a bearer token where it is not empty.
    """

    def __init__(self, spec: RankerEndpoint, api_key: str = "") -> None:
        self._spec = spec
        self._wire: wire.Wire = (
            wire.TeiWire() if spec.protocol is RerankProtocol.TEI else wire.CohereWire(spec.model)
        )
        self._url = spec.url.rstrip("/")
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._session: aiohttp.ClientSession | None = None
        self._batch = spec.batch
        self._ask_info_at = 0.0 if spec.protocol is RerankProtocol.TEI else float("inf")
        address = hashlib.sha256(self._url.encode()).hexdigest()[:12]
        self.model = f"{spec.protocol}-{spec.model.rpartition('/')[2] or address}"

    async def score(self, question: Question, candidates: Sequence[Candidate], until: float | None) -> Scores:
        """The candidates' relevance, by as many requests as it takes, as far as they are answered in time. A text that
        the server cannot read is left out.

        Raises:
            ServiceError: none was answered, for another reason than time.
        """
        until = time.monotonic() + _LONGEST if until is None else until
        await self._learn_limits(until)
        texts = [read_text(candidate) for candidate in candidates]
        relevance: list[float | None] = [None] * len(texts)
        failures: list[ServiceError] = []
        slots = asyncio.Semaphore(_CONCURRENCY)

        async def ask(start: int, some: Sequence[str]) -> None:
            async with slots:
                try:
                    relevance[start : start + len(some)] = await self._ranked(question.text, some, until)
                except ServiceError as error:
                    failures.append(error)

        starts = range(0, len(texts), self._batch)
        asking = [asyncio.create_task(ask(start, texts[start : start + self._batch])) for start in starts]
        try:
            async with asyncio.timeout(max(0.0, until - time.monotonic())):
                await asyncio.gather(*asking)
        except TimeoutError:
            failures.append(DeadlineExceeded("the ranking server did not answer in time"))
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        return _scores(relevance, failures)

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    async def _ranked(self, question: str, texts: Sequence[str], until: float) -> list[float | None]:
        """The texts' relevance. A batch that is refused as too large, or for a text in it, is sent in halves."""
        try:
            return [*await self._retried(question, texts, until)]
        except InvalidArgument as error:
            if error.reason != wire.TOO_LARGE:
                raise
            if len(texts) == 1:
                return [None]
        middle = len(texts) // 2
        return [
            *await self._ranked(question, texts[:middle], until),
            *await self._ranked(question, texts[middle:], until),
        ]

    async def _retried(self, question: str, texts: Sequence[str], until: float) -> list[float]:
        for attempt in range(1, _ATTEMPTS):
            try:
                return await self._once(question, texts, until)
            except (Unavailable, ResourceExhausted) as error:
                wait = error.retry_after
                if wait is None:
                    wait = _BACKOFF * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads load
                if wait > _LONGEST_WAIT or time.monotonic() + wait >= until:
                    raise
            await asyncio.sleep(wait)
        return await self._once(question, texts, until)

    async def _once(self, question: str, texts: Sequence[str], until: float) -> list[float]:
        try:
            status, answer, headers = await self._sent(
                "POST", self._wire.path, self._spec.timeout, until, self._wire.body(question, texts)
            )
            if status != 200:
                raise wire.error(status, upstream.message(answer), upstream.retry_after(headers))
            try:
                return self._wire.relevance(answer, len(texts))
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise FailedPrecondition(
                    f"the ranking server's answer is not {len(texts)} scores", reason="RANKER_ANSWER"
                ) from error
        except ServiceError as error:
            _FAILURES.labels(error.reason).inc()
            raise

    async def _learn_limits(self, until: float) -> None:
        """Asks a TEI server how many texts it takes at once, and what its model is; one that does not say is asked by
        the spec alone."""
        if time.monotonic() < self._ask_info_at:
            return
        self._ask_info_at = time.monotonic() + _INFO_RETRY
        try:
            status, info, _ = await self._sent("GET", "/info", _INFO_SECONDS, until)
        except ServiceError:
            return
        limit = info.get("max_client_batch_size") if status == 200 and isinstance(info, dict) else None
        if isinstance(limit, int) and limit > 0:
            self._batch = min(self._spec.batch, limit)
            self._ask_info_at = float("inf")

    async def _sent(
        self, method: str, path: str, seconds: float, until: float, body: dict[str, Any] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        left = until - time.monotonic()
        try:
            async with self._connected().request(
                method,
                self._url + path,
                json=body,
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=max(0.001, min(seconds, left))),
                allow_redirects=False,
            ) as response:
                return response.status, _parsed(await response.read()), response.headers
        except TimeoutError as error:
            if left <= seconds:
                raise DeadlineExceeded("the ranking server did not answer in time") from error
            message = f"the ranking server at {self._url} did not answer within {seconds:g} s"
            raise Unavailable(message, reason="RANKER_TIMEOUT") from error
        except aiohttp.ClientError as error:
            message = f"the ranking server at {self._url} cannot be reached: {type(error).__name__}"
            raise Unavailable(message, reason="RANKER_UNREACHABLE") from error

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session


def _scores(relevance: Sequence[float | None], failures: Sequence[ServiceError]) -> Scores:
    """What there is, or why there is nothing."""
    missing = None in relevance
    others = [error for error in failures if not isinstance(error, DeadlineExceeded)]
    if others and all(score is None for score in relevance):
        raise others[0]
    if not missing:
        return Scores(relevance)
    if others:
        return Scores(relevance, others[0].reason)
    return Scores(relevance, DEADLINE if failures else wire.TOO_LARGE)


def _parsed(content: bytes) -> Any:
    """JSON, or what else was sent as text."""
    try:
        return json.loads(content)
    except ValueError:
        return content[:500].decode(errors="replace")
