"""Streams before a source that fails, falls behind and forgets."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import CONFIG_MAPS, PODS, Resource
from sluice_operator.cluster.watching import Scope, Watching
from sluice_operator.operating import scopes_of
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.news import News
from sluice_operator.reconciling.wakeups import Wakeups
from sluice_servicekit import errors
from support.toys import ToyKind
from support.waiting import until


def thing(uid: str, version: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": uid, "namespace": "default", "uid": uid, "resourceVersion": str(version)},
    }


class Script:
    """Lists and streams in turn; what is an error is raised."""

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.since: list[str] = []

    async def snapshot(self, scope: Scope) -> tuple[Sequence[Manifest], str]:
        step = self._next()
        if step is None:
            await asyncio.Event().wait()
        found, version = step
        return found, version

    async def changes(self, scope: Scope, version: str) -> AsyncIterator[tuple[str, Manifest]]:
        self.since.append(version)
        step = self._next()
        if step is None:
            await asyncio.Event().wait()
        for event in step:
            yield event

    def _next(self) -> Any:
        step = self.steps.pop(0) if self.steps else None
        if isinstance(step, Exception):
            raise step
        return step


async def told(script: Script, uids: set[str]) -> Mirror:
    mirror = Mirror()
    watching = Watching(script, News([], mirror, Wakeups()), [Scope(CONFIG_MAPS)])

    async def as_wanted() -> bool:
        there = {each["metadata"]["uid"] for each in mirror.all(CONFIG_MAPS)}
        return not script.steps and there == uids

    async with watching.running():
        await until(as_wanted, 20.0)
        await watching.synced()
    return mirror


async def test_a_stream_goes_on_where_it_ended() -> None:
    bookmark = ("BOOKMARK", {"metadata": {"resourceVersion": "9"}})
    script = Script(
        ([thing("a", 1)], "5"), [("ADDED", thing("b", 7))], [bookmark], [("DELETED", thing("a", 11))]
    )

    await told(script, {"b"})

    assert script.since == ["5", "7", "9", "11"]


async def test_what_vanished_while_a_stream_was_down_is_missed() -> None:
    script = Script(
        ([thing("a", 1), thing("b", 2)], "5"), errors.FailedPrecondition("too old"), ([thing("b", 2)], "8")
    )

    mirror = await told(script, {"b"})

    assert not mirror.put(CONFIG_MAPS, thing("a", 3))  # a reply that comes late


@pytest.mark.parametrize("error", [errors.Unavailable("no"), errors.PermissionDenied("no")])
async def test_a_source_that_fails_is_asked_again(error: errors.ServiceError) -> None:
    await told(
        Script(error, ([thing("a", 1)], "5"), error, ([thing("a", 1), thing("b", 6)], "6")), {"a", "b"}
    )


async def test_nothing_is_synced_before_all_is_told_and_what_is_not_installed_is_nothing() -> None:
    class Source(Script):
        async def snapshot(self, scope: Scope) -> tuple[Sequence[Manifest], str]:
            if scope.resource == PODS:
                raise errors.Unimplemented("no pods")
            return await super().snapshot(scope)

    slow = Source()
    watching = Watching(slow, News([], Mirror(), Wakeups()), [Scope(CONFIG_MAPS), Scope(PODS)])
    async with watching.running():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watching.synced(), 0.2)
    quick = Source(([], "1"))
    watching = Watching(quick, News([], Mirror(), Wakeups()), [Scope(CONFIG_MAPS), Scope(PODS)])
    async with watching.running():
        await asyncio.wait_for(watching.synced(), 60)


async def test_the_longest_silence_is_told_with_its_stream() -> None:
    now = 100.0
    script = Script(([], "1"))
    watching = Watching(script, News([], Mirror(), Wakeups()), [Scope(CONFIG_MAPS)], lambda: now)
    async with watching.running():
        await watching.synced()
        now = 142.0
        assert watching.silence() == (42.0, "configmaps")


def test_what_is_watched_is_as_little_as_will_do() -> None:
    class Listening(ToyKind):
        listens: tuple[Resource, ...] = (PODS, CONFIG_MAPS)
        selectors = {PODS: "sluice.dev/model-server"}  # noqa: RUF012

    children = Scope(CONFIG_MAPS, None, "app.kubernetes.io/managed-by=sluice-operator")
    kind = ToyKind()
    assert scopes_of([kind]) == [Scope(kind.resource), children]
    assert scopes_of([Listening()], ["one", "two"]) == [
        Scope(resource, namespace, selector)
        for resource, selector in (
            (kind.resource, ""),
            (CONFIG_MAPS, ""),
            (PODS, "sluice.dev/model-server"),
        )
        for namespace in ("one", "two")
    ]
