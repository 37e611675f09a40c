"""Model servers for tests of the operator: specs of all kinds, agents that say what they are told to, pods' states."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from sluice_api.objects.model_server import ModelServer
from sluice_operator.agents.protocol import Call, Ended, Running
from sluice_operator.agents.views import PodView
from sluice_operator.kinds.model_server.context import Settings
from sluice_operator.reconciling.kind import Item

UID = "11111111-2222-3333-4444-555555555555"
SETTINGS = Settings(agent_image="registry.example/sluice-inference:1", namespace="sluice-system")


def body(name: str = "llama", namespace: str = "default", **vllm: Any) -> dict[str, Any]:
    """A server that runs vLLM, as kubectl sends it."""
    return {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "ModelServer",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "baseModel": "meta-llama/Llama-3.1-8B",
            "vllm": {"image": "vllm/vllm-openai:v0.32.0", **vllm},
        },
    }


def item(name: str = "llama", uid: str = UID, **vllm: Any) -> Item[ModelServer]:
    """The same, as a pass has it."""
    return Item(object=ModelServer.model_validate(body(name, **vllm)), uid=uid, generation=1)


class StubAgents:
    """What is said of each server's pods is what `views` has."""

    def __init__(self, views: Mapping[str, Sequence[PodView]] | None = None) -> None:
        self.views = dict(views or {})

    def pods(self, namespace: str, model_server: str) -> Sequence[PodView]:
        return self.views.get(model_server, ())

    def start(self, asker: str, call: Call) -> bool:
        raise AssertionError("a model server asks nothing of agents")

    def running(self, asker: str) -> Sequence[Running]:
        return ()

    def take_ended(self, asker: str) -> Sequence[Ended]:
        return ()

    def forget(self, asker: str) -> None:
        return

    def engine_names_in_use(self, namespace: str, model_server: str) -> Mapping[str, frozenset[str]]:
        return {}


def pod(name: str = "llama-0", uid: str = "", **status: Any) -> dict[str, Any]:
    """A pod with a state of one of the functions below."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": uid or f"uid-{name}"},
        "status": status,
    }


def engine(state: Mapping[str, Any], *, restarts: int = 0, **more: Any) -> dict[str, Any]:
    """A pod's status by the state of its vLLM."""
    container = {"name": "vllm", "ready": False, "restartCount": restarts, "state": state, **more}
    return {"phase": "Running", "podIP": "10.1.2.3", "containerStatuses": [container]}


def answering(restarts: int = 0) -> dict[str, Any]:
    """The status of a pod whose vLLM answers."""
    return engine(
        {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, restarts=restarts, ready=True, started=True
    )


_names = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,240}[a-z0-9])?", fullmatch=True).filter(
    # Kubernetes' own rule for subdomains is stricter than our pattern: no label of it is empty or has a dash at an end.
    lambda name: all(part and part[0] != "-" and part[-1] != "-" for part in name.split("."))
)
_quantities = st.sampled_from(["500m", "1", "2", "512Mi", "8Gi"])
_claims = st.sampled_from(["weights", "cache.claim", "c" * 63])
_secrets = st.sampled_from(["a-secret", "another.secret", "s" * 253])


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    """Fields of `spec.vllm` that are valid together."""
    cpu = draw(st.sampled_from(["1", "2500m"]))
    vllm: dict[str, Any] = {
        "replicas": draw(st.integers(0, 5)),
        "gpu": draw(st.sampled_from([0, 1, 4])),
        "gpuResourceName": draw(st.sampled_from(["nvidia.com/gpu", "amd.com/gpu"])),
        "resources": {"requests": {"cpu": cpu}, "limits": {"memory": draw(st.sampled_from(["8Gi", "16Gi"]))}},
        "sharedMemory": draw(_quantities.filter(lambda each: not each.endswith("m"))),
        "startupTimeout": draw(st.sampled_from(["10s", "90s", "2h"])),
        "drain": draw(st.sampled_from(["0s", "1s", "300s"])),
        "args": draw(st.lists(st.sampled_from(["--enforce-eager", "--dtype=half", "-tp=2"]), max_size=2)),
        "serviceAccountName": draw(st.sampled_from(["", "models"])),
        "imagePullSecrets": draw(st.lists(_secrets, max_size=2, unique=True)),
        "disruption": {"maxUnavailable": draw(st.integers(1, 3))},
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "maxModelLen": st.integers(1, 131072),
        "lora": st.fixed_dictionaries(
            {
                "maxLoras": st.integers(1, 8),
                "maxCpuLoras": st.integers(8, 64),
                "maxLoraRank": st.integers(1, 512),
            }
        ),
        "weights": st.fixed_dictionaries({"claimName": _claims, "path": st.sampled_from(["", "llama/8b"])}),
        "cache": st.one_of(st.fixed_dictionaries({"claimName": _claims}), st.just({"sizeLimit": "100Gi"})),
        "apiKeySecret": _secrets,
        "agent": st.fixed_dictionaries(
            {
                "volumeSize": st.sampled_from(["1Gi", "50Gi"]),
                "claims": st.lists(_claims, max_size=3, unique=True),
                "sourceSecrets": st.fixed_dictionaries({"huggingFace": _secrets, "s3": _secrets}),
                "env": st.just([{"name": "SLUICE_FETCH", "value": "public,minio.models.svc"}]),
            }
        ),
        "env": st.just(
            [
                {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}},
                {"name": "EMPTY", "value": ""},
            ]
        ),
        "rollout": st.sampled_from(
            [{"maxSurge": 2, "maxUnavailable": 0}, {"maxSurge": 0, "maxUnavailable": 1}]
        ),
        "allowFrom": st.just(
            [{"namespaceLabels": {"team": "monitoring"}}, {"podLabels": {"app": "prometheus"}}]
        ),
        "podTemplate": st.sampled_from(
            [
                {"spec": {"nodeSelector": {"gpu": "a100"}, "tolerations": [{"operator": "Exists"}]}},
                {
                    "metadata": {"labels": {"team": "search"}, "annotations": {"note": "ours"}},
                    "spec": {"containers": [{"name": "vllm", "resources": {"limits": {"cpu": "4"}}}]},
                },
                {"spec": {"containers": [{"name": "proxy", "image": "envoy"}], "hostIPC": True}},
            ]
        ),
        "autoscaling": st.sampled_from(
            [
                {"minReplicas": 1, "maxReplicas": 1, "cpu": {"utilization": 70}},
                {
                    "minReplicas": 2,
                    "maxReplicas": 8,
                    "metric": {"name": "vllm:num_requests_waiting", "average": 4},
                },
            ]
        ),
    }
    for name, values in optional.items():
        if draw(st.booleans()):
            vllm[name] = draw(values)
    return vllm


names = _names
