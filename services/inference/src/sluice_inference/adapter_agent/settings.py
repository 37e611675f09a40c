"""Settings of the adapter agent."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import ByteSize, Field, model_validator
from yarl import URL

from sluice_servicekit.addresses import is_loopback
from sluice_servicekit.fetching.policy import Policy
from sluice_servicekit.settings import ServiceSettings


class AdapterAgentSettings(ServiceSettings):
    """What the adapter agent can be told."""

    token_file: Path | None = None
    """The token that the operator sends, 32 bytes at least; needed where others than this machine can reach the
    agent. It is read anew for each call."""

    adapters_dir: Path = Path(".sluice/adapters")
    """The folder that vLLM reads adapters from; the agent alone writes there."""
    engine_adapters_dir: Path | None = None
    """The same folder as vLLM sees it, where it is mounted elsewhere there."""
    disk_budget: ByteSize = ByteSize(20 << 30)
    """Bytes that adapters may take up; those that are not loaded make way, the one used longest ago first."""
    keep_seconds: Annotated[float, Field(ge=0, le=86400)] = 300.0
    """How long an adapter stays at least after it was last used; longer than a request may take, since vLLM may read
    the adapter for one that came before it was unloaded."""
    max_adapter: ByteSize = ByteSize(4 << 30)
    """Bytes that one file or archive of an adapter may have, packed and unpacked."""

    engine_url: str = "http://127.0.0.1:8000"
    """vLLM on this machine."""
    engine_api_key_file: Path | None = None
    """The key that vLLM was started with."""
    engine_load_seconds: Annotated[float, Field(gt=0, le=3600)] = 300.0
    """How long vLLM may take to load or unload one adapter; the caller's deadline goes before."""

    max_lora_rank: Annotated[int, Field(ge=1, le=512)] = 16
    """vLLM's `--max-lora-rank`."""
    base_models: str = ""
    """The base model's names, parted by commas, `*` for any part: what adapters may name as theirs."""
    base_model_dir: Path | None = None
    """The base model's folder, with its config.json and its weights, whose headers tell the shapes of its modules."""

    fetch: str = "public"
    """Which servers sources may name: `off`, or a list parted by commas of `public` (any address of the public
    internet), host names (`*.example.com` for all below), addresses and networks."""
    fetch_ports: str = "80,443"
    """Their ports."""
    fetch_seconds: Annotated[float, Field(gt=0, le=86400)] = 600.0
    """How long one adapter may take to come."""
    fetch_concurrency: Annotated[int, Field(ge=1, le=64)] = 2
    """Adapters fetched at the same time."""

    local_roots: str = ""
    """Folders below which local sources may lie, parted by commas."""
    pvc_root: Path | None = None
    """The folder that holds a mount for each claim, by its name."""
    hub_url: str = "https://huggingface.co"
    """The hub, or a mirror of it."""
    hub_token_file: Path | None = None
    """A token for the hub."""
    s3_region: str = "us-east-1"
    """The region of buckets."""
    s3_credentials_file: Path | None = None
    """An AWS credentials file, of which the profile `default` is used."""
    registry_credentials_file: Path | None = None
    """A `config.json` of Docker, as Secrets for images hold it."""
    insecure_registries: str = ""
    """Registries (`host:port`) that are asked over plain HTTP, parted by commas."""
    http_credentials_file: Path | None = None
    """A `.netrc` with logins of the hosts that archives come from."""

    @property
    def policy(self) -> Policy:
        """`fetch` and `fetch_ports`."""
        return Policy.parse(self.fetch, self.fetch_ports)

    @property
    def roots(self) -> tuple[Path, ...]:
        """`local_roots`."""
        return tuple(Path(root) for root in listed(self.local_roots))

    @model_validator(mode="after")
    def _understood(self) -> Self:
        _ = self.policy
        if not all(root.is_absolute() for root in self.roots):
            raise ValueError("SLUICE_LOCAL_ROOTS are absolute paths")
        url = URL(self.engine_url)
        if url.scheme != "http" or not is_loopback(url.host or ""):
            raise ValueError("SLUICE_ENGINE_URL is http:// and of this machine: vLLM's key is sent there")
        return self


def listed(text: str) -> tuple[str, ...]:
    """The entries of a list that is parted by commas."""
    return tuple(entry.strip() for entry in text.split(",") if entry.strip())
