"""Runs the operator: streams into the mirror, kopf around the loops, until it is told to stop."""

import asyncio
from collections.abc import Sequence
from typing import Any

import kopf
from kubernetes.aio.client import ApiClient

from sluice_operator.cluster.kube import KubeCluster
from sluice_operator.cluster.watching import Scope, Watching
from sluice_operator.reconciling.announcing import Announcer
from sluice_operator.reconciling.kind import Kind
from sluice_operator.reconciling.labels import MANAGED_BY, OPERATOR
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.news import News
from sluice_operator.reconciling.pacing import Pace
from sluice_operator.reconciling.reconciler import Reconciler
from sluice_operator.reconciling.wakeups import Wakeups
from sluice_operator.settings import OperatorSettings
from sluice_operator.triggers import kopf_settings, registry_of


def scopes_of(kinds: Sequence[Kind[Any, Any]], namespaces: Sequence[str] = ()) -> list[Scope]:
    """What has to be watched for kinds: their objects, their children by label, and what they listen to."""
    selectors: dict[Any, set[str]] = {}
    for kind in kinds:
        selectors.setdefault(kind.resource, set()).add("")
        for resource in kind.applies:
            selectors.setdefault(resource, set()).add(f"{MANAGED_BY}={OPERATOR}")
        for resource in kind.listens:
            selectors.setdefault(resource, set()).add(kind.selectors.get(resource, ""))
    return [
        Scope(resource, namespace, selector)
        for resource, wanted in selectors.items()
        for selector in ({""} if "" in wanted else sorted(wanted))
        for namespace in (namespaces or (None,))
    ]


async def run_operator(
    kinds: Sequence[Kind[Any, Any]],
    client: ApiClient,
    cluster: KubeCluster,
    mirror: Mirror,
    wakeups: Wakeups,
    settings: OperatorSettings,
    *,
    stop: asyncio.Event,
    ready: asyncio.Event | None = None,
) -> None:
    """Works until `stop` is set.

    Args:
        mirror: Is filled here, before the first pass.
        ready: Set once the mirror has been filled and kopf runs.
    """
    watching = Watching(cluster, News(kinds, mirror, wakeups), scopes_of(kinds, settings.namespaces))
    reconciler = Reconciler(
        cluster,
        mirror,
        turns=asyncio.Semaphore(settings.concurrent_passes),
        announcer=Announcer(cluster, settings.instance),
    )
    pace = Pace(settings.resync_seconds, settings.backoff_base_seconds, settings.backoff_cap_seconds)
    registry = registry_of(kinds, reconciler, wakeups, pace, client, watching.synced)
    async with watching.running():
        await watching.synced()
        await kopf.operator(
            registry=registry,
            settings=kopf_settings(),
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
            stop_flag=stop,
            ready_flag=ready,
        )
