"""How many tokens a run may take, before it is known. Pure."""

from sluice_gateway.domain.model import RunRequest

#: Characters of a token, about.
_CHARACTERS = 4

#: Tokens of an answer whose length the request does not bound.
_UNBOUNDED = 512


def estimated(request: RunRequest) -> int:
    """Tokens to reserve: those of the messages, and the most that may be written."""
    read = sum(len(message.content) for message in request.messages)
    written = request.sampling.max_tokens
    return -(-read // _CHARACTERS) + (_UNBOUNDED if written is None else written)
