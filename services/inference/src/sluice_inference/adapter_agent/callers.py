"""Who may call: the operator, by a token that both have."""

import hmac
from pathlib import Path
from typing import Any, Final

from sluice_servicekit import secret_files
from sluice_servicekit.addresses import is_loopback, parse_address
from sluice_servicekit.errors import FailedPrecondition, Unauthenticated

_BEARER: Final = "bearer "
_NAME: Final = "the adapter agent's token"


class Callers:
    """Checks each call.

    Args:
        token_file: Holds the token; read for each call, so that it can be rotated. None lets all of this machine call.
        listen: `host:port` that the agent listens on.

    Raises:
        FailedPrecondition: others can reach the agent and there is no token, or it cannot be read.
    """

    def __init__(self, token_file: Path | None, listen: str) -> None:
        self._token_file = token_file
        if token_file is not None:
            secret_files.read_secret(token_file, _NAME)
        elif not is_loopback(parse_address(listen)[0]):
            raise FailedPrecondition(
                f"others can reach {listen}: set SLUICE_TOKEN_FILE to a file with the operator's token"
            )

    def check(self, context: Any) -> None:
        """Lets a call with the token pass.

        Args:
            context: The call, as gRPC gives it.

        Raises:
            Unauthenticated: it has none, or another one.
        """
        if self._token_file is None:
            return
        token = secret_files.read_secret(self._token_file, _NAME).strip()
        sent = dict(context.invocation_metadata() or ()).get("authorization", "")
        given = sent[len(_BEARER) :] if sent[: len(_BEARER)].lower() == _BEARER else ""
        if not hmac.compare_digest(given.encode(), token):
            raise Unauthenticated("the call has no token of this agent; send `authorization: Bearer <token>`")
