"""Settings of a process: read once from `SLUICE_*` variables, frozen, with working defaults."""

import os
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from sluice_servicekit.limits import MAX_MESSAGE_BYTES

#: Marks a setting whose default is another one in each process.
OF_ONE_PROCESS = "of_one_process"


def _instance() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class ServiceSettings(BaseSettings):
    """What every service can be told."""

    model_config = SettingsConfigDict(
        env_prefix="SLUICE_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    listen: str = "127.0.0.1:0"
    """Where the gRPC server listens, `host:port`."""
    metrics_listen: str = ""
    """Where `/metrics` is served, `host:port`; off when empty."""
    snapshot_address: str = ""
    """The snapshot server, `host:port`."""
    data_dir: Path = Path(".sluice")
    """Where the process keeps what must survive it."""
    secrets_dir: Path | None = None
    """A folder with one file for each secret, as Kubernetes mounts them."""
    instance: str = Field(default_factory=_instance, json_schema_extra={OF_ONE_PROCESS: True})
    """This process's name, unique within its service."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "text"] = "json"
    traces: str = "off"
    """`off`, `otlp` (with the standard OTEL_EXPORTER_OTLP_* variables) or `file:<path>` (JSON lines)."""
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 5.0
    """How long calls in flight may still take after SIGTERM."""
    max_message_bytes: Annotated[int, Field(ge=1 << 16, le=1 << 28)] = MAX_MESSAGE_BYTES
    """The largest gRPC message accepted."""
