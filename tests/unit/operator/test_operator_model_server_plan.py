"""What is made for a model server."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice_api.objects.model_server import ModelServer
from sluice_api.statuses.model_server import ModelServerStatus
from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.resources import (
    AUTOSCALERS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    SCALED_OBJECTS,
    SECRETS,
    SERVICES,
    Resource,
)
from sluice_operator.kinds.model_server import names, pod_patch
from sluice_operator.kinds.model_server.context import Context, Secrets
from sluice_operator.kinds.model_server.planning import plan, template_problem, wanted
from sluice_operator.reconciling.kind import Item
from support import model_servers
from support.model_servers import SETTINGS, item

TOKEN = base64.b64encode(b"t" * 48).decode()
CONTEXT = Context(now=0.0, settings=SETTINGS, status=ModelServerStatus(), token=TOKEN)
LORA = {"maxLoras": 2, "maxCpuLoras": 8, "maxLoraRank": 12}


def made(of: Item[ModelServer], context: Context = CONTEXT) -> dict[Resource, Manifest]:
    found = plan(of, context).manifests
    assert len({resource for resource, _ in found}) == len(found)
    return dict(found)


def containers(of: Item[ModelServer], context: Context = CONTEXT) -> dict[str, Any]:
    pod = made(of, context)[DEPLOYMENTS]["spec"]["template"]["spec"]
    return {each["name"]: each for each in pod["containers"]}


def variables(container: Any) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}


def live(of: Item[ModelServer], replicas: int) -> Manifest:
    """A Deployment as the API server has it."""
    manifest = made(of)[DEPLOYMENTS]
    return {
        **manifest,
        "metadata": {**manifest["metadata"], "uid": "d", "resourceVersion": "7"},
        "spec": {**manifest["spec"], "replicas": replicas},
    }


def test_servers_that_run_elsewhere_have_nothing() -> None:
    for spec in ({"extractive": {}}, {"baseModel": "a", "external": {"urls": ["http://a/v1"]}}):
        server = ModelServer.model_validate({**model_servers.body(), "spec": spec})
        assert made(Item(server, "u", 1)) == {}
        assert wanted(server) == ()


def test_vllm_is_told_what_the_spec_says() -> None:
    of = item(maxModelLen=4096, gpu=2, lora=LORA, args=["--enforce-eager"], apiKeySecret="key")
    engine = containers(of)["vllm"]

    assert engine["args"] == [
        "--model=meta-llama/Llama-3.1-8B",
        "--served-model-name=meta-llama/Llama-3.1-8B",
        "--host=0.0.0.0",
        "--port=8000",
        "--max-model-len=4096",
        "--tensor-parallel-size=2",
        "--enable-lora",
        "--max-loras=2",
        "--max-cpu-loras=8",
        # vLLM takes some ranks alone: the next one.
        "--max-lora-rank=16",
        "--enforce-eager",
    ]
    assert engine["resources"] == {"limits": {"nvidia.com/gpu": "2"}}
    env = variables(engine)
    assert env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert env["VLLM_API_KEY"] == {"secretKeyRef": {"name": "key", "key": "api-key"}}
    assert {"name": "adapters", "mountPath": "/adapters", "readOnly": True} in engine["volumeMounts"]


def test_who_splits_the_model_otherwise_is_not_overruled() -> None:
    args = containers(item(gpu=4, args=["--pipeline_parallel_size=4"]))["vllm"]["args"]
    assert not [each for each in args if "tensor" in each]


def test_weights_on_a_claim_are_shared_with_the_agent() -> None:
    found = containers(item(lora=LORA, weights={"claimName": "models", "path": "llama/8b"}))

    assert found["vllm"]["args"][0] == "--model=/models/llama/8b"
    assert variables(found["adapter-agent"])["SLUICE_BASE_MODEL_DIR"] == "/models/llama/8b"
    for each in found.values():
        assert {"name": "weights", "mountPath": "/models", "readOnly": True} in each["volumeMounts"]


def test_the_agent_has_the_settings_that_it_reads() -> None:
    from sluice_inference.adapter_agent.settings import AdapterAgentSettings

    of = item(
        lora=LORA,
        apiKeySecret="key",
        weights={"claimName": "models"},
        agent={
            "volumeSize": "10Gi",
            "claims": ["a", "b"],
            "sourceSecrets": {"huggingFace": "hub", "s3": "s3", "registry": "hub", "http": "logins"},
            "env": [{"name": "SLUICE_FETCH", "value": "off"}],
        },
    )
    agent = containers(of)["adapter-agent"]
    env = variables(agent)
    known = {f"SLUICE_{name.upper()}" for name in AdapterAgentSettings.model_fields}
    assert set(env) <= known
    given = {name.removeprefix("SLUICE_").lower(): value for name, value in env.items()}
    parsed = AdapterAgentSettings.model_validate(given)

    assert parsed.listen == "0.0.0.0:9200"
    assert parsed.disk_budget == 9 * 2**30
    assert parsed.max_lora_rank == 12
    mounted = [each["mountPath"] for each in agent["volumeMounts"]]
    for path in (
        parsed.token_file,
        parsed.engine_api_key_file,
        parsed.hub_token_file,
        parsed.s3_credentials_file,
        parsed.registry_credentials_file,
        parsed.http_credentials_file,
    ):
        assert str(path.parent if path else None) in mounted
    assert {"/claims/a", "/claims/b", str(parsed.base_model_dir), str(parsed.adapters_dir)} <= set(mounted)


def test_a_server_without_lora_has_no_agent() -> None:
    found = made(item())
    assert SECRETS not in found
    assert [each["name"] for each in found[DEPLOYMENTS]["spec"]["template"]["spec"]["containers"]] == ["vllm"]
    assert len(found[NETWORK_POLICIES]["spec"]["ingress"]) == 1


def test_probes_wait_long_for_the_start_and_briefly_later() -> None:
    engine = containers(item(startupTimeout="95s"))["vllm"]
    start, alive = engine["startupProbe"], engine["livenessProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] == 100
    assert alive["periodSeconds"] * alive["failureThreshold"] == 30
    assert "readinessProbe" not in containers(item(lora=LORA))["adapter-agent"]
    deployment = made(item(startupTimeout="95s"))[DEPLOYMENTS]
    assert deployment["spec"]["progressDeadlineSeconds"] > 95


@pytest.mark.parametrize(
    ("vllm", "surge", "unavailable"),
    [
        ({"replicas": 1}, 1, 0),
        ({"replicas": 3}, 0, 1),
        ({"replicas": 3, "gpu": 0}, 1, 0),
        ({"replicas": 3, "rollout": {"maxSurge": 2, "maxUnavailable": 0}}, 2, 0),
    ],
)
def test_a_rollout_needs_no_gpu_that_is_not_there(vllm: dict[str, Any], surge: int, unavailable: int) -> None:
    strategy = made(item(**vllm))[DEPLOYMENTS]["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": surge, "maxUnavailable": unavailable}


def test_one_pod_has_no_disruption_budget() -> None:
    assert DISRUPTION_BUDGETS not in made(item(replicas=1))
    assert (
        made(item(replicas=2, disruption={"maxUnavailable": 2}))[DISRUPTION_BUDGETS]["spec"]["maxUnavailable"]
        == 2
    )


def test_what_an_autoscaler_says_the_operator_does_not() -> None:
    of = item(autoscaling={"minReplicas": 2, "maxReplicas": 4, "metric": {"name": "queue", "average": 3}})

    assert made(of)[DEPLOYMENTS]["spec"]["replicas"] == 2
    # As long as nobody else has said a number it stays as it was: what nobody says becomes 1.
    for before, after in ((3, 3), (1, 2), (9, 4)):
        context = replace(CONTEXT, deployment=live(of, before))
        assert made(of, context)[DEPLOYMENTS]["spec"]["replicas"] == after
    scaled = replace(CONTEXT, deployment=live(of, 3), scaled=True)
    assert "replicas" not in made(of, scaled)[DEPLOYMENTS]["spec"]
    assert made(of)[AUTOSCALERS]["spec"]["minReplicas"] == 2
    assert DISRUPTION_BUDGETS in made(of)


def test_keda_counts_what_waits_in_this_servers_pods_alone() -> None:
    of = item(autoscaling={"maxReplicas": 4, "queue": {"prometheus": "http://p:9090", "waiting": 7}})
    scaled = made(of)[SCALED_OBJECTS]
    trigger = scaled["spec"]["triggers"][0]["metadata"]

    assert trigger["threshold"] == "7"
    assert trigger["query"] == (
        'sum(vllm:num_requests_waiting{namespace="default",pod=~"llama-[a-z0-9]+-[a-z0-9]{5}"})'
    )
    excluded = scaled["metadata"]["annotations"]["scaledobject.keda.sh/hpa-excluded-labels"]
    assert set(scaled["metadata"]["labels"]) == set(excluded.split(","))
    assert SCALED_OBJECTS not in made(of, replace(CONTEXT, keda=False))


def test_each_port_has_its_callers() -> None:
    peer = {"namespaceLabels": {"team": "monitoring"}}
    engine, agent, metrics = made(item(lora=LORA, allowFrom=[peer]))[NETWORK_POLICIES]["spec"]["ingress"]

    def who(rule: Any) -> list[str]:
        return [
            each["podSelector"]["matchLabels"]["app.kubernetes.io/component"]
            for each in rule["from"]
            if "podSelector" in each
        ]

    assert (engine["ports"][0]["port"], who(engine)) == (8000, ["inference", "gateway"])
    assert (agent["ports"][0]["port"], who(agent)) == (9200, ["operator"])
    assert len(agent["from"]) == 1
    system = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "sluice-system"}}}
    assert all(system.items() <= each.items() for each in (*engine["from"][:2], *agent["from"]))
    others = {"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}
    assert engine["from"][2] == others
    assert metrics == {"from": [others], "ports": [{"protocol": "TCP", "port": 9201}]}


def test_what_is_taken_is_left_out_and_the_rest_is_made() -> None:
    of = item(replicas=2, lora=LORA)
    context = replace(CONTEXT, taken=frozenset({(SERVICES, "llama")}))
    assert set(made(of)) - set(made(of, context)) == {SERVICES}
    # Pods do not get a token that somebody else has made.
    context = replace(CONTEXT, taken=frozenset({(SECRETS, "llama-adapter-agent")}))
    assert set(made(of)) - set(made(of, context)) == {SECRETS, DEPLOYMENTS}
    # But what runs is not taken away.
    assert DEPLOYMENTS in made(of, replace(context, deployment=live(of, 2)))


def test_pods_wait_for_secrets_and_those_that_run_stay_as_they_are() -> None:
    of = item(apiKeySecret="key")
    ready = replace(CONTEXT, secrets=Secrets("one"))
    missing = replace(CONTEXT, secrets=Secrets(missing=("there is no Secret 'key'",)))
    before = made(of, ready)[DEPLOYMENTS]

    assert DEPLOYMENTS not in made(of, missing)
    running = {**before, "metadata": {**before["metadata"], "resourceVersion": "1"}}
    assert made(of, replace(missing, deployment=running))[DEPLOYMENTS] == before
    changed = made(of, replace(ready, secrets=Secrets("two")))[DEPLOYMENTS]
    assert changed["spec"]["template"] != before["spec"]["template"]


BAD_TEMPLATES: list[tuple[dict[str, Any], str]] = [
    (
        {"metadata": {"labels": {"sluice.dev/model-server": "other"}}},
        "label 'sluice.dev/model-server' must be",
    ),
    ({"spec": {"containers": [{"name": "vllm", "$patch": "delete"}]}}, "container 'vllm' is missing"),
    ({"spec": {"containers": [{"name": "adapter-agent", "$patch": "delete"}]}}, "container 'adapter-agent'"),
    ({"spec": {"containers": [{"$patch": "replace"}]}}, "container 'vllm' is missing"),
    ({"spec": {"containers": [{"name": "vllm", "args": ["--port=1"]}]}}, "lacks the argument --model="),
    ({"spec": {"containers": [{"name": "adapter-agent", "command": ["sh"]}]}}, "has another command"),
    (
        {"spec": {"containers": [{"name": "vllm", "env": [{"name": "VLLM_API_KEY", "value": "x"}]}]}},
        "has other env 'VLLM_API_KEY'",
    ),
    (
        {
            "spec": {
                "containers": [
                    {"name": "adapter-agent", "ports": [{"containerPort": 9200, "$patch": "delete"}]}
                ]
            }
        },
        "lacks ports 9200",
    ),
    (
        {
            "spec": {
                "containers": [
                    {"name": "vllm", "volumeMounts": [{"mountPath": "/adapters", "readOnly": False}]}
                ]
            }
        },
        "has other volumeMounts '/adapters'",
    ),
    ({"spec": {"volumes": [{"name": "agent-token", "emptyDir": {}}]}}, "volume 'agent-token' is another one"),
    ({"spec": {"volumes": [{"name": "adapters", "$patch": "delete"}]}}, "volume 'adapters' is missing"),
    ({"spec": {"enableServiceLinks": True}}, "enableServiceLinks must be false"),
    ({"spec": {"terminationGracePeriodSeconds": None}}, "terminationGracePeriodSeconds must be 90 at least"),
    ({"spec": {"terminationGracePeriodSeconds": 89}}, "must be 90 at least, for spec.vllm.drain; lower that"),
    ({"spec": {"restartPolicy": "Never"}}, "restartPolicy must be Always"),
]


@pytest.mark.parametrize(("patch", "problem"), BAD_TEMPLATES, ids=[problem for _, problem in BAD_TEMPLATES])
def test_what_sluice_relies_on_cannot_be_patched_away(patch: dict[str, Any], problem: str) -> None:
    good = item(lora=LORA, apiKeySecret="key")
    bad = item(lora=LORA, apiKeySecret="key", podTemplate=patch)
    assert template_problem(good, CONTEXT) == ""
    assert problem in template_problem(bad, CONTEXT)
    assert DEPLOYMENTS not in made(bad)
    running = replace(CONTEXT, deployment=live(good, 1))
    assert made(bad, running)[DEPLOYMENTS]["spec"]["template"] == made(good)[DEPLOYMENTS]["spec"]["template"]


def test_a_patch_merges_as_kubectl_does() -> None:
    patch = {
        "metadata": {"labels": {"team": "search"}},
        "spec": {
            "nodeSelector": {"gpu": "a100"},
            "tolerations": [{"operator": "Exists"}],
            "containers": [
                {
                    "name": "vllm",
                    "resources": {"limits": {"memory": "80Gi"}},
                    "env": [{"name": "NCCL_DEBUG", "value": "INFO"}],
                    "volumeMounts": [{"mountPath": "/data", "name": "data"}],
                },
                {"name": "proxy", "image": "envoy"},
            ],
            "volumes": [{"name": "cache", "hostPath": {"path": "/srv"}}, {"name": "data", "emptyDir": {}}],
            "topologySpreadConstraints": None,
        },
    }
    template = made(item(podTemplate=patch))[DEPLOYMENTS]["spec"]["template"]
    before = made(item())[DEPLOYMENTS]["spec"]["template"]
    pod = template["spec"]
    engine, proxy = pod["containers"]

    assert template["metadata"]["labels"] == {**before["metadata"]["labels"], "team": "search"}
    assert engine["resources"]["limits"] == {"nvidia.com/gpu": "1", "memory": "80Gi"}
    assert engine["env"] == [*before["spec"]["containers"][0]["env"], {"name": "NCCL_DEBUG", "value": "INFO"}]
    assert engine["volumeMounts"][-1] == {"mountPath": "/data", "name": "data"}
    assert proxy == {"name": "proxy", "image": "envoy"}
    # Of a volume's sources there is one.
    assert {"name": "cache", "hostPath": {"path": "/srv"}} in pod["volumes"]
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert "topologySpreadConstraints" not in pod


def test_a_patch_deletes_and_replaces_by_directive() -> None:
    pod = {"containers": [{"name": "a", "image": "1"}, {"name": "b"}], "securityContext": {"runAsUser": 1}}
    patch = {
        "containers": [{"name": "b", "$patch": "delete"}, {"name": "none", "$patch": "delete"}],
        "securityContext": {"$patch": "replace", "runAsGroup": 2},
    }
    assert pod_patch.merged(pod, patch) == {
        "containers": [{"name": "a", "image": "1"}],
        "securityContext": {"runAsGroup": 2},
    }
    assert pod["containers"][1] == {"name": "b"}


@settings(deadline=None, max_examples=150)
@given(name=model_servers.names, vllm=model_servers.specs())
def test_every_plan_is_whole_and_says_the_same_twice(name: str, vllm: dict[str, Any]) -> None:
    of = item(name, **vllm)
    first, second = plan(of, CONTEXT), plan(item(name, **json.loads(json.dumps(vllm))), CONTEXT)
    assert json.dumps([m for _, m in first.manifests]) == json.dumps([m for _, m in second.manifests])
    assert {(r, m["metadata"]["name"]) for r, m in first.manifests} == set(wanted(of.object))
    assert template_problem(of, CONTEXT) == ""
    for resource, manifest in first.manifests:
        metadata = manifest["metadata"]
        assert (manifest["apiVersion"], manifest["kind"]) == (resource.api_version, resource.kind)
        assert metadata["ownerReferences"][0]["uid"] == metadata["labels"]["sluice.dev/owner-uid"] == of.uid
        assert len(metadata["name"]) <= (253 if resource == SECRETS else 46)
        assert all(len(value) <= 63 for value in metadata["labels"].values())

    template = made(of)[DEPLOYMENTS]["spec"]["template"]
    pod = template["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    volumes = {each["name"] for each in pod["volumes"]}
    for container in pod["containers"]:
        if container["name"] in ("vllm", "adapter-agent"):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert {each["name"] for each in container["volumeMounts"]} <= volumes
            assert len({each["mountPath"] for each in container["volumeMounts"]}) == len(
                container["volumeMounts"]
            )
            assert len({each["name"] for each in container["env"]}) == len(container["env"])
    assert len(volumes) == len(pod["volumes"])


@settings(deadline=None, max_examples=300)
@given(st.lists(model_servers.names, min_size=2, max_size=2, unique=True))
def test_servers_of_two_names_have_children_of_two_names(pair: list[str]) -> None:
    one, two = pair
    assert names.child(one) != names.child(two)
    assert names.label(one) != names.label(two)
    assert names.agent_secret(one) != names.agent_secret(two)


def test_a_name_that_a_service_may_have_is_kept() -> None:
    assert names.child("llama-8b") == "llama-8b"
    assert names.child("8b.llama").startswith("m8b-llama-")
    assert names.agent_secret("8b.llama") == "8b.llama-adapter-agent"
