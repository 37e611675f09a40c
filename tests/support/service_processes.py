"""Guardrail, retriever, reranker, inference and gateway as real processes that follow a snapshot server."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sluice_cli.supervising.child import Child
from sluice_cli.supervising.layout import Layout
from sluice_cli.supervising.plan import GATEWAY, SERVICES, Wiring, plan
from sluice_cli.supervising.ports import listening, reserved
from support.waiting import until

#: Two cores may be busy with other tests.
_START_SECONDS = 180.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Services:
    """All five, by the gateway's address."""

    url: str
    children: tuple[Child, ...]

    async def ready(self) -> None:
        """Returns once a question can be answered."""
        async with httpx.AsyncClient(base_url=self.url, timeout=10.0, verify=False) as http:

            async def look() -> bool:
                try:
                    return (await http.get("/readyz")).status_code == 200
                except httpx.HTTPError:
                    return False

            await until(look, _START_SECONDS, what="the gateway is ready")

    async def ask(self, question: str, model: str = "default") -> tuple[int, dict[str, Any]]:
        """Status and body of a chat completion."""
        async with httpx.AsyncClient(base_url=self.url, timeout=60.0, verify=False) as http:
            body = {"model": model, "messages": [{"role": "user", "content": question}]}
            reply = await http.post("/v1/chat/completions", json=body)
        return reply.status_code, reply.json()


@asynccontextmanager
async def service_processes(data: Path, snapshot_address: str) -> AsyncIterator[Services]:
    """The processes for the length of the block; they are not waited for.

    Args:
        data: Their folder.
        snapshot_address: `host:port` of the snapshot server; it need not be there yet.
    """
    layout = Layout(data)
    names = (*SERVICES, GATEWAY)
    for name in names:
        layout.of(name).mkdir(parents=True, exist_ok=True)
        layout.log(name).parent.mkdir(parents=True, exist_ok=True)
    with listening("127.0.0.1:0", "") as http, reserved(names) as grpc, reserved(names) as metrics:
        wiring = Wiring(grpc, metrics, snapshot_address, http.fileno())
        children = tuple(Child(spec, lambda: None) for spec in plan(layout, wiring, os.environ, None, ""))
        keeping = [asyncio.create_task(child.keep_alive()) for child in children]
        try:
            yield Services(f"http://127.0.0.1:{http.getsockname()[1]}", children)
        finally:
            await asyncio.gather(*(child.stop(_STOP_SECONDS) for child in children))
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
