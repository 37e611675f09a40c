"""A dense model behind HTTP: batches, a few at a time, tried again where that may help."""

import asyncio
import json
from collections.abc import Mapping, Sequence

import aiohttp
import numpy as np
from prometheus_client import Counter
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    wait_exponential_jitter,
)

from sluice_api.objects.knowledge_base import EndpointEmbedding
from sluice_minilm.model import normalised
from sluice_retriever.domain.model import Floats
from sluice_retriever.encoding import wire
from sluice_retriever.encoding.encoder import MAX_QUESTION_CHARACTERS
from sluice_servicekit import deadlines, upstream
from sluice_servicekit import telemetry_names as names
from sluice_servicekit.errors import (
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    ResourceExhausted,
    ServiceError,
    Unavailable,
)

_FAILURES = Counter(names.EMBEDDING_FAILURES, "Calls to embedding endpoints that failed", ("reason",))

#: Requests with chunks at the same time.
_CONCURRENCY = 4

#: How often a request is sent at most; an ingestion has more patience than a question.
_QUESTION_ATTEMPTS, _CHUNK_ATTEMPTS = 2, 6

#: Between attempts where the endpoint names no time.
_BACKOFF = wait_exponential_jitter(multiplier=0.25, jitter=0.25)

#: Who asks for more patience, in seconds, is not asked again.
_LONGEST_WAIT = 60.0


class Endpoint:
    """A dense model behind HTTP.

    Args:
        spec: Where it is and how it is asked.
        protocol: What it speaks.
        api_key: Sent as a bearer token where it is not empty.
    """

    def __init__(self, spec: EndpointEmbedding, protocol: wire.Wire, api_key: str = "") -> None:
        self._spec = spec
        self._wire = protocol
        self._url = spec.url.rstrip("/") + protocol.path
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._slots = asyncio.Semaphore(_CONCURRENCY)
        self._session: aiohttp.ClientSession | None = None
        self.dimension = spec.dimension
        self.identity: dict[str, object] = {
            "url": self._url,
            "model": protocol.model,
            "dimension": spec.dimension,
            "query_prefix": spec.query_prefix,
            "document_prefix": spec.document_prefix,
        }

    async def question(self, text: str) -> Floats:
        """A question's vector.

        Raises:
            ServiceError: the endpoint fails, or cannot be reached in time.
        """
        asked = self._spec.query_prefix + text[:MAX_QUESTION_CHARACTERS]
        vector: Floats = (await self._encoded([asked], _QUESTION_ATTEMPTS))[0]
        return vector

    async def questions(self, texts: Sequence[str]) -> Floats:
        """Many questions' vectors.

        Raises:
            ServiceError: the endpoint fails, or cannot be reached.
        """
        return await self._batched(
            [self._spec.query_prefix + text[:MAX_QUESTION_CHARACTERS] for text in texts]
        )

    async def chunks(self, texts: Sequence[str]) -> Floats:
        """Chunks' vectors.

        Raises:
            ServiceError: the endpoint fails, or cannot be reached.
        """
        return await self._batched([self._spec.document_prefix + text for text in texts])

    async def aclose(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    async def _batched(self, asked: Sequence[str]) -> Floats:
        size = self._spec.batch
        batches = [
            asyncio.create_task(self._in_turn(asked[start : start + size]))
            for start in range(0, len(asked), size)
        ]
        try:
            return np.concatenate(await asyncio.gather(*batches))
        finally:
            for batch in batches:
                batch.cancel()

    async def _in_turn(self, texts: Sequence[str]) -> Floats:
        async with self._slots:
            return await self._encoded(texts, _CHUNK_ATTEMPTS)

    async def _encoded(self, texts: Sequence[str], attempts: int) -> Floats:
        """The texts' vectors; a batch that is refused as too large is sent in halves."""
        try:
            retrying = AsyncRetrying(
                retry=retry_if_exception_type((Unavailable, ResourceExhausted)),
                wait=_wait,
                stop=lambda state: state.attempt_number >= attempts or _is_too_late(state),
                reraise=True,
            )
            return await retrying(self._once, texts)
        except InvalidArgument as error:
            if error.reason != wire.TOO_LARGE or len(texts) == 1:
                raise
        middle = len(texts) // 2
        halves = [await self._encoded(half, attempts) for half in (texts[:middle], texts[middle:])]
        return np.concatenate(halves)

    async def _once(self, texts: Sequence[str]) -> Floats:
        try:
            status, answer, headers = await self._sent(texts)
            if status != 200:
                raise wire.error(status, upstream.message(answer), upstream.retry_after(headers))
            return self._vectors(answer, len(texts))
        except ServiceError as error:
            _FAILURES.labels(error.reason).inc()
            raise

    async def _sent(self, texts: Sequence[str]) -> tuple[int, object, Mapping[str, str]]:
        limit = deadlines.cap(self._spec.timeout)
        try:
            async with self._connected().post(
                self._url,
                json=self._wire.body(texts),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=limit),
                allow_redirects=False,
            ) as response:
                return response.status, _parsed(await response.read()), response.headers
        except TimeoutError as error:
            if deadlines.remaining() == 0:
                raise DeadlineExceeded("the embedding endpoint did not answer in time") from error
            message = f"the embedding endpoint at {self._spec.url} did not answer within {limit:g} s"
            raise Unavailable(message, reason="EMBEDDING_TIMEOUT") from error
        except aiohttp.ClientError as error:
            message = f"the embedding endpoint at {self._spec.url} cannot be reached: {type(error).__name__}"
            raise Unavailable(message, reason="EMBEDDING_UNREACHABLE") from error

    def _vectors(self, answer: object, count: int) -> Floats:
        try:
            rows = self._wire.rows(answer)
            vectors = np.array(rows, np.float32)
        except (KeyError, TypeError, ValueError):
            rows, vectors = [], np.empty((0, 0), np.float32)
        if vectors.ndim != 2 or len(rows) != count or not np.isfinite(vectors).all():
            raise FailedPrecondition(
                f"the embedding endpoint's answer is not {count} vectors", reason="EMBEDDING_ANSWER"
            )
        if vectors.shape[1] != self.dimension:
            raise FailedPrecondition(
                f"the embedding endpoint's vectors have {vectors.shape[1]} dimensions,"
                f" the knowledge base says {self.dimension}",
                reason="EMBEDDING_DIMENSION",
            )
        return normalised(vectors)

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session


def _wait(state: RetryCallState) -> float:
    error = state.outcome and state.outcome.exception()
    asked = error.retry_after if isinstance(error, Unavailable | ResourceExhausted) else None
    return _BACKOFF(state) if asked is None else asked


def _is_too_late(state: RetryCallState) -> bool:
    """Nobody would be there for the next attempt's answer."""
    return state.upcoming_sleep >= (deadlines.cap(_LONGEST_WAIT) or 0.0)


def _parsed(content: bytes) -> object:
    """JSON, or what else was sent as text."""
    try:
        parsed: object = json.loads(content)
    except ValueError:
        return content[:500].decode(errors="replace")
    return parsed
