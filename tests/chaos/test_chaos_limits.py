"""Two gateways, processes of their own, on one PostgreSQL: a tenant's limit is theirs together, whichever dies."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from support.gateways import shared_keys
from support.running import until

KEY = "a-key-of-sixteen-characters"
LIMIT = 200

#: The part of a limit that a replica leases at once, and so what one that dies takes along.
BLOCK = LIMIT // 20


class Replica:
    """A gateway without services: what it lets in fails at the guardrail, what it refuses does not get there."""

    def __init__(self, folder: Path, database_url: str, keys: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {
            **os.environ,
            "SLUICE_HTTP_LISTEN": f"127.0.0.1:{port}",
            "SLUICE_DATA_DIR": str(folder),
            "SLUICE_DATABASE_URL": database_url,
            "SLUICE_API_KEYS_FILE": str(keys),
            "SLUICE_GUARDRAIL_ADDRESS": "127.0.0.1:1",
            **shared_keys(folder.parent),
        }
        self.process = subprocess.Popen([sys.executable, "-m", "sluice_gateway"], env=environment)
        headers = {"authorization": f"Bearer {KEY}"}
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers=headers, verify=False, timeout=30
        )

    def is_up(self) -> bool:
        try:
            return self.http.get("/healthz").is_success
        except httpx.TransportError:
            return False

    def let_in(self, calls: int) -> int:
        """How many of so many calls are not refused."""
        statuses = [self.http.post("/v1/guard", json={"text": "?"}).status_code for _ in range(calls)]
        assert set(statuses) <= {429, 503, 504}
        return sum(status != 429 for status in statuses)


@contextmanager
def replicas(folder: Path, database_url: str, keys: Path) -> Iterator[tuple[Replica, Replica]]:
    started = [Replica(folder / name, database_url, keys) for name in ("one", "other")]
    try:
        for replica in started:
            until(replica.is_up, 60, "the gateway is up")
        yield started[0], started[1]
    finally:
        for replica in started:
            replica.http.close()
            replica.process.kill()
            replica.process.wait(30)


@pytest.mark.needs("postgres")
def test_replica_that_is_killed_takes_no_more_than_its_block_along(tmp_path: Path, postgres_url: str):
    keys = tmp_path / "keys.yaml"
    limits = f"tenants: {{acme: {{limits: {{requests_per_minute: {LIMIT}}}}}}}\n"
    keys.write_text(f"keys:\n- {{id: ci, key: {KEY}, tenant: acme}}\n{limits}")
    with replicas(tmp_path, postgres_url, keys) as (one, other):
        started = time.monotonic()
        first = one.let_in(LIMIT // 4)
        assert first == LIMIT // 4
        one.process.kill()
        one.process.wait(30)
        rest = other.let_in(LIMIT)
        back = (time.monotonic() - started) * LIMIT / 60
    # What the dead one had leased and not used is at most two blocks: one in use, one leased ahead.
    assert LIMIT - first - 2 * BLOCK <= rest <= LIMIT - first + back
