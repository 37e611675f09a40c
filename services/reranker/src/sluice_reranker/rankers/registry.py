"""The rankers of the pipelines in force."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sluice_api.objects.base import Model
from sluice_api.objects.ranker import Ranker as RankerSpec
from sluice_api.objects.steps import RerankStep
from sluice_reranker.batching.pairs import Load
from sluice_reranker.batching.pool import Pool, Workers
from sluice_reranker.models.cross_encoder import CrossEncoderModel
from sluice_reranker.models.late_interaction import LateInteractionModel
from sluice_reranker.models.sentence_transformers import SentenceTransformersModel
from sluice_reranker.rankers.arranging import ArrangingRanker
from sluice_reranker.rankers.embedded import EmbeddedRanker
from sluice_reranker.rankers.endpoint import EndpointScorer
from sluice_reranker.rankers.pooled import PooledScorer
from sluice_reranker.rankers.protocol import Ranker, Scorer
from sluice_reranker.rankers.reading import ReadingRanker
from sluice_servicekit import secrets
from sluice_servicekit.errors import FailedPrecondition, NotFound, ServiceError

#: Seconds that what is replaced may still be asked: requests that have begun with it end first.
_LINGER = 5.0


class Rankers:
    """One ranker for each pipeline. What reads is loaded once for all pipelines that ask for the same, and only while
    one does.

    Args:
        workers: The processes of each model that is run here.
        cache: A folder for models that are made of others.
        secrets_dir: Where servers' API keys are.
    """

    def __init__(self, workers: Workers, cache: Path, secrets_dir: Path | None) -> None:
        self._workers = workers
        self._cache = cache
        self._secrets_dir = secrets_dir
        self._embedded = EmbeddedRanker()
        self._scorers: dict[Model, Scorer] = {}
        self._rankers: Mapping[str, Ranker] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._leaving = asyncio.Event()

    async def apply(self, steps: Mapping[str, RerankStep]) -> None:
        """Takes over the rankers of a snapshot's pipelines; all or none. May take seconds, in which the present ones
        serve.

        Raises:
            FailedPrecondition: a model cannot be used, or a secret cannot be read.
        """
        made: dict[Model, Scorer] = {}
        rankers: dict[str, Ranker] = {}
        try:
            for name, step in steps.items():
                ranker = await self._ranker(name, step.ranker, made)
                if not step.arrange.changes_nothing:
                    ranker = ArrangingRanker(ranker, step.arrange, time.time)
                rankers[name] = ranker
        except BaseException:
            for key, scorer in made.items():
                if key not in self._scorers:
                    await scorer.close()
            raise
        gone = [scorer for key, scorer in self._scorers.items() if key not in made]
        self._scorers, self._rankers = made, rankers
        for scorer in gone:
            closing = asyncio.create_task(self._close_later(scorer))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def get(self, pipeline: str) -> Ranker:
        """The ranker of a pipeline; the embedded one where none is named.

        Raises:
            NotFound: there is no pipeline of that name here.
        """
        if not pipeline:
            return self._embedded
        if pipeline not in self._rankers:
            known = ", ".join(sorted(self._rankers)) or "none"
            raise NotFound(
                f"there is no pipeline {pipeline!r} here; there is: {known}", reason="PIPELINE_NOT_FOUND"
            )
        return self._rankers[pipeline]

    async def close(self) -> None:
        """Ends all of them."""
        self._leaving.set()
        await asyncio.gather(*self._closing, return_exceptions=True)
        for scorer in self._scorers.values():
            await scorer.close()
        await self._embedded.close()

    async def _ranker(self, pipeline: str, spec: RankerSpec, made: dict[Model, Scorer]) -> Ranker:
        key = spec.cross_encoder or spec.sentence_transformers or spec.endpoint or spec.late_interaction
        if key is None:
            return self._embedded
        if key not in made:
            try:
                made[key] = self._scorers.get(key) or await self._scorer(pipeline, spec)
            except OSError as error:
                raise FailedPrecondition(
                    f"pipeline {pipeline!r}: the ranker cannot be loaded: {error}", reason="RANKER_MISSING"
                ) from error
            except ServiceError as error:
                raise FailedPrecondition(
                    f"pipeline {pipeline!r}: {error.message}", reason=error.reason
                ) from error
        return ReadingRanker(made[key], spec.candidates, self._embedded, spec.blend or 0.0)

    async def _scorer(self, pipeline: str, spec: RankerSpec) -> Scorer:
        if spec.endpoint is not None:
            secret = spec.endpoint.api_key_secret
            return EndpointScorer(spec.endpoint, secrets.read(self._secrets_dir, secret, "the ranker"))
        load: Load = LateInteractionModel
        if spec.cross_encoder is not None:
            load = partial(CrossEncoderModel, spec.cross_encoder, self._cache)
        elif spec.sentence_transformers is not None:
            load = partial(SentenceTransformersModel, spec.sentence_transformers)
        return PooledScorer(await Pool.start(load, self._workers))

    async def _close_later(self, scorer: Scorer) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER):
                await self._leaving.wait()
        await scorer.close()
