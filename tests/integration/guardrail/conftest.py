"""A running guardrail: real server, real threads, the real classifier."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from sluice.guardrail.v1 import guardrail_pb2, guardrail_pb2_grpc
from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_api.snapshot import CompiledPolicy, Snapshot
from sluice_guardrail.service import build
from sluice_guardrail.settings import GuardrailSettings
from sluice_servicekit.channels import open_channel
from sluice_servicekit.grpc_server import serving
from sluice_servicekit.service import ServiceContext
from sluice_servicekit.snapshots import Snapshots

CLASSIFIER = "prompt-injection-classifier"
#: Time enough for everything, however busy the machine is.
PATIENT = GuardrailPolicySpec.model_validate({"budget": "60s"})


@dataclass(frozen=True)
class Client:
    """The guardrail."""

    stub: guardrail_pb2_grpc.GuardrailServiceStub
    channel: grpc.aio.Channel
    snapshots: Snapshots

    async def take(self, policies: Mapping[str, GuardrailPolicySpec]) -> str:
        """Puts policies in force; gives the reasons for refusing some of them."""
        taken = snapshot(policies)
        assert await self.snapshots.take(taken.digest, taken.content) == ""
        return "; ".join(self.snapshots.problems)

    async def guard(self, text: str, **more: object) -> guardrail_pb2.Verdict:
        """What a policy makes of what a user writes."""
        fields = {"text": text, "channel": guardrail_pb2.CHANNEL_USER, **more}
        return (await self.stub.Guard(guardrail_pb2.GuardRequest(**fields))).verdict


def snapshot(policies: Mapping[str, GuardrailPolicySpec]) -> Snapshot:
    """One that holds these policies and nothing else."""
    return Snapshot(
        guardrail_policies={name: CompiledPolicy(version=name, spec=spec) for name, spec in policies.items()}
    )


@asynccontextmanager
async def running(
    folder: Path, policies: Mapping[str, GuardrailPolicySpec] | None = None, **more: object
) -> AsyncIterator[Client]:
    """A guardrail that keeps its data in `folder`; `more` are settings."""
    snapshots = Snapshots()
    settings = GuardrailSettings.model_validate({"data_dir": folder, **more})
    async with (
        build(ServiceContext(settings, snapshots)) as servicers,
        serving(servicers) as address,
        open_channel(address, peer="guardrail") as channel,
    ):
        client = Client(guardrail_pb2_grpc.GuardrailServiceStub(channel), channel, snapshots)
        assert await client.take(policies or {"default": PATIENT}) == ""
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """One guardrail for a module's tests."""
    async with running(tmp_path_factory.mktemp("guardrail")) as client:
        yield client


def report(verdict: guardrail_pb2.Verdict, detector: str = CLASSIFIER) -> guardrail_pb2.DetectorReport:
    """What a detector reports."""
    return next(each for each in verdict.detectors if each.detector == detector)
