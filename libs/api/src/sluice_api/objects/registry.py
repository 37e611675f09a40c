"""The seven kinds by name."""

from sluice_api.objects.adapter_experiment import AdapterExperiment
from sluice_api.objects.base import SluiceObject
from sluice_api.objects.guardrail_policy import GuardrailPolicy
from sluice_api.objects.knowledge_base import KnowledgeBase
from sluice_api.objects.lora_adapter import LoRAAdapter
from sluice_api.objects.model_server import ModelServer
from sluice_api.objects.pipeline import Pipeline
from sluice_api.objects.tenant_shard import TenantShard

KINDS: dict[str, type[SluiceObject]] = {
    kind.KIND: kind
    for kind in (
        ModelServer,
        LoRAAdapter,
        AdapterExperiment,
        KnowledgeBase,
        TenantShard,
        GuardrailPolicy,
        Pipeline,
    )
}
