"""What the gateway can be told."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from sluice_servicekit.settings import ServiceSettings

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s]+")


class GatewaySettings(ServiceSettings):
    """Settings of the gateway."""

    http_listen: str = "127.0.0.1:8080"
    """Where the HTTP API listens: `host:port`, or `fd:<number>` of a socket that the parent process holds, so that
    callers wait rather than fail while the gateway is started again."""
    guardrail_address: str = "127.0.0.1:7101"
    retriever_address: str = "127.0.0.1:7102"
    reranker_address: str = "127.0.0.1:7103"
    inference_address: str = "127.0.0.1:7104"
    database_url: SecretStr = SecretStr("")
    """`postgresql://…` for journal, durable runs and all that replicas share; SQLite in `data_dir` where empty."""
    api_keys_file: Path | None = None
    """Who may ask, and how much: a file, or a folder of them. Without it the gateway is open and listens on loopback
    only."""
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 256
    """The most runs at the same time; more are refused with 429. How many there may be below that is learnt."""
    min_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 8
    """The least that the learnt limit falls to; the same as `max_in_flight` fixes it."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 28)] = 1 << 20
    """The largest body of a question or search."""
    max_ingest_body_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 64 << 20
    """The largest body of an ingestion."""
    answer_cache_bytes: Annotated[int, Field(ge=0, le=1 << 36)] = 64 << 20
    """What the answers that pipelines cache may take of this process's memory, about; 0 keeps none."""
    heartbeat_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Silence on a stream after which a comment is sent, so that proxies keep it open."""
    cors_origins: str = ""
    """Origins, parted by blanks, whose web pages may call from a browser, such as `https://console.example`; `*` for
    any. None when empty."""
    journal_key_file: Path | None = None
    """The journal's secret, where it is to be kept apart from the journal."""
    journal_synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    """NORMAL survives the death of the process; FULL the loss of power too, at a sync for each commit."""
    journal_capacity: Annotated[int, Field(ge=1024, le=10_000_000)] = 65_536
    """Events that may wait to be written."""
    max_durable_runs: Annotated[int, Field(ge=1, le=1000)] = 16
    """Durable runs that go on at the same time in this process; more wait their turn."""
    durable_retention_days: Annotated[float, Field(gt=0, le=3650)] = 7.0
    """How long a durable run that has ended can be resumed from where it stopped."""
    journal_retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    """Whole days that the journal goes back; what is older is cut, and a signed stub left. 0 keeps all."""
    payload_key_file: Path | None = None
    """What payloads are sealed with, where replicas share it; made in `data_dir` otherwise."""
    retry_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """Retries that all runs together may make, for each first attempt at a step; each service has its own budget."""
    retries_per_second: Annotated[float, Field(ge=0, le=10_000)] = 10.0
    """Retries that are allowed besides; ten seconds of them are saved up, so that a restart goes unnoticed."""

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: str) -> str:
        for origin in origins.split():
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin} is no origin: scheme://host or scheme://host:port, without a path"
                )
        return origins

    @property
    def origins(self) -> tuple[str, ...]:
        """Each of `cors_origins`."""
        return tuple(self.cors_origins.split())
