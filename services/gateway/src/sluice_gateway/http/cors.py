"""Which web pages of other origins may call the gateway from a browser; none unless the settings name them."""

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

#: Seconds that a browser may keep the answer to a preflight.
_MAX_AGE = 600


def allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Lets pages of these origins call, and read every header of the answers; `*` lets all. Keys travel in
    `Authorization`, never in cookies: without credentials `*` means every header."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=["*"],
            max_age=_MAX_AGE,
        )
