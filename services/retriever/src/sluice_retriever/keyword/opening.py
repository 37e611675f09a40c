"""Which keyword store a knowledge base has, and putting it beside its vectors."""

from pathlib import Path

from sluice_api.objects.knowledge_base import KnowledgeBaseSpec
from sluice_retriever.keyword.paired_store import PairedStore
from sluice_retriever.keyword.search_server import SearchServerStore
from sluice_retriever.keyword.store import KeywordStore
from sluice_retriever.keyword.tantivy_store import TantivyStore
from sluice_retriever.store.store import Store
from sluice_servicekit import secrets

#: Seconds for which a write that is not in force is left alone where other retrievers may be writing it.
_GRACE = 3600.0


class KeywordStores:
    """The keyword stores of all knowledge bases.

    Args:
        root: The folder of the embedded ones: `<root>/<knowledge base>/keyword`.
        secrets_dir: Where the servers' secrets are.
    """

    def __init__(self, root: Path, secrets_dir: Path | None) -> None:
        self._root = root
        self._secrets_dir = secrets_dir

    async def beside(self, name: str, spec: KnowledgeBaseSpec, vectors: Store) -> Store:
        """The vectors with the keyword store that the spec asks for.

        Raises:
            FailedPrecondition: a secret cannot be read.
        """
        return await self._paired(name, spec, vectors, self._make(name, spec))

    async def renew(
        self, name: str, before: KnowledgeBaseSpec, spec: KnowledgeBaseSpec, store: Store
    ) -> Store:
        """The store with another keyword store, or none, where the spec now asks for that.

        Raises:
            FailedPrecondition: a secret cannot be read; nothing has changed then.
        """
        if _part(before) == _part(spec):
            return store
        keyword = self._make(name, spec)
        vectors = await store.detach() if isinstance(store, PairedStore) else store
        return await self._paired(name, spec, vectors, keyword)

    async def move(self, store: Store, vectors: Store) -> Store:
        """Another generation's vectors, with the keyword store that stands beside the present one's."""
        return await store.onto(vectors) if isinstance(store, PairedStore) else vectors

    async def close(self, store: Store) -> None:
        """Closes the keyword store beside these vectors, where there is one."""
        if isinstance(store, PairedStore):
            await store.detach()

    async def _paired(
        self, name: str, spec: KnowledgeBaseSpec, vectors: Store, keyword: KeywordStore | None
    ) -> Store:
        if keyword is None:
            return vectors
        grace = _GRACE if spec.deployment.self_hosted else 0.0
        paired = PairedStore(name, vectors, keyword, grace)
        await paired.start()
        return paired

    def _make(self, name: str, spec: KnowledgeBaseSpec) -> KeywordStore | None:
        if spec.keyword is None:
            return None
        language = spec.sparse.language
        server = spec.keyword.open_search or spec.keyword.elasticsearch
        if server is None:
            return TantivyStore(self._root / name / "keyword", language)
        secret = secrets.read(self._secrets_dir, server.api_key_secret, f"knowledge base {name!r}")
        index = server.index or f"sluice-{name}"
        return SearchServerStore(server.url, index, language, secret, server.api_key_secret)


def _part(spec: KnowledgeBaseSpec) -> tuple[object, ...]:
    """What of a spec its keyword store is made from."""
    return spec.keyword, spec.sparse.language
