"""Which process runs which version of an object, over many snapshots."""

from sluice_operator.snapshots.views import Deliveries
from sluice_servicekit.snapshot_server import WatcherState

NAME = ("Pipeline", "default")


def watcher(accepted: str, *problems: str, refused: str = "", reason: str = "") -> WatcherState:
    return WatcherState("gateway", "gateway-0", "1", accepted, refused, reason, problems)


def test_a_later_snapshot_with_the_same_version_changes_nothing() -> None:
    deliveries = Deliveries()
    deliveries.published("one", {NAME: "v1"})
    before = deliveries.of(NAME, (watcher("one"),))

    deliveries.published("two", {NAME: "v1"})

    assert deliveries.of(NAME, (watcher("one"),)) == deliveries.of(NAME, (watcher("two"),)) == before
    assert (before.version, before.digest, before.watchers[0].runs) == ("v1", "one", True)


def test_a_new_version_is_run_by_those_who_took_it_alone() -> None:
    deliveries = Deliveries()
    deliveries.published("one", {NAME: "v1"})
    deliveries.published("two", {NAME: "v2"})

    delivery = deliveries.of(NAME, (watcher("one", refused="two", reason="no"), watcher("two")))

    assert delivery.digest == "two"
    assert [(each.runs, each.refused) for each in delivery.watchers] == [(False, "no"), (True, "")]


def test_what_a_watcher_runs_is_known_however_long_it_stays_with_it() -> None:
    deliveries = Deliveries()
    deliveries.published("first", {NAME: "v1"})
    for number in range(1000):
        deliveries.published(f"later-{number}", {NAME: "v1"}, running={"first"})

    assert deliveries.of(NAME, (watcher("first"),)).watchers[0].runs
    assert len(deliveries._versions) < 100


def test_a_process_that_runs_nothing_yet_is_not_counted_and_one_that_will_run_nothing_is() -> None:
    deliveries = Deliveries()
    deliveries.published("one", {NAME: "v1"})

    assert deliveries.of(NAME, (watcher(""),)).watchers == ()
    assert deliveries.of(NAME, (watcher("", refused="one", reason="no"),)).watchers[0].refused == "no"


def test_a_problem_is_the_named_objects_alone() -> None:
    deliveries = Deliveries()
    deliveries.published("one", {NAME: "v1", ("Pipeline", "default-2"): "v1"})
    states = (watcher("one", "Pipeline default-2: no module"),)

    assert deliveries.of(NAME, states).watchers[0].problem == ""
    assert deliveries.of(("Pipeline", "default-2"), states).watchers[0].problem == "no module"
