"""Whom a change of pods wakes at once, and whom a little later."""

import asyncio
from typing import Any

import pytest

from sluice_operator.agents.rousing import Later, is_concerned


def adapter(*, spec: dict[str, Any] | None = None, deleted: bool = False, **status: Any) -> dict[str, Any]:
    """One that is where it ought to be, but for what is said."""
    settled: dict[str, Any] = {
        "observedGeneration": 1,
        "resolved": {"engineName": "a--1"},
        "engineName": "a--1",
        "replicas": {"desired": 1, "loaded": 1},
        "pods": [{"podUid": "p1", "engineName": "a--1", "state": "Loaded"}],
    }
    metadata = {"uid": "a", "generation": 1} | ({"deletionTimestamp": "now"} if deleted else {})
    placement = {"placement": {"strategy": "Spread", "replicas": 1}}
    return {"metadata": metadata, "spec": placement | (spec or {}), "status": settled | status}


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(adapter(spec={"placement": {"strategy": "All"}}), id="wants every pod"),
        pytest.param(adapter(spec={"placement": {}}), id="wants every pod, which goes without saying"),
        pytest.param(adapter(deleted=True), id="leaves"),
        pytest.param(adapter(observedGeneration=0), id="has been edited"),
        pytest.param(adapter(resolved=None), id="has no files yet"),
        pytest.param(adapter(resolved={"engineName": "a--2"}), id="turns"),
        pytest.param(adapter(replicas={"desired": 2, "loaded": 1}), id="lacks a pod"),
        pytest.param(adapter(podsOmitted=1), id="does not say where it is"),
        pytest.param({**adapter(), "status": None}, id="has said nothing"),
    ],
)
def test_who_is_not_where_it_ought_to_be_is_concerned_by_any_pod(one: dict[str, Any]) -> None:
    assert is_concerned(one, {"p9"})


def test_who_is_settled_is_concerned_by_its_own_pods_alone() -> None:
    assert is_concerned(adapter(), {"p1"})
    assert not is_concerned(adapter(), {"p2"})
    assert not is_concerned(adapter(), set())


async def test_the_others_are_all_woken_once_and_few_at_a_time() -> None:
    woken: list[str] = []
    rounds: set[float] = set()
    loop, everybody = asyncio.get_running_loop(), asyncio.Event()

    def wake(uid: str) -> None:
        woken.append(uid)
        rounds.add(round(loop.time(), 1))
        if len(woken) == 25:
            everybody.set()

    later = Later(wake)
    later.add(f"a{number}" for number in range(25))
    later.add(["a3", "a24", "b"])
    later.forget("a7")
    async with asyncio.timeout(60):
        await everybody.wait()
    assert sorted(woken) == sorted({f"a{number}" for number in range(25)} - {"a7"} | {"b"})
    assert len(rounds) > 1


async def test_nobody_is_woken_once_it_is_closed() -> None:
    woken: list[str] = []
    later = Later(woken.append)
    later.add(["a"])
    later.close()
    later.add(["b"])
    await asyncio.sleep(0.4)
    assert woken == []
