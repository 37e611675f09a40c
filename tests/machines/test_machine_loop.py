"""The loop, whatever happens between any two of its steps: once it is calm, the world is as it was planned."""

import asyncio
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import CONFIG_MAPS, SECRETS
from sluice_operator.reconciling.labels import OWNER_UID
from support.fake_cluster import FakeCluster, Key
from support.fake_cluster.faults import PASSING
from support.machines import bounded
from support.operated import Operated
from support.shelved_toys import TOYS, Shelf, Toy, ToyKind, child, toy

NAMESPACE = "toys"
names = st.sampled_from(["a", "b"])
keys = st.sampled_from(["x", "y", "z"])
values = st.sampled_from(["1", "2", "3"])
words = st.dictionaries(keys, values, max_size=3)
boxes = st.sampled_from(["", "box"])
ahead = st.integers(0, 4)


class Loop(RuleBasedStateMachine):
    """Two toys, their ConfigMaps, a Secret, a shelf, and other writers."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.cluster = FakeCluster(namespaces={NAMESPACE})
        self.shelf = Shelf()
        self.foreign: dict[str, Manifest] = {}
        self.operated = Operated(self.cluster, lambda operated: [ToyKind(operated.mirror, self.shelf)])

    def teardown(self) -> None:
        try:
            self._is_as_planned()
        finally:
            self.runner.close()

    # People.

    @rule(name=names, words=words, box=boxes)
    def write(self, name: str, words: dict[str, str], box: str) -> None:
        self._write(name, words, box)

    def _write(self, name: str, words: dict[str, str], box: str) -> None:
        found = self._toys().get(name)
        if found is None or "deletionTimestamp" not in found["metadata"]:
            kept = {} if found is None else {"finalizers": found["metadata"].get("finalizers") or []}
            manifest = toy(name, NAMESPACE, words=words, box=box)
            manifest["metadata"] |= kept
            self.cluster.create(TOYS, manifest)

    @rule(name=names)
    def delete(self, name: str) -> None:
        self.cluster.remove(TOYS, NAMESPACE, name)

    @rule(value=values)
    def fill_the_box(self, value: str) -> None:
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "box", "namespace": NAMESPACE}}
        self.cluster.create(SECRETS, manifest | {"data": {"value": value}})

    @rule()
    def lose_the_box(self) -> None:
        self.cluster.remove(SECRETS, NAMESPACE, "box")

    # Others.

    @rule(name=names, key=keys)
    def take_a_name(self, name: str, key: str) -> None:
        """Somebody's own object has the name that a child would have."""
        self._take(name, key)

    def _take(self, name: str, key: str) -> None:
        if (CONFIG_MAPS, NAMESPACE, f"{name}-{key}") not in self.cluster.objects:
            metadata = {"name": f"{name}-{key}", "namespace": NAMESPACE, "labels": {"whose": "theirs"}}
            manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"word": "4"}}
            self.foreign[f"{name}-{key}"] = self.cluster.create(CONFIG_MAPS, manifest)

    @rule(name=names, key=keys)
    def give_a_name_back(self, name: str, key: str) -> None:
        if self.foreign.pop(f"{name}-{key}", None):
            self.cluster.remove(CONFIG_MAPS, NAMESPACE, f"{name}-{key}")

    @rule(name=names, key=keys, value=values)
    def change_a_child(self, name: str, key: str, value: str) -> None:
        self._change(name, key, value)

    def _change(self, name: str, key: str, value: str) -> None:
        if f"{name}-{key}" in self._children():
            self.cluster.edit(CONFIG_MAPS, NAMESPACE, f"{name}-{key}", {"data": {"word": value}})

    @rule(name=names, key=keys, value=values)
    def add_to_a_child(self, name: str, key: str, value: str) -> None:
        if f"{name}-{key}" in self._children():
            patch = {"data": {"theirs": value}, "metadata": {"labels": {"theirs": value}}}
            self.cluster.edit(CONFIG_MAPS, NAMESPACE, f"{name}-{key}", patch)

    @rule(name=names, key=keys)
    def delete_a_child(self, name: str, key: str) -> None:
        if f"{name}-{key}" in self._children():
            self.cluster.remove(CONFIG_MAPS, NAMESPACE, f"{name}-{key}")

    @rule(name=names, key=keys)
    def take_the_labels_off_a_child(self, name: str, key: str) -> None:
        found = self._children().get(f"{name}-{key}")
        if found is not None:
            labels = dict.fromkeys(found["metadata"]["labels"])
            self.cluster.edit(CONFIG_MAPS, NAMESPACE, f"{name}-{key}", {"metadata": {"labels": labels}})

    @rule(
        ahead=ahead,
        name=names,
        key=keys,
        words=words,
        act=st.sampled_from(["write", "delete", "take", "change"]),
    )
    def come_between(self, ahead: int, name: str, key: str, words: dict[str, str], act: str) -> None:
        """Somebody writes just before one of the operator's next writes."""
        acts = {
            "write": lambda: self._write(name, words, ""),
            "delete": lambda: self.cluster.remove(TOYS, NAMESPACE, name),
            "take": lambda: self._take(name, key),
            "change": lambda: self._change(name, key, "3"),
        }
        self.operated.faults.come_between(ahead, acts[act])

    @rule(name=names, words=words)
    def force_away_and_make_anew(self, name: str, words: dict[str, str]) -> None:
        """Somebody who has lost patience takes the finalizers off: what was outside the cluster is theirs now."""
        found = self._toys().get(name)
        if found is not None:
            self.cluster.remove(TOYS, NAMESPACE, name)
            if (TOYS, NAMESPACE, name) in self.cluster.objects:
                self.cluster.edit(TOYS, NAMESPACE, name, {"metadata": {"finalizers": []}})
            self.shelf.uids = self.shelf.uids - {found["metadata"]["uid"]}
            self.cluster.create(TOYS, toy(name, NAMESPACE, words=words))

    # What goes wrong.

    @rule(ahead=ahead, error=st.sampled_from(PASSING), taken=st.booleans())
    def fail_a_write(self, ahead: int, error: Any, taken: bool) -> None:
        self.operated.faults.fail(ahead, error, taken=taken)

    @rule(ahead=ahead, taken=st.booleans())
    def kill(self, ahead: int, taken: bool) -> None:
        self.operated.faults.kill(ahead, taken=taken)

    @rule()
    def restart(self) -> None:
        self.operated.start()

    @rule(broken=st.booleans())
    def break_the_shelf(self, broken: bool) -> None:
        self.shelf.broken = broken

    @rule(what=st.sampled_from(["lose", "double", "overtake"]), index=st.integers(0, 5))
    def disturb_the_streams(self, what: str, index: int) -> None:
        getattr(self.operated.streams, what)(index)

    @rule(count=st.integers(1, 5))
    def hear(self, count: int) -> None:
        self.operated.streams.flow(count)

    # Time.

    @rule()
    def work(self) -> None:
        self.runner.run(self.operated.step())

    @rule(steps=st.integers(1, 3))
    def live(self, steps: int) -> None:
        """As on a good day."""
        for _ in range(steps):
            self.operated.streams.flow()
            self.runner.run(self.operated.step())

    @rule(seconds=st.sampled_from([1.0, 10.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.operated.advance(seconds)
        self.runner.run(self.operated.step())

    @rule()
    def calm_down(self) -> None:
        self._is_as_planned()

    # What holds.

    @invariant()
    def what_is_others_is_as_they_left_it(self) -> None:
        for name, manifest in self.foreign.items():
            assert self.cluster.objects[CONFIG_MAPS, NAMESPACE, name] == manifest

    @invariant()
    def nothing_is_left_on_the_shelf(self) -> None:
        there = {manifest["metadata"]["uid"] for manifest in self._toys().values()}
        assert self.shelf.uids <= there

    def _is_as_planned(self) -> None:
        self.shelf.broken = False
        self.runner.run(self.operated.settle(lambda: self.shelf.changes))

        box = self.cluster.objects.get((SECRETS, NAMESPACE, "box"))
        planned: dict[str, Any] = {}
        for name, manifest in self._toys().items():
            assert "deletionTimestamp" not in manifest["metadata"]
            uid, spec = manifest["metadata"]["uid"], manifest["spec"]
            assert uid in self.shelf.uids or self._in_the_way(name, spec)
            value = box["data"]["value"] if box and spec.get("box") else ""
            for key, word in spec["words"].items():
                planned[f"{name}-{key}"] = child(Toy.model_validate(manifest), uid, key, word, value)
            self._tells_the_truth(name, manifest, box is not None or not spec.get("box"))
        children = self._children()
        in_the_way = {
            name for name, manifest in self._toys().items() if self._in_the_way(name, manifest["spec"])
        }
        for name in planned.keys() | children.keys():
            if name.partition("-")[0] in in_the_way:
                continue
            found = children[name]
            data = {key: value for key, value in found["data"].items() if key != "theirs"}
            assert data == planned[name]["data"]
            assert found["metadata"]["ownerReferences"] == planned[name]["metadata"]["ownerReferences"]
        self._a_further_pass_writes_nothing()

    def _tells_the_truth(self, name: str, manifest: Manifest, boxed: bool) -> None:
        status = manifest["status"]
        conditions = {each["type"]: each for each in status["conditions"]}
        assert status["observedGeneration"] == manifest["metadata"]["generation"]
        if self._in_the_way(name, manifest["spec"]):
            assert conditions["Stalled"]["reason"] == "NameTaken"
            return
        assert conditions["Ready"]["status"] == str(boxed)
        assert conditions["Ready"]["observedGeneration"] == manifest["metadata"]["generation"]
        assert "Stalled" not in conditions
        assert ("Reconciling" in conditions) is not boxed

    def _a_further_pass_writes_nothing(self) -> None:
        writes, passes = len(self.cluster.writes), self.operated.passes
        self.operated.wake_all()
        self.runner.run(self.operated.step())
        assert self.cluster.writes[writes:] == []
        assert self.operated.passes - passes == len(self._toys())

    def _in_the_way(self, name: str, spec: Manifest) -> bool:
        return any(f"{name}-{key}" in self.foreign for key in spec["words"])

    def _toys(self) -> dict[str, dict[str, Any]]:
        return {key[2]: manifest for key, manifest in self.cluster.objects.items() if key[0] == TOYS}

    def _children(self) -> dict[str, dict[str, Any]]:
        def is_child(key: Key, manifest: Manifest) -> bool:
            return key[0] == CONFIG_MAPS and OWNER_UID in (manifest["metadata"].get("labels") or {})

        return {key[2]: found for key, found in self.cluster.objects.items() if is_child(key, found)}


TestLoop = bounded(Loop, examples=150)
