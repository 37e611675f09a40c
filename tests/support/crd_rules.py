"""An object for each rule between fields that breaks it, and one beside it that does not."""

from dataclasses import dataclass, field
from typing import Any

from sluice_api.merge_patch import merged
from sluice_api.objects.base import API_VERSION

Spec = dict[str, Any]

#: The least that each kind may say.
LEAST: dict[str, Spec] = {
    "ModelServer": {"extractive": {}},
    "LoRAAdapter": {
        "modelServerRef": "llama",
        "modelName": "legal",
        "revision": "1",
        "source": {"local": {"path": "/adapters/legal"}},
    },
    "AdapterExperiment": {
        "modelServerRef": "llama",
        "modelName": "legal",
        "arms": [
            {"name": "now", "role": "Control", "weight": 90},
            {"name": "new", "role": "Treatment", "weight": 10, "adapterRef": "legal-2"},
        ],
    },
    "KnowledgeBase": {},
    "TenantShard": {"knowledgeBaseRef": "handbook", "tenantId": "acme"},
    "GuardrailPolicy": {},
    "Pipeline": {
        "knowledgeBaseRef": "handbook",
        "guardrailPolicyRef": "default",
        "steps": {"generate": {"modelServerRef": "llama"}},
    },
}


@dataclass(frozen=True)
class Case:
    """Both are merge patches on the least that the kind may say, or on `before` where the rule is one of updates."""

    kind: str
    message: str
    refused: Spec
    accepted: Spec = field(default_factory=dict)
    before: Spec | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"

    def manifest(self, patch: Spec, namespace: str = "default") -> dict[str, Any]:
        """The whole object."""
        spec = merged(merged(LEAST[self.kind], self.before or {}), patch)
        return manifest(self.kind, spec, namespace)


def manifest(kind: str, spec: Any, namespace: str = "default") -> dict[str, Any]:
    """An object of a kind."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": "tried", "namespace": namespace},
        "spec": spec,
    }


_HF = {"huggingFace": {"repo": "a/b"}}
_DIGEST = "sha256:" + "0" * 64
_OTHER = "sha256:" + "1" * 64
_CALLS = {"modelServerRef": "small"}
_KEYS = "the keys must be among "
_ARMS = LEAST["AdapterExperiment"]["arms"]
_WASM = {"name": "a", "module": _DIGEST}
_ENDPOINT = {"url": "http://ranker"}


def _arms(*weights: int, roles: str = "CT", names: str = "abcd") -> Spec:
    words = {"C": "Control", "T": "Treatment"}
    return {
        "arms": [
            {"name": names[index], "role": words[roles[index]], "weight": weight}
            for index, weight in enumerate(weights)
        ]
    }


def _fallbacks(generate: str, **fallbacks: str) -> Spec:
    return {
        "steps": {
            "generate": {"onFail": generate},
            "fallbacks": {name: {**_CALLS, "onFail": on_fail} for name, on_fail in fallbacks.items()},
        }
    }


def _prompt(**prompt: Any) -> Spec:
    return {"steps": {"generate": {"prompt": prompt}}}


def _rerank(**rerank: Any) -> Spec:
    return {"steps": {"rerank": rerank}}


def _metric(**metric: Any) -> Spec:
    return {"guardMetrics": [metric]}


_QUEUE = {"prometheus": "http://prometheus:9090"}
_SECRET = {"secretKeyRef": {"name": "a", "key": "b"}}
_VLLM = {"extractive": None, "baseModel": "llama", "vllm": {"image": "vllm"}}


def _vllm(**vllm: Any) -> Spec:
    return {**_VLLM, "vllm": {"image": "vllm", **vllm}}


CASES: tuple[Case, ...] = (
    Case(
        "ModelServer",
        "exactly one of extractive, external, vllm must be set",
        {"external": {"urls": ["http://a/v1"]}, "baseModel": "a"},
        _VLLM,
    ),
    Case("ModelServer", "exactly one of extractive, external, vllm must be set", {"extractive": None}, _VLLM),
    Case(
        "ModelServer",
        "baseModel must be set unless the engine is extractive",
        {**_VLLM, "baseModel": None},
        _VLLM,
    ),
    Case(
        "ModelServer",
        "must be at least 100ms",
        {"routing": {"scrapeInterval": "99ms"}},
        {"routing": {"scrapeInterval": "0.1s"}},
    ),
    Case(
        "ModelServer",
        "must be at most 300s",
        {"routing": {"scrapeInterval": "0.1d"}},
        {"routing": {"scrapeInterval": "5m"}},
    ),
    *(
        Case("ModelServer", message, _vllm(**refused), _vllm(**accepted))
        for message, refused, accepted in (
            (
                "maxCpuLoras must not be less than maxLoras",
                {"lora": {"maxLoras": 17}},
                {"lora": {"maxLoras": 16}},
            ),
            (
                "exactly one of cpu, metric, queue must be set",
                {"autoscaling": {"maxReplicas": 2}},
                {"autoscaling": {"maxReplicas": 2, "queue": _QUEUE}},
            ),
            (
                "minReplicas must not be more than maxReplicas",
                {"autoscaling": {"minReplicas": 3, "maxReplicas": 2, "queue": _QUEUE}},
                {"autoscaling": {"minReplicas": 2, "maxReplicas": 2, "queue": _QUEUE}},
            ),
            (
                "minReplicas 0 needs queue.query, which counts requests where there are no pods",
                {"autoscaling": {"minReplicas": 0, "maxReplicas": 2, "queue": _QUEUE}},
                {"autoscaling": {"minReplicas": 0, "maxReplicas": 2, "queue": {**_QUEUE, "query": "up"}}},
            ),
            (
                "minReplicas 0 needs queue.query, which counts requests where there are no pods",
                {"autoscaling": {"minReplicas": 0, "maxReplicas": 2, "metric": {"name": "a", "average": 1}}},
                {"autoscaling": {"maxReplicas": 2, "metric": {"name": "a", "average": 1}}},
            ),
            (
                "autoscaling.cpu needs resources.requests.cpu: the target is a share of it",
                {"autoscaling": {"maxReplicas": 2, "cpu": {}}},
                {"autoscaling": {"maxReplicas": 2, "cpu": {}}, "resources": {"requests": {"cpu": 4}}},
            ),
            (
                "one of maxSurge, maxUnavailable must be more than 0",
                {"rollout": {"maxUnavailable": 0}},
                {"rollout": {"maxUnavailable": 0, "maxSurge": 1}},
            ),
            (
                "only one of value, valueFrom may be set",
                {"env": [{"name": "A", "value": "1", "valueFrom": _SECRET}]},
                {"env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": _SECRET}]},
            ),
            (
                "Duplicate value",
                {"env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
                {"env": [{"name": "A"}]},
            ),
            (
                "env must not have what Sluice sets: VLLM_API_KEY",
                {"env": [{"name": "VLLM_API_KEY", "value": "a"}]},
                {"env": [{"name": "HF_TOKEN", "value": "a"}]},
            ),
            (
                "env must not have what Sluice sets: SLUICE_LISTEN",
                {"agent": {"env": [{"name": "SLUICE_TOKEN_FILE", "value": "a"}]}},
                {"agent": {"env": [{"name": "SLUICE_FETCH", "value": "a"}]}},
            ),
            (
                "args must not have what Sluice sets",
                {"args": ["--seed=1", "--max_loras=4"]},
                {"args": ["--seed", "1"]},
            ),
            (
                "args must not have what Sluice sets",
                {"args": ["--port", "1"]},
                {"args": ["--max-num-seqs=--port"]},
            ),
            (
                "resources must not name gpuResourceName; set gpu",
                {"resources": {"limits": {"nvidia.com/gpu": 1}}},
                {"resources": {"limits": {"memory": "20Gi"}}, "gpu": 2},
            ),
            (
                "resources must not name gpuResourceName; set gpu",
                {"resources": {"requests": {"amd.com/gpu": 1}}, "gpuResourceName": "amd.com/gpu"},
                {"resources": {"requests": {"memory": "1.5Gi"}}, "gpuResourceName": "amd.com/gpu"},
            ),
            (
                "only one of claimName, sizeLimit may be set",
                {"cache": {"claimName": "a", "sizeLimit": "1Gi"}},
                {"cache": {"sizeLimit": "1Gi"}},
            ),
            (
                "one of namespaceLabels, podLabels must be set",
                {"allowFrom": [{}]},
                {"allowFrom": [{"podLabels": {"app": "prometheus"}}, {"namespaceLabels": {"a": ""}}]},
            ),
            (
                "the keys must have 1 to 317 characters",
                {"podTemplate": {"metadata": {"labels": {"": "b"}}}},
                {"podTemplate": {"metadata": {"labels": {317 * "a": "b"}, "annotations": {"c": "d"}}}},
            ),
            (
                "the keys must have 1 to 253 characters and match",
                {"resources": {"limits": {"-memory": "20Gi"}}},
                {"resources": {"limits": {"example.com/tpu": 1}}},
            ),
            ("must be at least 5s", {"startupTimeout": "4999ms"}, {"startupTimeout": "5s"}),
            ("must be at most 86400s", {"startupTimeout": "24.1h"}, {"startupTimeout": "1d"}),
            ("must be at most 3600s", {"drain": "61m"}, {"drain": "1h"}),
        )
    ),
    Case(
        "LoRAAdapter",
        "exactly one of huggingFace, s3, http, pvc, oci, local must be set",
        {"source": _HF},
        {"source": {**_HF, "local": None}},
    ),
    Case(
        "LoRAAdapter",
        "exactly one of huggingFace, s3, http, pvc, oci, local must be set",
        {"source": {"local": None}},
    ),
    Case(
        "LoRAAdapter",
        "replicas cannot be set where strategy is All",
        {"placement": {"replicas": 2}},
        {"placement": {"replicas": 2, "strategy": "Spread"}},
    ),
    Case(
        "LoRAAdapter",
        "minAvailable must not be more than replicas",
        {"placement": {"replicas": 2, "strategy": "Spread", "minAvailable": 3}},
        {"placement": {"replicas": 2, "strategy": "Spread", "minAvailable": 2}},
    ),
    Case(
        "LoRAAdapter",
        "modelServerRef cannot be changed: make a new adapter",
        {"modelServerRef": "other"},
        {"rank": 8},
        before={},
    ),
    Case(
        "LoRAAdapter",
        "modelName cannot be changed: clients send it; make a new adapter",
        {"modelName": "other"},
        {"tenants": ["acme"]},
        before={},
    ),
    Case(
        "LoRAAdapter",
        "source and digest cannot change under the same revision",
        {"source": {"local": {"path": "/adapters/legal-2"}}},
        {"source": {"local": {"path": "/adapters/legal-2"}}, "revision": "2"},
        before={},
    ),
    Case(
        "LoRAAdapter",
        "source and digest cannot change under the same revision",
        {"digest": _OTHER},
        {"digest": _OTHER, "revision": "2"},
        before={"digest": _DIGEST},
    ),
    Case(
        "LoRAAdapter",
        "revision cannot change alone",
        {"revision": "2"},
        {"digest": _DIGEST},
        before={},
    ),
    *(
        Case("LoRAAdapter", message, refused, accepted)
        for message, refused, accepted in (
            ("must be at least 1s", {"load": {"timeout": "900ms"}}, {"load": {"timeout": "1s"}}),
            ("must be at most 3600s", {"load": {"timeout": "61m"}}, {"load": {"timeout": "1h"}}),
            (
                "must be at least 1s",
                {"load": {"downloadTimeout": "0.9s"}},
                {"load": {"downloadTimeout": "1s"}},
            ),
            (
                "must be at most 86400s",
                {"load": {"downloadTimeout": "25h"}},
                {"load": {"downloadTimeout": "1d"}},
            ),
            ("must be at least 100ms", {"load": {"backoff": "99ms"}}, {"load": {"backoff": "100ms"}}),
            ("must be at most 3600s", {"load": {"backoff": "61m"}}, {"load": {"backoff": "1h"}}),
            ("must be at least 100ms", {"load": {"maxBackoff": "99ms"}}, {"load": {"maxBackoff": "100ms"}}),
            ("must be at most 86400s", {"load": {"maxBackoff": "25h"}}, {"load": {"maxBackoff": "24h"}}),
            ("must be at most 86400s", {"deletion": {"drain": "25h"}}, {"deletion": {"drain": "24h"}}),
            ("must be at most 604800s", {"deletion": {"timeout": "8d"}}, {"deletion": {"timeout": "7d"}}),
            ("must be at most 2592000s", {"rollbackWindow": "31d"}, {"rollbackWindow": "0s"}),
        )
    ),
    Case("AdapterExperiment", "the weights of all arms must add up to 100", _arms(50, 49), _arms(50, 50)),
    Case(
        "AdapterExperiment",
        "exactly one arm must have the role Control",
        _arms(50, 50, roles="CC"),
        _arms(50, 30, 20, roles="TCT"),
    ),
    Case("AdapterExperiment", "exactly one arm must have the role Control", _arms(50, 50, roles="TT")),
    Case("AdapterExperiment", "Duplicate value", _arms(50, 50, names="aa"), _arms(50, 50, names="ab")),
    Case(
        "AdapterExperiment",
        "modelServerRef cannot be changed: the samples are of that server; make a new experiment",
        {"modelServerRef": "other"},
        _arms(50, 50),
        before={},
    ),
    Case(
        "AdapterExperiment",
        "modelName cannot be changed: the samples are of that alias; make a new experiment",
        {"modelName": "other"},
        {"salt": "again"},
        before={},
    ),
    *(
        Case("AdapterExperiment", message, refused, accepted)
        for message, refused, accepted in (
            ("must be at least 1s", {"analysisInterval": "0.9s"}, {"analysisInterval": "1s"}),
            ("must be at most 86400s", {"analysisInterval": "1.1d"}, {"analysisInterval": "24h"}),
            ("must be at least 60s", {"maxDuration": "59s"}, {"maxDuration": "1m"}),
            ("must be at most 7776000s", {"maxDuration": "90.5d"}, {"maxDuration": "90d"}),
        )
    ),
    Case(
        "AdapterExperiment",
        "one of max, minDelta must be set",
        _metric(metric="tokens"),
        _metric(metric="tokens", max=10),
    ),
    Case(
        "AdapterExperiment",
        "max cannot bound a metric of which more is better; set minDelta",
        _metric(metric="feedback", max=0.5),
        _metric(metric="feedback", minDelta=-0.5),
    ),
    *(
        Case(
            "AdapterExperiment",
            "the aggregation must be rate or mean of errorRate, blockRate and degradedRate",
            _metric(metric=metric, max=1.0, aggregation=wrong),
            _metric(metric=metric, max=1.0, aggregation=right),
        )
        for metric, wrong, right in (
            ("errorRate", "p95", "rate"),
            ("blockRate", "p95", "mean"),
            ("degradedRate", "p95", "rate"),
            ("latency", "rate", "p95"),
            ("tokens", "p95", "mean"),
        )
    ),
    Case(
        "KnowledgeBase",
        "only one of builtin, onnx, openAI, tei may be set",
        {"embedding": {"builtin": {}, "onnx": {"path": "/m"}}},
        {"embedding": {"tei": {"url": "http://tei", "dimension": 8}}},
    ),
    Case(
        "KnowledgeBase",
        "match lists any and exact; [] stores no tokens",
        {"tokens": {"match": ["off"]}},
        {"tokens": {"match": []}},
    ),
    Case(
        "KnowledgeBase",
        "Duplicate value",
        {"tokens": {"match": ["any", "any"]}},
        {"tokens": {"match": ["exact", "any"]}},
    ),
    Case(
        "KnowledgeBase",
        "exactly one of embedded, openSearch, elasticsearch must be set",
        {"keyword": {}},
        {"keyword": {"embedded": {}}},
    ),
    Case(
        "KnowledgeBase",
        "Duplicate value",
        {"fields": [{"name": "year", "type": "integer"}, {"name": "year", "type": "float"}]},
        {"fields": [{"name": "year", "type": "integer"}, {"name": "price", "type": "float"}]},
    ),
    Case(
        "KnowledgeBase",
        "only one of embedded, selfHosted may be set",
        {"deployment": {"embedded": {}, "selfHosted": {"url": "http://qdrant"}}},
        {"deployment": {"selfHosted": {"url": "http://qdrant"}}},
    ),
    Case(
        "TenantShard",
        "knowledgeBaseRef cannot be changed: make a new object",
        {"knowledgeBaseRef": "other"},
        {"tier": "Dedicated"},
        before={},
    ),
    Case(
        "TenantShard",
        "tenantId cannot be changed: make a new object",
        {"tenantId": "other"},
        {"tier": "Shared"},
        before={},
    ),
    Case(
        "TenantShard",
        "demoteBelowPoints must be at most half of promoteAbovePoints",
        {"thresholds": {"demoteBelowPoints": 10_001}},
        {"thresholds": {"demoteBelowPoints": 10_000}},
    ),
    Case(
        "GuardrailPolicy",
        "output.pii.reversible must be false: only what the input gate redacts can be put back",
        {"output": {"pii": {"reversible": True, "action": "redact"}}},
        {"output": {"pii": {"action": "redact"}}},
    ),
    Case(
        "GuardrailPolicy",
        "input.pii.reversible takes `action: redact`",
        {"input": {"pii": {"reversible": True}}},
        {"input": {"pii": {"reversible": True, "action": "redact"}}},
    ),
    *(
        Case(
            "GuardrailPolicy",
            "with `streaming: detect` the answer has left before it is screened",
            {"streaming": "detect", **what},
            {"streaming": "window", **what},
        )
        for what in (
            {"input": {"pii": {"reversible": True, "action": "redact"}}},
            {"output": {"pii": {"action": "redact"}}},
            {"output": {"profanity": {"action": "redact"}}},
        )
    ),
    *(
        Case(
            "GuardrailPolicy",
            "this detector cannot redact, since what it finds has no exact place",
            {gate: {detector: {"action": "redact"}}},
            {gate: {detector: {"action": "flag"}}},
        )
        for gate, detector in (
            ("input", "promptInjection"),
            ("input", "topics"),
            ("input", "content"),
            ("output", "citations"),
            ("output", "groundedness"),
            ("output", "leakage"),
        )
    ),
    Case(
        "GuardrailPolicy",
        "this detector cannot redact, since what it finds has no exact place",
        {"documents": {"action": "redact"}},
        {"documents": {"action": "block"}},
    ),
    Case(
        "GuardrailPolicy",
        "the channels of a calibration are *, user, document, tool, output",
        {"input": {"promptInjection": {"classifier": {"path": "/m", "calibration": {"users": [0.1, 0.2]}}}}},
        {"input": {"promptInjection": {"classifier": {"path": "/m", "calibration": {"user": [0.1, 0.2]}}}}},
    ),
    *(
        Case(
            "GuardrailPolicy",
            "a calibration must be two scores, 0 to 1, the lower one first",
            {"output": {"groundedness": {"model": {"path": "/m", "calibration": {"*": scores}}}}},
            {"output": {"groundedness": {"model": {"path": "/m", "calibration": {"*": [0, 1]}}}}},
        )
        for scores in ([0.2, 0.1], [-0.1, 0.5], [0.5, 1.1])
    ),
    Case(
        "GuardrailPolicy",
        _KEYS + "email",
        {"input": {"pii": {"thresholds": {"mail": 0.5}}}},
        {"input": {"pii": {"thresholds": {"email": 0.5}}}},
    ),
    Case(
        "GuardrailPolicy",
        _KEYS + "unsupported",
        {"output": {"groundedness": {"thresholds": {"none": 0.5}}}},
        {"output": {"groundedness": {"thresholds": {"name-absent": 0.5}}}},
    ),
    Case(
        "GuardrailPolicy",
        "Duplicate value",
        {"wasm": [_WASM, _WASM]},
        {"wasm": [_WASM, {**_WASM, "name": "b"}]},
    ),
    Case(
        "GuardrailPolicy",
        "Duplicate value",
        {"tenants": [{"names": ["acme", "acme"], "patch": {}}]},
        {"tenants": [{"names": ["acme", "umbrella"], "patch": {"mode": "shadow"}}]},
    ),
    Case(
        "Pipeline",
        "promote needs payloads",
        {"promote": True, "payloads": "none"},
        {"promote": True, "payloads": "full"},
    ),
    Case(
        "Pipeline",
        "generate.onFail names no fallback of that name",
        _fallbacks("catch:b", a="abort"),
        _fallbacks("catch:a", a="abort"),
    ),
    Case(
        "Pipeline",
        "a fallback's onFail names no fallback of that name",
        _fallbacks("catch:a", a="catch:b"),
        _fallbacks("catch:a", a="catch:b", b="abort"),
    ),
    *(
        Case(
            "Pipeline",
            "a fallback's onFail leads back to a fallback that has failed already",
            _fallbacks("catch:a", **loop),
            _fallbacks("catch:a", **{**loop, last: "abort"}),
        )
        for last, loop in (
            ("a", {"a": "catch:a"}),
            ("b", {"a": "catch:b", "b": "catch:a"}),
            ("c", {"a": "catch:b", "b": "catch:c", "c": "catch:b"}),
            ("e", {"a": "catch:b", "b": "catch:c", "c": "catch:d", "d": "catch:e", "e": "catch:a"}),
        )
    ),
    Case(
        "Pipeline",
        "a fallback's onFail leads back to a fallback that has failed already",
        _fallbacks("catch:a", a="abort", b="catch:c", c="catch:b"),
    ),
    Case(
        "Pipeline",
        "a fallback is never used",
        _fallbacks("abort", a="abort"),
        _fallbacks("abort"),
    ),
    Case(
        "Pipeline",
        "the keys must have 1 to 32 characters and match",
        _fallbacks("catch:A", A="abort"),
        _fallbacks("catch:a" + 31 * "b", **{"a" + 31 * "b": "abort"}),
    ),
    Case(
        "Pipeline",
        "onFail must be abort or catch:NAME",
        _fallbacks("degrade"),
        _fallbacks("abort"),
    ),
    *(
        Case("Pipeline", "Unsupported value", {"steps": {step: {"onFail": wrong, **more}}}, right)
        for step, wrong, more, right in (
            ("guardInput", "degrade", {}, {"steps": {"guardInput": {"onFail": "abort"}}}),
            ("retrieve", "degrade", {}, {"steps": {"retrieve": {"onFail": "catch:generate"}}}),
            ("rerank", "catch:generate", {}, {"steps": {"rerank": {"onFail": "abort"}}}),
            ("rewrite", "catch:generate", _CALLS, {"steps": {"rewrite": {"onFail": "degrade", **_CALLS}}}),
        )
    ),
    Case(
        "Pipeline",
        "only one of embedded, crossEncoder, sentenceTransformers, endpoint, lateInteraction may be set",
        _rerank(ranker={"embedded": {}, "lateInteraction": {}}),
        _rerank(ranker={"lateInteraction": {}}),
    ),
    Case(
        "Pipeline",
        "blend mixes the embedded ranker into another one",
        _rerank(ranker={"blend": 0.5}),
        _rerank(ranker={"blend": 0.5, "endpoint": _ENDPOINT}),
    ),
    Case(
        "Pipeline",
        "model must be set where protocol is cohere",
        _rerank(ranker={"endpoint": {**_ENDPOINT, "protocol": "cohere"}}),
        _rerank(ranker={"endpoint": {**_ENDPOINT, "protocol": "cohere", "model": "rerank-v3.5"}}),
    ),
    Case(
        "Pipeline",
        "weights must hold one above zero",
        _rerank(arrange={"fusion": {"weights": {"dense": 0}}}),
        _rerank(arrange={"fusion": {"weights": {"dense": 0, "sparse": 1}}}),
    ),
    Case(
        "Pipeline",
        _KEYS + "ranker",
        _rerank(arrange={"fusion": {"weights": {"dense": 1, "web": 1}}}),
        _rerank(arrange={"fusion": {"weights": {"dense": 1, "keyword": 1}}}),
    ),
    Case(
        "Pipeline",
        "exactly one of freshness, matching, knowledgeBase must be set",
        _rerank(
            arrange={
                "boosts": [{"logOdds": 1, "knowledgeBase": "a", "matching": {"field": "a", "values": [1]}}]
            }
        ),
        _rerank(
            arrange={"boosts": [{"logOdds": 1, "matching": {"field": "a", "values": [1, "b", True, 0.5]}}]}
        ),
    ),
    Case(
        "Pipeline",
        "must be more than 0s",
        {"steps": {"retrieve": {"hedgeAfter": "0ms"}}},
        {"steps": {"retrieve": {"hedgeAfter": "250ms"}}},
    ),
    Case(
        "Pipeline",
        "{passages} must stand in the template",
        _prompt(template="Answer in rhyme."),
        _prompt(template="Answer in rhyme from { passages }"),
    ),
    Case("Pipeline", "{passages} must stand in the template", _prompt(template=" "), _prompt(template="")),
    Case(
        "Pipeline",
        "metadata cannot show number and title",
        _prompt(metadata=["year", "title"]),
        _prompt(metadata=["year", "source.page"]),
    ),
)
