"""What the gateway can be told."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from sluice_servicekit.settings import ServiceSettings


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
    """Keys to principals; without it the gateway is open and listens on loopback only."""
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 256
    """Runs at the same time; more are refused with 429."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 28)] = 1 << 20
    """The largest body of a question or search."""
    max_ingest_body_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 64 << 20
    """The largest body of an ingestion."""
    answer_cache_bytes: Annotated[int, Field(ge=0, le=1 << 36)] = 64 << 20
    """What the answers that pipelines cache may take of this process's memory, about; 0 keeps none."""
    heartbeat_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    """Silence on a stream after which a comment is sent, so that proxies keep it open."""
    journal_key_file: Path | None = None
    """The journal's secret, where it is to be kept apart from the journal."""
    journal_synchronous: Literal["NORMAL", "FULL"] = "NORMAL"
    """NORMAL survives the death of the process; FULL the loss of power too, at a sync for each commit."""
    journal_capacity: Annotated[int, Field(ge=1024, le=10_000_000)] = 65_536
    """Events that may wait to be written."""
