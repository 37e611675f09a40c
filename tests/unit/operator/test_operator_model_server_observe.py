"""What is told of a model server."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.adapters.v1 import adapters_pb2 as pb
from sluice_api.objects.model_server import ModelServer
from sluice_api.statuses import model_server as told
from sluice_api.statuses.base import Condition, Truth
from sluice_api.statuses.model_server import ModelServerStatus
from sluice_operator.agents import messages
from sluice_operator.agents.views import AgentView, PodView, Trouble
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import AUTOSCALERS, DEPLOYMENTS, SCALED_OBJECTS, SERVICES
from sluice_operator.kinds.model_server.context import Context, Secrets, Serving
from sluice_operator.kinds.model_server.observing import CALM, observe
from sluice_operator.kinds.model_server.planning import plan
from sluice_operator.kinds.model_server.replicas import GRAVEST
from sluice_operator.reconciling.kind import Item
from support import model_servers
from support.model_servers import SETTINGS, answering, engine, item, pod

LORA = {"maxLoras": 2, "maxCpuLoras": 8, "maxLoraRank": 12}
STARTED = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
ENDED = {"terminated": {"exitCode": 1, "reason": "Error"}}
KILLED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff"}}


def context(*pods: Any, **more: Any) -> Context:
    return Context(now=1000.0, settings=SETTINGS, status=ModelServerStatus(), token="dA==", pods=pods, **more)


def deployment(of: Item[ModelServer], **status: Any) -> Manifest:
    (manifest,) = (each for resource, each in plan(of, context()).manifests if resource == DEPLOYMENTS)
    return {**manifest, "metadata": {**manifest["metadata"], "generation": 2}, "status": status}


def status_of(
    of: Item[ModelServer], given: Context, children: Sequence[Manifest] | None = None
) -> ModelServerStatus:
    status = observe(of, given, [deployment(of)] if children is None else children).status
    assert isinstance(status, ModelServerStatus)
    return status


def conditions(
    of: Item[ModelServer], given: Context, children: Sequence[Manifest] | None = None
) -> dict[str, Condition]:
    found = status_of(of, given, children).conditions
    assert len({each.type for each in found}) == len(found)
    return {each.type: each for each in found}


def view(name: str, agent: AgentView | None) -> PodView:
    return PodView(f"uid-{name}", name, "10.1.2.3", 0, ready=True, leaving=False, agent=agent)


PODS: list[tuple[str, dict[str, Any], str]] = [
    ("Starting", {"phase": "Pending"}, "have not started"),
    ("Starting", engine({"waiting": {"reason": "ContainerCreating"}}), "ContainerCreating"),
    (
        "Unschedulable",
        {
            "phase": "Pending",
            "conditions": [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
                }
            ],
        },
        "Insufficient nvidia.com/gpu",
    ),
    (
        "ImagePullFailed",
        engine({"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}),
        "no such tag",
    ),
    (
        "ImagePullFailed",
        {"initContainerStatuses": [{"name": "first", "state": {"waiting": {"reason": "ErrImagePull"}}}]},
        "ErrImagePull",
    ),
    (
        "ContainerRefused",
        engine({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "key" not found'}}),
        'secret "key" not found',
    ),
    ("LoadingWeights", engine(STARTED, started=False), "since 2026-01-01T00:00:00Z"),
    ("LoadingWeights", engine(STARTED, started=False, restarts=1, lastState=ENDED), "exit code 1"),
    ("CrashLooping", engine(STARTED, started=False, restarts=2, lastState=ENDED), "2 restarts"),
    ("CrashLooping", engine(BACK_OFF, restarts=5, lastState=ENDED), "exit code 1, 5 restarts"),
    ("CrashLooping", engine(ENDED), "exit code 1"),
    ("OutOfMemory", engine(BACK_OFF, restarts=1, lastState=KILLED), "more memory than its limit"),
    ("NotResponding", engine(STARTED, started=True), "readiness probe fails"),
]


@pytest.mark.parametrize(("reason", "status", "words"), PODS, ids=[f"{row[0]}: {row[2]}" for row in PODS])
def test_why_no_pod_answers(reason: str, status: dict[str, Any], words: str) -> None:
    found = conditions(item(), context(pod(**status)))

    assert found["Available"].status is Truth.FALSE
    assert found["Available"].reason == reason
    assert words in found["Available"].message
    assert "pod llama-0" in found["Available"].message.lower()
    assert found["Ready"].reason == "NotAvailable"
    assert found["Ready"].message.startswith(reason)
    lasting = reason in ("ImagePullFailed", "ContainerRefused", "OutOfMemory", "CrashLooping")
    assert ("Stalled" in found) == lasting


def test_every_reason_of_a_pod_is_tried() -> None:
    assert {row[0] for row in PODS} | {"WrongModel"} == set(GRAVEST) <= set(told.AVAILABLE.reasons)


def test_the_gravest_reason_is_told_and_one_that_answers_is_enough() -> None:
    waits, crashes = pod("a", **engine(STARTED)), pod("b", **engine(BACK_OFF, lastState=ENDED))
    found = conditions(item(replicas=3), context(waits, crashes))
    assert found["Available"].reason == "CrashLooping"

    status = status_of(item(replicas=3), context(waits, crashes, pod("c", **answering())))
    found = {each.type: each for each in status.conditions}
    assert (status.ready, status.replicas, status.ready_replicas) == ("1/3", 3, 1)
    assert found["Available"].status is Truth.TRUE
    assert "1 of 3 answer. Pod b: vLLM ended" in found["Available"].message
    assert found["Ready"].status is Truth.TRUE
    assert "Stalled" not in found


def test_the_agent_says_which_models_its_vllm_serves() -> None:
    said = pb.GetStatusResponse(engine=pb.Engine(reachable=True, models=["one", "two"]))
    assert messages.view(said.SerializeToString()).models == ("one", "two")


def test_who_serves_another_model_gets_no_requests() -> None:
    pods = (pod("a", **answering()), pod("b", **answering()))
    right = AgentView(True, True, models=("meta-llama/Llama-3.1-8B",))
    wrong = AgentView(True, True, models=("other",))
    agents = {"uid-a": view("a", right), "uid-b": view("b", wrong)}

    status = status_of(item(lora=LORA), context(*pods, agents=agents))
    assert [each.name for each in status.endpoints] == ["a"]
    alone = conditions(item(lora=LORA), context(pods[1], agents=agents))
    assert alone["Available"].reason == "WrongModel"
    assert "vLLM serves other and not meta-llama/Llama-3.1-8B" in alone["Available"].message
    assert "Stalled" in alone


AGENTS: list[tuple[str, AgentView | None]] = [
    ("Manageable", AgentView(True, True)),
    ("Asking", None),
    ("AgentUnreachable", AgentView(False, trouble=Trouble("UNAVAILABLE", "connection refused"))),
    ("EngineUnusable", AgentView(True, False, trouble=Trouble("ENGINE_LORA_OFF", "connection refused"))),
]


@pytest.mark.parametrize(("reason", "agent"), AGENTS)
def test_whether_adapters_can_be_loaded(reason: str, agent: AgentView | None) -> None:
    given = context(pod("a", **answering()), agents={"uid-a": view("a", agent)})
    found = conditions(item(lora=LORA), given)["AdaptersManageable"]

    assert found.reason == reason
    if reason in ("AgentUnreachable", "EngineUnusable"):
        assert "Pod a" in found.message
        assert "connection refused" in found.message
    assert conditions(item(lora=LORA), given)["Ready"].status is Truth.TRUE
    assert "AdaptersManageable" not in conditions(item(), given)


def test_an_agent_that_cannot_start_is_told_of_by_the_kubelet() -> None:
    status = answering()
    waits = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    status["containerStatuses"].append({"name": "adapter-agent", "ready": False, "state": waits})
    mute = AgentView(False, trouble=Trouble("UNAVAILABLE", "connection refused"))
    found = conditions(item(lora=LORA), context(pod("a", **status), agents={"uid-a": view("a", mute)}))

    assert "Pod a: ImagePullBackOff: no such image" in found["AdaptersManageable"].message
    # The base model answers all the same.
    assert found["Ready"].status is Truth.TRUE


def test_without_pods_nobody_can_tell_of_adapters() -> None:
    assert conditions(item(lora=LORA), context())["AdaptersManageable"].reason == "NoPods"


ROLLOUTS: list[tuple[str, dict[str, Any]]] = [
    ("RolledOut", {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
    ("RollingOut", {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}),
    ("RollingOut", {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}),
    ("RollingOut", {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}),
    ("RollingOut", {}),
    (
        "RolloutStuck",
        {
            "observedGeneration": 2,
            "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
        },
    ),
    (
        "PodsRefused",
        {
            "observedGeneration": 2,
            "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: gpus"}],
        },
    ),
]


@pytest.mark.parametrize(("reason", "status"), ROLLOUTS)
def test_how_far_a_rollout_is(reason: str, status: dict[str, Any]) -> None:
    of = item(replicas=2)
    found = conditions(of, context(pod(**answering())), [deployment(of, **status)])
    assert found["RolledOut"].reason == reason
    assert ("Stalled" in found) == (reason in ("RolloutStuck", "PodsRefused"))
    if reason == "PodsRefused":
        assert "exceeded quota" in found["RolledOut"].message


def test_without_a_deployment_that_is_said() -> None:
    missing = context(
        secrets=Secrets(missing=("there is no Secret 'key', which spec.vllm.apiKeySecret names",))
    )
    found = conditions(item(apiKeySecret="key"), missing, [])
    assert found["RolledOut"].reason == "NotMade"
    assert found["Available"].reason == "Starting"
    assert found["Configured"].reason == "SecretMissing"
    assert found["Configured"].message.startswith(
        "There is no Secret 'key', which spec.vllm.apiKeySecret names. "
    )
    assert found["Stalled"].reason == "SecretMissing"


def test_no_pods_are_wanted() -> None:
    assert conditions(item(replicas=0), context())["Available"].reason == "ScaledToZero"


def test_what_is_not_configured_is_not_ready_though_it_answers() -> None:
    taken = context(pod(**answering()), taken=frozenset({(SERVICES, "llama")}))
    found = conditions(item(), taken)
    assert (found["Available"].status, found["Ready"].reason) == (Truth.TRUE, "NotConfigured")
    assert "Service 'llama'" in found["Stalled"].message
    assert observe(item(), taken, [deployment(item())]).again_in == 30.0

    bad = item(podTemplate={"spec": {"containers": [{"name": "vllm", "$patch": "delete"}]}})
    assert conditions(bad, context(), [])["Configured"].reason == "PodTemplateInvalid"


def scaler(kind: str, type_: str, status: str, reason: str) -> Manifest:
    return {
        "kind": kind,
        "status": {"conditions": [{"type": type_, "status": status, "reason": reason, "message": "why"}]},
    }


SCALERS: list[tuple[str, dict[str, Any], Manifest | None, dict[str, Any]]] = [
    ("Starting", {"cpu": {}}, {"kind": "HorizontalPodAutoscaler"}, {}),
    (
        "Autoscaled",
        {"cpu": {}},
        scaler("HorizontalPodAutoscaler", "ScalingActive", "True", "ValidMetricFound"),
        {},
    ),
    (
        "Autoscaled",
        {"cpu": {}},
        scaler("HorizontalPodAutoscaler", "ScalingActive", "False", "ScalingDisabled"),
        {},
    ),
    (
        "MetricMissing",
        {"cpu": {}},
        scaler("HorizontalPodAutoscaler", "ScalingActive", "False", "FailedGetResourceMetric"),
        {},
    ),
    ("NameTaken", {"cpu": {}}, None, {"taken": frozenset({(AUTOSCALERS, "llama")})}),
    (
        "Autoscaled",
        {"queue": {"prometheus": "http://p"}},
        scaler("ScaledObject", "Ready", "True", "ScaledObjectReady"),
        {},
    ),
    (
        "MetricMissing",
        {"queue": {"prometheus": "http://p"}},
        scaler("ScaledObject", "Ready", "False", "ScaledObjectCheckFailed"),
        {},
    ),
    ("KedaMissing", {"queue": {"prometheus": "http://p"}}, None, {"keda": False}),
    (
        "NameTaken",
        {"queue": {"prometheus": "http://p"}},
        None,
        {"taken": frozenset({(SCALED_OBJECTS, "llama")})},
    ),
]


@pytest.mark.parametrize(("reason", "target", "child", "more"), SCALERS)
def test_whether_the_number_follows_the_load(
    reason: str, target: dict[str, Any], child: Manifest | None, more: dict[str, Any]
) -> None:
    of = item(resources={"requests": {"cpu": 1}}, autoscaling={"maxReplicas": 3, **target})
    children = [deployment(of), *([child] if child is not None else [])]
    found = conditions(of, context(pod(**answering()), **more), children)
    assert found["Autoscaled"].reason == reason
    assert ("Stalled" in found) == (reason in ("KedaMissing", "NameTaken"))
    assert found["Ready"].status is Truth.TRUE
    assert "Autoscaled" not in conditions(item(), context())


def test_all_reasons_that_are_declared_are_tried() -> None:
    tried = {
        "Configured": {"Configured", "SecretMissing", "PodTemplateInvalid", "NameTaken"},
        "Autoscaled": {row[0] for row in SCALERS},
        "RolledOut": {row[0] for row in ROLLOUTS} | {"NotMade"},
        "AdaptersManageable": {row[0] for row in AGENTS} | {"NoPods", "NoRoomToList"},
        "Available": {*GRAVEST, "Available", "External", "Embedded", "ScaledToZero"},
    }
    for each in told.CONDITIONS:
        if each.name in tried:
            assert set(each.reasons) == tried[each.name], each.name


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"extractive": {}}, "Embedded"),
        ({"baseModel": "a", "external": {"urls": ["http://a/v1"]}}, "External"),
    ],
)
def test_servers_that_run_elsewhere_are_ready(spec: dict[str, Any], reason: str) -> None:
    of = Item(ModelServer.model_validate({**model_servers.body(), "spec": spec}), "u", 1)
    found = conditions(of, context(), [])
    assert found["Available"].reason == reason
    assert found["Ready"].status is Truth.TRUE


def test_endpoints_are_the_pods_that_answer() -> None:
    leaving = pod("b", **answering())
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    gone = pod("e", **answering())
    gone["status"]["phase"] = "Failed"
    six = pod("d", **{**answering(), "podIP": "fd00::1"})
    given = context(leaving, pod("c", **engine(STARTED)), six, pod("a", **answering()), gone)

    status = status_of(item(replicas=2), given)
    assert [(each.name, each.url, each.draining) for each in status.endpoints] == [
        ("a", "http://10.1.2.3:8000/v1", False),
        ("b", "http://10.1.2.3:8000/v1", True),
        ("d", "http://[fd00::1]:8000/v1", False),
    ]
    assert (status.replicas, status.ready_replicas, status.ready) == (3, 2, "2/2")
    assert status.selector == f"sluice.dev/model-server=llama,sluice.dev/owner-uid={model_servers.UID}"


def test_adapters_are_those_that_are_loaded_on_the_engine_as_it_runs() -> None:
    loaded = frozenset({"legal--2", "legal--1"})
    legal = Serving(loaded, {("uid-a", 0): loaded, ("uid-b", 0): loaded}, frozenset({"uid-c"}), "legal--2")
    pods = [pod("a", **answering()), pod("b", **answering(restarts=1)), pod("c", **answering())]

    found = status_of(item(lora=LORA), context(*pods, adapters=(legal,))).endpoints
    assert {each.name: each.adapters for each in found} == {
        "a": ("legal--1", "legal--2"),
        # Its engine has been started anew since: nothing is loaded there.
        "b": (),
        "c": ("legal--2",),
    }


def serving(names: Mapping[str, Sequence[str]]) -> tuple[Serving, ...]:
    every = {name for loaded in names.values() for name in loaded}
    return tuple(
        Serving(
            frozenset({name}),
            {(f"uid-{where}", 0): frozenset({name}) for where in names if name in names[where]},
        )
        for name in every
    )


def test_adapters_alone_are_told_of_twice_a_second_at_most() -> None:
    of, children = item(lora=LORA), [deployment(item(lora=LORA))]
    first = context(pod("a", **answering()))
    before = observe(of, first, children).status
    assert isinstance(before, ModelServerStatus)
    later = replace(first, status=before, told_at=999.8, adapters=serving({"a": ["one"]}))

    held = observe(of, later, children)
    assert held.status == before
    assert held.again_in == pytest.approx(0.3)
    due = observe(of, replace(later, now=999.8 + CALM), children).status
    assert isinstance(due, ModelServerStatus)
    assert due.endpoints[0].adapters == ("one",)
    # A pod that comes or goes is told of at once.
    more = replace(later, pods=(*later.pods, pod("b", **answering())))
    urgent = observe(of, more, children).status
    assert isinstance(urgent, ModelServerStatus)
    assert [each.name for each in urgent.endpoints] == ["a", "b"]
    assert urgent.endpoints[0].adapters == ("one",)


def test_what_has_no_room_is_listed_on_some_pods_and_nothing_is_lost() -> None:
    pods = [pod(f"p-{number}", **answering()) for number in range(50)]
    names = [f"support-{number:04d}--{'0' * 10}{'x' * 20}" for number in range(1000)]
    everywhere = {(f"uid-p-{number}", 0) for number in range(50)}
    adapters = tuple(
        Serving(frozenset({name}), dict.fromkeys(everywhere, frozenset({name})), engine_name=name)
        for name in names
    )
    agents = {f"uid-p-{number}": view(f"p-{number}", AgentView(True, True)) for number in range(50)}
    status = status_of(item(lora=LORA), context(*pods, adapters=adapters, agents=agents))
    told_of = {each.type: each for each in status.conditions}["AdaptersManageable"]

    assert told_of.reason == "NoRoomToList"
    assert "on 21 pods" in told_of.message
    assert len(status.model_dump_json(by_alias=True)) < 1_050_000
    times = Counter(name for each in status.endpoints for name in each.adapters)
    assert set(times) == set(names)
    assert set(times.values()) == {21}
    # Every pod takes its part.
    assert min(len(each.adapters) for each in status.endpoints) > 300
    again = status_of(item(lora=LORA), context(*pods, adapters=adapters[::-1], agents=agents))
    assert again == status


states = st.sampled_from([row[1] for row in PODS] + [answering()])


@given(st.lists(st.tuples(states, st.booleans()), max_size=6))
def test_whatever_the_pods_are_the_numbers_agree(pods: list[tuple[dict[str, Any], bool]]) -> None:
    made = [pod(f"p-{number}", **status) for number, (status, _) in enumerate(pods)]
    for each, (_, leaving) in zip(made, pods, strict=True):
        if leaving:
            each["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status = status_of(item(replicas=3), context(*made))
    found = {each.type: each for each in status.conditions}

    assert status.replicas == sum(not leaving for _, leaving in pods)
    assert status.ready_replicas == sum(not each.draining for each in status.endpoints)
    assert (found["Available"].status is Truth.TRUE) == (status.ready_replicas > 0)
    assert status == status_of(item(replicas=3), context(*reversed(made)))
    assert ModelServerStatus.model_validate(status.model_dump(mode="json", by_alias=True)) == status
