"""Which knowledge bases there are, and each one's generation in force."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_retriever.encoding.encoders import Encoders, KnowledgeBaseEncoder
from sluice_retriever.keyword.opening import KeywordStores
from sluice_retriever.store.engine import Engine, Filling
from sluice_retriever.store.engines import Engines
from sluice_retriever.store.schema import Manifest, Shape
from sluice_retriever.store.sharing import Gate
from sluice_retriever.store.store import Store
from sluice_servicekit.errors import FailedPrecondition, NotFound, ServiceError, Unavailable

#: Seconds between two attempts to open a knowledge base whose server could not be reached.
_TRY_AGAIN = 1.0

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Home:
    """A knowledge base as it is open now."""

    name: str
    spec: KnowledgeBaseSpec
    manifest: Manifest
    encoder: KnowledgeBaseEncoder
    """Of the generation's model, which need not be the spec's before a rebuild."""
    store: Store
    engine: Engine
    writing: Gate
    """Held by whoever writes, and alone while one generation takes another's place."""


@dataclass(frozen=True)
class Absent:
    """A knowledge base whose server cannot be reached or has another generation by now; opened as soon as it can be."""

    spec: KnowledgeBaseSpec
    error: ServiceError
    """What requests to it get until then."""
    before: Store | None = None
    """Open until now; to be let go of first."""


@dataclass(frozen=True)
class Building:
    """A generation that is being built beside the one in force."""

    manifest: Manifest
    encoder: KnowledgeBaseEncoder
    filling: Filling
    same_vectors: bool
    """What is stored need not be encoded again."""


class KnowledgeBases:
    """All knowledge bases of this retriever.

    Args:
        engines: Where they are kept.
        encoders: Their models.
        keywords: The keyword stores beside them.
    """

    def __init__(self, engines: Engines, encoders: Encoders, keywords: KeywordStores) -> None:
        self._engines = engines
        self._encoders = encoders
        self._keywords = keywords
        self._homes: dict[str, Home] = {}
        self._building: set[str] = set()
        self._changing = asyncio.Lock()
        self._absent: dict[str, Absent] = {}
        self._opening: asyncio.Task[None] | None = None
        engines.when_replaced(self._open_anew)

    async def apply(self, specs: Mapping[str, KnowledgeBaseSpec]) -> None:
        """Opens what is new or changed, closes what is gone. A removed knowledge base's data stays. One whose server
        cannot be reached is opened later, and costs the others nothing.

        Raises:
            FailedPrecondition: a knowledge base cannot be opened as its spec says; it stays as it was.
        """
        async with self._changing:
            for name, spec in specs.items():
                home = self._homes.get(name)
                if home is None or home.spec.deployment != spec.deployment:
                    await self._open_or_note(name, spec)
                elif home.spec != spec:
                    store = await self._keywords.renew(name, home.spec, spec, home.store)
                    self._homes[name] = replace(home, spec=spec, store=store)
                    if home.spec.fields != spec.fields:
                        await home.engine.open(name, home.manifest, spec)  # which indexes them
                    _tell_of_rebuild(name, spec, home.manifest)
            for name in self._homes.keys() - specs.keys():
                await self._homes.pop(name).store.close()
            for name in self._absent.keys() - specs.keys():
                del self._absent[name]

    def home(self, name: str) -> Home:
        """A knowledge base.

        Raises:
            NotFound: there is none of that name.
            Unavailable: its server cannot be reached.
        """
        if name in self._absent:
            # It is raised by every request: their frames must not pile up.
            raise self._absent[name].error.with_traceback(None)
        if name not in self._homes:
            known = ", ".join(sorted(self._homes)) or "none"
            raise NotFound(
                f"there is no knowledge base {name!r}; there is: {known}", reason="KNOWLEDGE_BASE_NOT_FOUND"
            )
        return self._homes[name]

    def homes(self) -> list[Home]:
        """All knowledge bases."""
        return list(self._homes.values())

    @asynccontextmanager
    async def building(self, name: str) -> AsyncIterator[Building]:
        """A generation that is as the spec now says, to be filled and then taken; one that an earlier attempt left
        goes on.

        Raises:
            NotFound: there is no such knowledge base.
            FailedPrecondition: it is being rebuilt already.
        """
        home = self.home(name)
        if name in self._building:
            raise FailedPrecondition(
                f"knowledge base {name!r} is being rebuilt already", reason="REBUILD_RUNNING"
            )
        self._building.add(name)
        try:
            manifest = await self._begun(home)
            encoder = await self._encoders.of(manifest.shape.embedding)
            same_model = manifest.model_digest == home.manifest.model_digest
            stored = set(home.manifest.shape.tokens.match)
            same_vectors = same_model and stored.issuperset(manifest.shape.tokens.match)
            async with home.engine.filling(name, manifest, home.spec) as filling:
                yield Building(manifest, encoder, filling, same_vectors)
        finally:
            self._building.discard(name)

    async def take(self, name: str, building: Building) -> None:
        """Puts another generation in force. Nobody may write to the knowledge base meanwhile."""
        await building.filling.close()
        home, manifest = self.home(name), building.manifest
        await home.engine.put_in_force(name, manifest)
        vectors = await home.engine.open(name, manifest, home.spec)
        store = await self._keywords.move(home.store, vectors)
        self._homes[name] = replace(home, manifest=manifest, encoder=building.encoder, store=store)
        await home.engine.keep_only(name, manifest.generation)

    async def close(self) -> None:
        """Closes all knowledge bases."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        for home in self._homes.values():
            await self._keywords.close(home.store)
        await self._engines.close()

    async def _open_or_note(self, name: str, spec: KnowledgeBaseSpec) -> None:
        before = self._homes.get(name)
        try:
            self._homes[name] = await self._open(name, spec)
            self._absent.pop(name, None)
        except Unavailable as error:
            _LOG.warning("knowledge base %r: %s", name, error)
            self._homes.pop(name, None)
            self._note(name, Absent(spec, error))
        if before is not None:
            await before.store.close()

    def _open_anew(self, name: str, generation: str) -> None:
        home = self._homes.get(name)
        if home is not None and home.manifest.generation == generation:
            del self._homes[name]
            error = Unavailable(f"knowledge base {name!r} is opened anew", retry_after=_TRY_AGAIN)
            self._note(name, Absent(home.spec, error, home.store))

    def _note(self, name: str, absent: Absent) -> None:
        self._absent[name] = absent
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open_absent())

    async def _open_absent(self) -> None:
        while self._absent:
            await asyncio.sleep(_TRY_AGAIN)
            async with self._changing:
                for name, absent in list(self._absent.items()):
                    if absent.before is not None:
                        await absent.before.close()
                    try:
                        self._homes[name] = await self._open(name, absent.spec)
                        del self._absent[name]
                    except ServiceError as error:
                        self._absent[name] = Absent(absent.spec, error)

    async def _open(self, name: str, spec: KnowledgeBaseSpec) -> Home:
        engine = self._engines.of(spec.deployment)
        manifest = await engine.current(name)
        if manifest is None:
            await engine.keep_only(name)
            manifest = await self._manifest(spec, engine, name)
            await engine.create(name, manifest, spec)
            await engine.put_in_force(name, manifest)
        encoder = await self._encoders.of(manifest.shape.embedding)
        if encoder.model_digest != manifest.model_digest:
            raise FailedPrecondition(
                f"knowledge base {name!r} was encoded by another model than its embedding now names;"
                " put the model back, or remove the knowledge base's data and ingest again",
                reason="MODEL_CHANGED",
            )
        _tell_of_rebuild(name, spec, manifest)
        store = await self._keywords.beside(name, spec, await engine.open(name, manifest, spec))
        return Home(name, spec, manifest, encoder, store, engine, Gate())

    async def _begun(self, home: Home) -> Manifest:
        """The generation to fill: one that was begun as the spec still says, or a new one."""
        wanted = await self._manifest(home.spec, home.engine, home.name)
        for begun in await home.engine.begun(home.name, home.manifest):
            if begun.model_copy(update={"generation": wanted.generation}) == wanted:
                return begun
        await home.engine.keep_only(home.name, home.manifest.generation)
        await home.engine.create(home.name, wanted, home.spec)
        return wanted

    async def _manifest(self, spec: KnowledgeBaseSpec, engine: Engine, name: str) -> Manifest:
        encoder = await self._encoders.of(spec.embedding)
        names = await engine.names(name)
        number = int(names[-1].removeprefix("g")) + 1 if names else 1
        return Manifest(
            generation=f"g{number:06}",
            model_digest=encoder.model_digest,
            dense_dimension=encoder.dense_dimension,
            shape=Shape.of(spec),
        )


def _tell_of_rebuild(name: str, spec: KnowledgeBaseSpec, manifest: Manifest) -> None:
    if Shape.of(spec) != manifest.shape:
        _LOG.warning(
            "knowledge base %r keeps its embedding, dense, tokens and sparse settings until it is rebuilt:"
            " sluice rebuild %s",
            name,
            name,
        )
