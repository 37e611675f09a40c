"""Toys on a real API server: made, looked at, waited for."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import CONFIG_MAPS, EVENTS, Resource
from support.api_server import ApiServer
from support.toys import CRD, toy
from support.waiting import until

TOYS = Resource("sluice.dev", "v1alpha1", "toys", "Toy")


def install(server: ApiServer) -> None:
    """Has the API server know toys."""
    server.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(CRD))
    server.kubectl("wait", "--for=condition=Established", "crd/toys.sluice.dev", "--timeout=60s")


def condition(found: Manifest | None, name: str) -> Mapping[str, Any]:
    """One of an object's conditions; empty where it does not have it."""
    conditions = ((found or {}).get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == name), {})


@dataclass(frozen=True, slots=True)
class ToyCluster:
    """What a person does in one namespace."""

    server: ApiServer
    cluster: KubeCluster
    namespace: str

    async def kubectl(self, *arguments: str, stdin: str = "", check: bool = True) -> str:
        """What kubectl prints."""
        return await asyncio.to_thread(
            self.server.kubectl, "-n", self.namespace, *arguments, stdin=stdin, check=check
        )

    async def make(self, name: str, **spec: Any) -> None:
        """A toy as it is from now on, sent as kubectl does."""
        manifest = json.dumps(toy(name, self.namespace, **spec))
        await self.kubectl("apply", "-f", "-", stdin=manifest)

    async def get(self, name: str) -> Manifest | None:
        return await self.cluster.get(TOYS, self.namespace, name)

    async def config_maps(self) -> dict[str, Manifest]:
        """By name, those that the operator has made."""
        labels = {"app.kubernetes.io/managed-by": "sluice-operator"}
        found = await self.cluster.list(CONFIG_MAPS, self.namespace, labels)
        return {each["metadata"]["name"]: each for each in found}

    async def events(self, name: str) -> list[Manifest]:
        """About a toy."""
        found = await self.cluster.list(EVENTS, self.namespace)
        return [each for each in found if each["regarding"]["name"] == name]

    async def wait(self, name: str, type_: str, reason: str) -> Manifest:
        """The toy, once a condition has a reason and is about its newest generation."""

        async def is_so() -> Manifest | None:
            found = await self.get(name)
            if found is None or condition(found, type_).get("reason") != reason:
                return None
            current = found["metadata"]["generation"]
            return found if found["status"]["observedGeneration"] == current else None

        return await until(is_so, what=f"{type_} of {name}")

    def writes(self) -> list[str]:
        """What the operator has sent about this namespace, in order: verb and path."""
        return [
            f"{entry['verb']} {entry['requestURI']}"
            for entry in self.server.writes("sluice-operator")
            if entry.get("objectRef", {}).get("namespace") == self.namespace
        ]
