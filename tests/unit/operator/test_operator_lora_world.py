"""Whatever happens to pods, agents, specs and the operator: what must never be, and where it ends."""

import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_api.statuses.lora_adapter import PodState
from sluice_operator.agents.protocol import Call
from sluice_operator.agents.views import Trouble
from sluice_operator.kinds.lora_adapter.deciding import decide
from sluice_operator.kinds.lora_adapter.naming import engine_name
from sluice_operator.kinds.lora_adapter.placement import wanted
from support.adapter_world import Adapter, Pod, World, version

_WORDS = (
    ("SOURCE_UNAVAILABLE", False),
    ("DIGEST_MISMATCH", True),
    ("DISK_FULL", False),
    ("ENGINE_FAILED", False),
    ("ENGINE_REFUSED", True),
    ("ENGINE_UNREACHABLE", False),
    ("SLOTS_FULL", True),
)

_STRATEGIES: tuple[dict[str, Any], ...] = (
    {"strategy": "All"},
    {"strategy": "Spread", "replicas": 2},
    {"strategy": "BinPack", "replicas": 1},
    {"strategy": "Ordered", "replicas": 2, "minAvailable": 2},
)

events = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "pass",
                "pass",
                "pass",
                "tick",
                "tick",
                "wait",
                "restart",
                "kill",
                "start",
                "silence",
                "hang",
                "unready",
                "heal",
                "revise",
                "back",
                "scale",
                "trouble",
                "calm",
                "operator",
                "lose",
                "delete",
            ]
        ),
        st.integers(0, 99),
    ),
    max_size=40,
)


class Story:
    """A world, and what people and chance do to it."""

    def __init__(self, strategies: tuple[int, ...], *, knows_when: bool) -> None:
        self.world = World(pods=3, slots=3, knows_when=knows_when, nodes=2)
        self.adapters = [
            self.world.add(
                name,
                placement=dict(_STRATEGIES[strategy]),
                deletion={"drain": "5s", "timeout": "60s"},
                rollbackWindow="40s",
                load={"backoff": "1s", "maxBackoff": "4s", "maxAttempts": 3},
            )
            for name, strategy in zip(("fr", "en"), strategies, strict=True)
        ]
        self.leaving: set[str] = set()
        self.revisions = itertools.count(2)

    def happen(self, event: str, number: int) -> None:
        alive = [each for each in self.adapters if each.uid in self.world.adapters]
        adapter = alive[number % len(alive)] if alive else None
        pods = list(self.world.pods.values())
        pod = pods[number % len(pods)] if pods else None
        getattr(self, f"_{event}")(adapter, pod, number)

    def run(self, adapter: Adapter) -> None:
        """One pass; a revision never takes a better one out of rotation."""
        if adapter.uid in self.leaving:
            self.world.leave(adapter)
            return
        before = adapter.told.engine_name
        had = self._serving(before)
        self.world.pass_over(adapter)
        told = adapter.told
        needed = told.engine_name and min(had, adapter.item.object.spec.placement.min_available)
        if told.engine_name != before:
            assert self._serving(told.engine_name) >= (needed or 0)
            assert self._serving(told.engine_name) >= 1
        names = [(each.pod_uid, each.engine_name) for each in told.pods]
        assert len(names) == len(set(names))

    def _serving(self, name: str) -> int:
        return sum(name in pod.loaded for pod in self.world.pods.values() if pod.ready and not pod.leaving)

    def _pass(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        for each in self.adapters:
            if each.uid in self.world.adapters:
                self.run(each)

    def _tick(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        self.world.tick(1)

    def _wait(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        self.world.tick(number)

    def _restart(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        if pod:
            self.world.restart(pod)

    def _kill(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        if pod and pod.leaving:
            del self.world.pods[pod.uid]
        elif pod:
            pod.leaving = True

    def _start(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        if len(self.world.pods) < 5:
            self.world.add_pod(ready=bool(number % 2), asked=bool(number % 3))

    def _silence(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        if pod:
            pod.reachable = False

    def _hang(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        if pod:
            pod.engine_reachable = False

    def _unready(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        if pod:
            pod.ready = False

    def _heal(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        for each in self.world.pods.values():
            each.ready = each.asked = each.reachable = each.engine_reachable = True

    def _revise(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        if adapter:
            adapter.revise(f"r{next(self.revisions)}")

    def _back(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        if adapter and (previous := adapter.told.previous):
            adapter.revise(previous.revision)

    def _scale(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        if adapter and adapter.manifest["spec"]["placement"].get("replicas"):
            adapter.edit(placement={"replicas": 2 + number % 3})

    def _trouble(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        word, permanent = _WORDS[number % len(_WORDS)]
        uid = pod.uid if pod and number % 2 else None

        def trouble(call: Call) -> Trouble | None:
            return Trouble(word, "trouble", permanent) if uid in (None, call.pod) else None

        self.world.troubles = trouble

    def _calm(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        self.world.troubles = lambda call: None

    def _operator(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        """It starts anew: what it had going is lost, or ends unheard."""
        for each in self.adapters:
            if number % 2:
                self.world.tick(0.1)
            each.running.clear()
            each.ended.clear()

    def _lose(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        if pod and pod.loaded:
            pod.loaded.pop(sorted(pod.loaded)[number % len(pod.loaded)])

    def _delete(self, adapter: Adapter | None, pod: Pod | None, number: int) -> None:
        if adapter and number < 25:
            self.leaving.add(adapter.uid)

    def end(self) -> None:
        """All is well again, and everybody touches their spec once: the world comes to rest as the specs say."""
        self._heal(None, None, 0)
        self._calm(None, None, 0)
        for pod in [each for each in self.world.pods.values() if each.leaving]:
            del self.world.pods[pod.uid]
        self.world.tick(1)
        for adapter in self.adapters:
            adapter.edit(tenants=["a"])
            if adapter.uid in self.leaving:
                self._leave(adapter)
        self.world.settle(passes=80)
        for adapter in self.world.adapters.values():
            self._is_as_wanted(adapter)
        owned = {str(each.manifest["spec"]["modelName"]) for each in self.world.adapters.values()}
        for names in self.world.loaded().values():
            assert {name.split("--")[0] for name in names} <= owned

    def _leave(self, adapter: Adapter) -> None:
        for _ in range(80):
            if adapter.uid not in self.world.adapters or self.world.leave(adapter).done:
                return
            self.world.tick(3)
        raise AssertionError("it never leaves")

    def _is_as_wanted(self, adapter: Adapter) -> None:
        spec, pods = adapter.item.object.spec, self.world.pods
        name = engine_name(spec.model_name, version(spec.revision))
        count = sum(name in pod.loaded for pod in pods.values())
        if adapter.reason("Placed")[1] == "Placed":
            assert count == wanted(spec.placement, len(pods))
        else:
            assert adapter.reason("Placed")[1] in {"NoFreeSlots", "TooFewPods", "NoCandidates", "Waiting"}
        told = adapter.told
        assert {each.engine_name for each in told.pods if each.state is PodState.LOADED} <= {
            told.engine_name,
            told.previous.engine_name if told.previous else "",
            name,
        }


@settings(max_examples=100, deadline=None)
@given(events, st.tuples(st.integers(0, 3), st.integers(0, 3)), st.booleans())
def test_the_world_comes_to_rest_as_the_specs_say(
    happenings: list[tuple[str, int]], strategies: tuple[int, int], knows_when: bool
) -> None:
    story = Story(strategies, knows_when=knows_when)
    for event, number in happenings:
        story.happen(event, number)
    story.end()


@settings(max_examples=40, deadline=None)
@given(events)
def test_the_same_is_decided_of_the_same_whatever_the_order(happenings: list[tuple[str, int]]) -> None:
    story = Story((1, 2), knows_when=True)
    for event, number in happenings:
        story.happen(event, number)
    for adapter in story.world.adapters.values():
        ended = list(adapter.ended)
        context = story.world.context(adapter)
        adapter.ended = ended
        other = type(context)(
            now=context.now,
            created_at=context.created_at,
            status=context.status.model_copy(update={"pods": context.status.pods[::-1]}),
            server=context.server,
            pods=context.pods[::-1],
            siblings=context.siblings[::-1],
            running=context.running[::-1],
            ended=context.ended,
        )
        one, two = decide(adapter.item, context), decide(adapter.item, other)
        assert set(one.calls) == set(two.calls)
        assert dict(one.state.entries) == dict(two.state.entries)
        assert one.state.names == two.state.names
