"""The status of each kind, and its conditions, by the kind's name."""

from sluice_api.statuses import (
    adapter_experiment,
    guardrail_policy,
    knowledge_base,
    lora_adapter,
    model_server,
    pipeline,
    tenant_shard,
)
from sluice_api.statuses.base import ConditionType, Status

STATUSES: dict[str, tuple[type[Status], tuple[ConditionType, ...]]] = {
    "ModelServer": (model_server.ModelServerStatus, model_server.CONDITIONS),
    "LoRAAdapter": (lora_adapter.LoRAAdapterStatus, lora_adapter.CONDITIONS),
    "AdapterExperiment": (adapter_experiment.AdapterExperimentStatus, adapter_experiment.CONDITIONS),
    "KnowledgeBase": (knowledge_base.KnowledgeBaseStatus, knowledge_base.CONDITIONS),
    "TenantShard": (tenant_shard.TenantShardStatus, tenant_shard.CONDITIONS),
    "GuardrailPolicy": (guardrail_policy.GuardrailPolicyStatus, guardrail_policy.CONDITIONS),
    "Pipeline": (pipeline.PipelineStatus, pipeline.CONDITIONS),
}
