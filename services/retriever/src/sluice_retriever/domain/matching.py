"""How tokens are matched where not everything that may be wanted is stored."""

from collections.abc import Sequence

from sluice_api.objects.retrieval import TokenMatch
from sluice_retriever.domain.model import QuestionVectors
from sluice_servicekit.errors import InvalidArgument


def token_match(
    asked: TokenMatch | None, decided: TokenMatch, stored: Sequence[TokenMatch], knowledge_base: str
) -> TokenMatch:
    """What is decided, or what is stored where that is something else and nobody asks for the one in particular.

    A knowledge base's own wish waits for a rebuild, as its other settings do.

    Args:
        asked: What the search itself asks for.
        decided: After the knowledge base's and the defaults have been filled in.
        stored: Best first.
        knowledge_base: Its name.

    Raises:
        InvalidArgument: the search asks for what is not stored.
    """
    if decided is TokenMatch.OFF or decided in stored:
        return decided
    if asked is None:
        return stored[0] if stored else TokenMatch.OFF
    raise InvalidArgument(
        f"knowledge base {knowledge_base!r} stores nothing for token match `{decided}`: add it to its"
        f" spec.tokens.match, then run `sluice rebuild {knowledge_base}`",
        reason="TOKEN_MATCH_NOT_STORED",
        field="parameters.token_match",
    )


def require_ids(vectors: QuestionVectors, match: TokenMatch) -> None:
    """Raises `InvalidArgument` where like tokens are to be matched and a question's are not named."""
    if match is TokenMatch.EXACT and len(vectors.token_ids) < len(vectors.tokens):
        raise InvalidArgument(
            "the question's vectors do not say which tokens they are of", field="question_vectors.token_ids"
        )
