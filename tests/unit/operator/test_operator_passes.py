"""Passes over toys in a cluster in memory: what is sent, what is said, how it goes on."""

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from sluice_operator.cluster.resources import CONFIG_MAPS, EVENTS
from sluice_operator.reconciling.announcing import Announcer
from sluice_operator.reconciling.kind import Item
from sluice_operator.reconciling.pacing import Pace
from sluice_operator.reconciling.reconciler import Outcome, Reconciler
from sluice_servicekit import errors
from support.fake_cluster import FakeCluster
from support.toy_cluster import TOYS, condition
from support.toys import Toy, ToyKind, toy


def _fault_of_ours() -> ValidationError:
    """Of something other than the object that a pass is about."""
    with pytest.raises(ValidationError) as caught:
        Toy.model_validate({})
    return caught.value


class World:
    """A cluster, a kind and a loop, by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.error: Exception | None = None
        self.kind = ToyKind(self._fail)
        self.cluster = FakeCluster(before_write=self._fail_write)
        self.write_error: Exception | None = None
        self.reconciler = Reconciler(
            self.cluster,
            self.cluster.mirror,
            lambda: self.now,
            announcer=Announcer(self.cluster, "test"),
        )

    def _fail(self, item: Item[Any]) -> None:
        if self.error is not None:
            raise self.error

    def _fail_write(self, verb: str, key: Any) -> None:
        if self.write_error is not None and key[0] == CONFIG_MAPS:
            raise self.write_error

    def make(self, *, leaving: bool = False, **spec: Any) -> str:
        manifest = toy("a", "default", **spec)
        uid = str(self.cluster.create(TOYS, manifest)["metadata"]["uid"])
        if leaving:
            self.cluster.add_finalizer(TOYS, "default", "a", "x")
            self.cluster.remove(TOYS, "default", "a")
        return uid

    async def run(self, uid: str) -> Outcome:
        self.cluster.writes.clear()
        return await self.reconciler.run_once(self.kind, uid)

    def writes(self) -> list[str]:
        return [f"{verb} {key[0].kind}" for verb, key in self.cluster.writes if key[0] != EVENTS]

    def events(self) -> list[tuple[str, str]]:
        found = [each for key, each in self.cluster.objects.items() if key[0] == EVENTS]
        return [(each["type"], each["reason"]) for each in found]

    def toy(self) -> Any:
        return self.cluster.objects[TOYS, "default", "a"]


async def test_the_second_pass_writes_nothing_and_no_event() -> None:
    world = World()
    uid = world.make(entries={"x": "1"})

    assert await world.run(uid) == Outcome()
    assert world.writes() == ["apply ConfigMap", "apply_status Toy"]
    world.now += 60

    assert await world.run(uid) == Outcome()
    assert world.cluster.writes == []
    assert world.events() == [("Normal", "Made")]


async def test_a_condition_keeps_its_time_until_its_status_flips() -> None:
    world = World()
    uid = world.make()
    await world.run(uid)
    empty = condition(world.toy(), "Ready")
    assert (empty["status"], empty["lastTransitionTime"]) == ("False", "1970-01-12T13:46:40Z")
    assert condition(world.toy(), "Reconciling")["reason"] == "Progressing"

    world.now += 60
    world.make(entries={"x": "1"})
    await world.run(uid)
    made = condition(world.toy(), "Ready")
    assert (made["status"], made["lastTransitionTime"]) == ("True", "1970-01-12T13:47:40Z")
    assert condition(world.toy(), "Reconciling") == {}

    world.now += 60
    world.make(entries={"x": "1", "y": "1"})
    await world.run(uid)
    again = condition(world.toy(), "Ready")
    assert again["message"] == "2 made"
    assert again["lastTransitionTime"] == made["lastTransitionTime"]
    assert again["observedGeneration"] == world.toy()["status"]["observedGeneration"] == 3


@pytest.mark.parametrize(
    ("error", "type_", "reason", "name"),
    [
        (errors.Unavailable("down"), "Reconciling", "Unavailable", "retried"),
        (errors.DeadlineExceeded("slow"), "Reconciling", "Unavailable", "retried"),
        (errors.ResourceExhausted("busy", retry_after=33.0), "Reconciling", "TooManyRequests", "retried"),
        (errors.Conflict("changed"), "Reconciling", "Conflict", "retried"),
        (errors.PermissionDenied("cannot patch x"), "Stalled", "PermissionDenied", "stalled"),
        (errors.InvalidArgument("no such field"), "Stalled", "Refused", "stalled"),
        (errors.InvalidArgument("spec: field is immutable"), "Stalled", "ImmutableField", "stalled"),
        (errors.Unimplemented("no such resource"), "Stalled", "NotInstalled", "stalled"),
        (RuntimeError("a fault"), "Stalled", "InternalError", "stalled"),
        (_fault_of_ours(), "Stalled", "InternalError", "stalled"),
    ],
)
async def test_a_pass_that_fails_says_why_and_keeps_what_was_so(
    error: Exception, type_: str, reason: str, name: str
) -> None:
    world = World()
    uid = world.make(entries={"x": "1"})
    await world.run(uid)
    world.error = error

    outcome = await world.run(uid)

    assert outcome.failed
    assert outcome.name == name
    assert condition(world.toy(), type_)["reason"] == reason
    assert condition(world.toy(), "Ready")["status"] == "True"
    assert world.toy()["status"]["made"] == 1
    if isinstance(error, errors.ServiceError):
        assert error.message in condition(world.toy(), type_)["message"]
    assert ("Warning", reason) in world.events() or type_ == "Reconciling"

    assert (await world.run(uid)).failed
    assert world.cluster.writes == []  # it has been said already
    world.error = None
    assert not (await world.run(uid)).failed
    assert condition(world.toy(), type_) == {}


async def test_an_error_in_the_middle_leaves_the_rest_to_the_next_pass() -> None:
    world = World()
    uid = world.make(entries={"x": "1", "y": "2"})
    world.write_error = errors.Unavailable("down")
    assert (await world.run(uid)).failed
    assert condition(world.toy(), "Ready")["status"] == "Unknown"

    world.write_error = None
    assert not (await world.run(uid)).failed
    assert condition(world.toy(), "Ready")["status"] == "True"


async def test_an_invalid_object_waits_for_its_next_generation() -> None:
    world = World()
    uid = world.make(limit=11)

    outcome = await world.run(uid)

    assert outcome == Outcome(name="invalid")
    ready = condition(world.toy(), "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "Invalid")
    assert ready["message"].startswith("spec.limit: Input should be less than or equal to 10.")


async def test_a_status_that_cannot_be_written_is_no_error_of_the_loop() -> None:
    world = World()
    uid = world.make(entries={"x": "1"})

    def all_down(verb: str, key: Any) -> None:
        raise errors.Unavailable("down")

    world.cluster.before_write = all_down
    assert (await world.run(uid)).failed


async def test_a_pass_that_is_cancelled_is_cancelled() -> None:
    world = World()
    uid = world.make(entries={"x": "1"})
    world.error = asyncio.CancelledError()  # type: ignore[assignment]
    with pytest.raises(asyncio.CancelledError):
        await world.run(uid)


async def test_what_is_pruned_is_the_objects_own_alone() -> None:
    world = World()
    uid = world.make(entries={"x": "1", "y": "2"})
    await world.run(uid)
    other = world.cluster.create(TOYS, toy("b", "default", entries={"x": "1"}))["metadata"]["uid"]
    await world.run(other)
    world.make(entries={"y": "2"})

    await world.run(uid)

    assert world.writes() == ["delete ConfigMap", "apply_status Toy"]
    assert {key[2] for key in world.cluster.objects if key[0] == CONFIG_MAPS} == {"a-y", "b-x"}


async def test_no_more_than_a_handful_of_events_in_a_minute() -> None:
    world = World()
    uid = world.make()
    for number in range(20):
        world.make(entries={"x": "1"} if number % 2 else {})
        world.now += 1
        await world.run(uid)
    assert len(world.events()) == 5

    world.now += 60
    world.make(entries={})
    await world.run(uid)
    assert len(world.events()) == 6


async def test_a_deletion_that_fails_is_tried_again_and_one_that_cannot_be_read_is_let_go() -> None:
    world = World()
    uid = world.make(entries={"x": "1"})
    assert not (await world.reconciler.leave_once(world.kind, uid)).done  # nobody has asked for it
    assert world.kind.passes == 0

    world.make(entries={"x": "1"}, leaving=True)
    assert (await world.run(uid)).name == "leaving"
    world.error = errors.Unavailable("down")
    leaving = await world.reconciler.leave_once(world.kind, uid)
    assert (leaving.done, leaving.failed) == (False, True)
    assert condition(world.toy(), "Reconciling")["reason"] == "Unavailable"

    world.error = None
    assert (await world.reconciler.leave_once(world.kind, uid)).done
    assert (await world.reconciler.leave_once(world.kind, "nobody")).done

    world.error = _fault_of_ours()
    assert not (await world.reconciler.leave_once(world.kind, uid)).done

    world = World()
    uid = world.make(limit=11, leaving=True)
    assert (await world.reconciler.leave_once(world.kind, uid)).done


def test_failures_wait_longer_and_longer_up_to_the_cap() -> None:
    late, early = Pace(chance=lambda: 1.0), Pace(chance=lambda: 0.0)
    failed = Outcome(failed=True)
    assert [late.wait(failed, failures) for failures in (1, 2, 3, 7, 8, 10_000)] == [1, 2, 4, 64, 120, 120]
    assert [early.wait(failed, failures) for failures in (1, 2, 8)] == [0.5, 1, 60]
    assert late.wait(Outcome(failed=True, again_in=33.0), 1) == 33.0
    assert late.wait(Outcome(again_in=2.5), 0) == 2.5
    assert (early.wait(Outcome(), 0), late.wait(Outcome(), 0)) == (540.0, 660.0)
