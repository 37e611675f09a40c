"""The mirror, the news and the wakeups."""

import asyncio
from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import CONFIG_MAPS, PODS, Resource
from sluice_operator.reconciling.labels import OWNER_UID
from sluice_operator.reconciling.mirror import Mirror
from sluice_operator.reconciling.news import News
from sluice_operator.reconciling.wakeups import Wakeups
from support.toy_cluster import TOYS
from support.toys import ToyKind


def thing(uid: str, version: int, *, name: str = "", owner: str = "") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name or uid,
            "namespace": "default",
            "uid": uid,
            "resourceVersion": str(version),
            "labels": {OWNER_UID: owner} if owner else {},
            "managedFields": [{"manager": "x"}],
        }
    }


def test_managed_fields_are_not_kept() -> None:
    mirror = Mirror()
    mirror.put(CONFIG_MAPS, thing("a", 1))
    found = mirror.get(CONFIG_MAPS, "default", "a")
    assert found is not None
    assert set(found["metadata"]) == {"name", "namespace", "uid", "resourceVersion", "labels"}


def test_another_object_may_take_a_name() -> None:
    mirror = Mirror()
    mirror.put(CONFIG_MAPS, thing("old", 1, name="a"))
    mirror.put(CONFIG_MAPS, thing("new", 3, name="a"))
    mirror.drop(CONFIG_MAPS, "old", 2)
    found = mirror.get(CONFIG_MAPS, "default", "a")
    assert found is not None
    assert found["metadata"]["uid"] == "new"


def test_what_is_gone_stays_gone_for_what_comes_late() -> None:
    mirror = Mirror()
    mirror.put(CONFIG_MAPS, thing("a", 1))
    assert mirror.drop(CONFIG_MAPS, "a", 5) is not None
    assert not mirror.put(CONFIG_MAPS, thing("a", 4))
    # It has left a selector, and has come back.
    assert mirror.put(CONFIG_MAPS, thing("a", 6))
    assert mirror.drop(CONFIG_MAPS, "a", 5) is None


_CHANGES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["", "x", "y"]), st.booleans()), max_size=40
)


@settings(max_examples=100)
@given(_CHANGES)
def test_indexes_say_the_same_as_the_objects(changes: list[tuple[str, str, bool]]) -> None:
    mirror = Mirror()
    for version, (uid, owner, gone) in enumerate(changes, 1):
        if gone:
            mirror.drop(CONFIG_MAPS, uid, version)
        else:
            mirror.put(CONFIG_MAPS, thing(uid, version, owner=owner))

    there = list(mirror.all(CONFIG_MAPS))
    assert mirror.count(CONFIG_MAPS) == len(there)
    for owner in ("x", "y"):
        by_label = [
            each["metadata"]["uid"] for each in mirror.all(CONFIG_MAPS, "default", {OWNER_UID: owner})
        ]
        assert [each["metadata"]["uid"] for each in mirror.owned(CONFIG_MAPS, owner)] == sorted(by_label)
    for name in "abc":
        found = mirror.get(CONFIG_MAPS, "default", name)
        assert (found in there) if found else all(each["metadata"]["uid"] != name for each in there)


class Listening(ToyKind):
    listens = (PODS, TOYS)

    def concerned(self, changed: Manifest, resource: Resource, mirror: Mirror) -> Iterable[str]:
        return ["toy"] if resource == PODS or changed["metadata"]["uid"] == "other" else []


async def woken(wakeups: Wakeups) -> bool:
    return await wakeups.wait("toy", 0.001)


async def test_news_of_itself_its_children_and_what_it_listens_to_wake_an_object() -> None:
    mirror, wakeups = Mirror(), Wakeups()
    news = News([Listening()], mirror, wakeups)
    version = 0
    for resource, uid, owner, wakes in [
        (TOYS, "toy", "", True),
        (CONFIG_MAPS, "child", "toy", True),
        (CONFIG_MAPS, "child of another", "other", False),
        (CONFIG_MAPS, "nobody's", "", False),
        (PODS, "pod", "", True),
        (TOYS, "other", "", True),
        (TOYS, "another", "", False),
    ]:
        version += 1
        wakeups.clear("toy")
        news.changed(resource, thing(uid, version, owner=owner))
        assert await woken(wakeups) is wakes, uid
        wakeups.clear("toy")
        news.changed(resource, thing(uid, version, owner=owner))
        assert not await woken(wakeups), uid

    wakeups.clear("toy")
    news.gone(CONFIG_MAPS, "child", version + 1)
    assert await woken(wakeups)


async def test_own_writes_are_news_to_others_alone() -> None:
    mirror, wakeups = Mirror(), Wakeups()
    news = News([Listening()], mirror, wakeups)
    news.changed(TOYS, thing("toy", 1))
    wakeups.clear("toy")
    mirror.put(TOYS, thing("toy", 2))
    news.changed(TOYS, thing("toy", 2))
    assert not await woken(wakeups)
    mirror.put(TOYS, thing("other", 3))
    assert await woken(wakeups)


async def test_a_kind_that_cannot_tell_whom_it_concerns_ends_nothing() -> None:
    class Faulty(Listening):
        def concerned(self, changed: Manifest, resource: Resource, mirror: Mirror) -> Iterable[str]:
            raise KeyError("status")

    mirror = Mirror()
    news = News([Faulty()], mirror, Wakeups())
    news.changed(PODS, thing("pod", 1))
    assert mirror.by_uid(PODS, "pod") is not None


async def test_who_waits_for_an_object_that_goes_is_released_and_nothing_is_kept_of_it() -> None:
    wakeups = Wakeups()
    waiting = asyncio.create_task(wakeups.wait("toy", 60.0))
    await asyncio.sleep(0)
    wakeups.forget("toy")
    assert await asyncio.wait_for(waiting, 30)
    wakeups.wake("toy")
    assert wakeups._flags == {}


async def test_the_delay_of_a_pass_is_counted_from_the_first_wakeup() -> None:
    delays: list[float] = []
    now = 0.0
    wakeups = Wakeups(delays.append, lambda: now)
    wakeups.clear("toy")
    wakeups.wake("toy")
    now = 2.0
    wakeups.wake("toy")
    now = 3.0
    wakeups.clear("toy")
    wakeups.clear("toy")
    assert delays == [3.0]
