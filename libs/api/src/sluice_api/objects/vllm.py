"""The vLLM pods of a `ModelServer`: what they run, what they are given, and how many there are."""

import re
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, model_validator

from sluice_api.objects.base import Duration, Model, Name
from sluice_api.objects.cel import Rule
from sluice_api.objects.pod_parts import (
    Cache,
    Peer,
    PodTemplate,
    SecretName,
    Variables,
    Weights,
    check_free,
    free_variables,
)
from sluice_api.objects.quantities import Quantity, ResourceName, Resources
from sluice_api.objects.scaling import Autoscaling, Disruption, Rollout

#: Arguments of vLLM that follow from other fields, or that Sluice relies on.
_RESERVED_ARGS: Final = (
    "model",
    "served-model-name",
    "host",
    "port",
    "uds",
    "root-path",
    "ssl-keyfile",
    "ssl-certfile",
    "api-key",
    "api-server-count",
    "enable-lora",
    "max-loras",
    "max-cpu-loras",
    "max-lora-rank",
    "max-model-len",
)
#: The same in both spellings that vLLM takes, with and without a value.
RESERVED_ARGS: Final = f"^--({'|'.join(_RESERVED_ARGS).replace('-', '[-_]')})(=.*)?$"
#: Variables of vLLM's container that Sluice sets.
RESERVED_VARIABLES: Final = ("VLLM_API_KEY", "VLLM_ALLOW_RUNTIME_LORA_UPDATING", "VLLM_PORT", "VLLM_HOST_IP")
#: Settings of the adapter agent that follow from other fields.
RESERVED_AGENT_VARIABLES: Final = (
    "SLUICE_LISTEN",
    "SLUICE_METRICS_LISTEN",
    "SLUICE_TOKEN_FILE",
    "SLUICE_DATA_DIR",
    "SLUICE_ADAPTERS_DIR",
    "SLUICE_ENGINE_ADAPTERS_DIR",
    "SLUICE_DISK_BUDGET",
    "SLUICE_ENGINE_URL",
    "SLUICE_ENGINE_API_KEY_FILE",
    "SLUICE_MAX_LORA_RANK",
    "SLUICE_BASE_MODELS",
    "SLUICE_BASE_MODEL_DIR",
    "SLUICE_PVC_ROOT",
    "SLUICE_HUB_TOKEN_FILE",
    "SLUICE_S3_CREDENTIALS_FILE",
    "SLUICE_REGISTRY_CREDENTIALS_FILE",
    "SLUICE_HTTP_CREDENTIALS_FILE",
)


class Lora(Model):
    """vLLM's LoRA slots."""

    max_loras: Annotated[int, Field(ge=1, le=1024)] = 4
    """Adapters in one batch."""
    max_cpu_loras: Annotated[int, Field(ge=1, le=4096)] = 16
    """Adapters held in memory; `maxLoras` at least."""
    max_lora_rank: Annotated[int, Field(ge=1, le=512)] = 16

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.maxCpuLoras >= self.maxLoras",
            "maxCpuLoras must not be less than maxLoras",
            "_held",
            "maxCpuLoras",
        ),
    )

    @model_validator(mode="after")
    def _held(self) -> Self:
        if self.max_cpu_loras < self.max_loras:
            raise ValueError("maxCpuLoras must not be less than maxLoras")
        return self


class SourceSecrets(Model):
    """Names of Secrets that the adapter agent fetches adapters with."""

    hugging_face: SecretName = ""
    """Key `token`: the hub's token."""
    s3: SecretName = ""
    """Key `credentials`: an AWS credentials file, of which the profile `default` is used."""
    registry: SecretName = ""
    """A Secret for images: key `.dockerconfigjson`."""
    http: SecretName = ""
    """Key `netrc`: logins of the hosts that archives come from."""


class Agent(Model):
    """The adapter agent beside each vLLM; only of a server with `lora`."""

    image: Annotated[str, Field(max_length=512)] = ""
    """The operator's own when empty."""
    resources: Resources = Resources(requests={"cpu": "100m", "memory": "256Mi"}, limits={"memory": "1Gi"})
    volume_size: Quantity = "20Gi"
    """Of the volume that adapters lie on; they take up nine tenths of it at most."""
    claims: Annotated[tuple[Name, ...], Field(max_length=16)] = ()
    """Claims that adapters with a `pvc` source lie on; mounted read-only."""
    source_secrets: SourceSecrets = SourceSecrets()
    env: Variables = ()
    """Further settings, such as `SLUICE_FETCH`; docs/adapters.md lists them."""

    RULES: ClassVar[tuple[Rule, ...]] = (free_variables(RESERVED_AGENT_VARIABLES),)

    @model_validator(mode="after")
    def _variables_are_free(self) -> Self:
        check_free(self.env, RESERVED_AGENT_VARIABLES)
        return self


class Vllm(Model):
    """vLLM pods that Sluice runs; needs a cluster."""

    image: Annotated[str, Field(min_length=1, max_length=512)]
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Pods; says nothing where there is `autoscaling`. `kubectl scale` writes it."""
    autoscaling: Autoscaling | None = None
    args: Annotated[tuple[Annotated[str, Field(max_length=2048)], ...], Field(max_length=128)] = ()
    """Further arguments of vLLM's server, after those that follow from other fields."""
    env: Variables = ()
    """Further variables of vLLM's container, such as `HF_TOKEN`."""
    gpu: Annotated[int, Field(ge=0, le=16)] = 1
    """GPUs of a pod; of several, each holds a part of the model, unless `args` say otherwise."""
    gpu_resource_name: ResourceName = "nvidia.com/gpu"
    """What the cluster calls a GPU."""
    resources: Resources = Resources()
    """Of vLLM's container, without its GPUs."""
    shared_memory: Quantity = "2Gi"
    """Of `/dev/shm`, by which vLLM's processes talk; counts as memory of the container."""
    max_model_len: Annotated[int, Field(ge=1, le=100_000_000)] | None = None
    """Tokens of a prompt and its answer; the model's own limit when unset."""
    lora: Lora | None = None
    """Adapters need it."""
    weights: Weights | None = None
    """Where the base model lies; vLLM fetches `baseModel` from the hub when unset. The adapter agent compares adapters'
    shapes with it."""
    cache: Cache = Cache()
    agent: Agent = Agent()
    api_key_secret: SecretName = ""
    """Name of a Secret (or of a file in the secrets directory) that holds the API key, in a Secret under the key
    `api-key`."""
    startup_timeout: Annotated[Duration, Field(ge=5.0, le=86400.0)] = 1800.0
    """How long vLLM may take to fetch and load the model before it is started anew."""
    drain: Annotated[Duration, Field(le=3600.0)] = 60.0
    """How long a pod that is being deleted goes on answering what it has begun."""
    rollout: Rollout | None = None
    """How pods are replaced when the spec changes. Unset: of two or more with GPUs one after the other in its own
    place, otherwise the new one before the old one goes."""
    disruption: Disruption = Disruption()
    allow_from: Annotated[tuple[Peer, ...], Field(max_length=16)] = ()
    """Who may reach vLLM's port besides inference and gateway, such as Prometheus."""
    service_account_name: SecretName = ""
    """The namespace's default when empty; no token of it is mounted."""
    image_pull_secrets: Annotated[tuple[Name, ...], Field(max_length=16)] = ()
    pod_template: PodTemplate = PodTemplate()

    @property
    def served(self) -> "Vllm":
        """What an answer depends on, and what requests need; the rest as by default."""
        return Vllm(
            image=self.image,
            args=self.args,
            max_model_len=self.max_model_len,
            lora=self.lora,
            weights=self.weights,
            api_key_secret=self.api_key_secret,
        )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"!self.args.exists(each, each.matches('{RESERVED_ARGS}'))",
            "args must not have what Sluice sets, such as --model, --port and --max-loras; where there is a field for "
            "it, use that",
            "_args_are_free",
            "args",
        ),
        free_variables(RESERVED_VARIABLES),
        Rule(
            "!(self.gpuResourceName in self.resources.requests) && !(self.gpuResourceName in self.resources.limits)",
            "resources must not name gpuResourceName; set gpu",
            "_gpus_by_gpu",
            "resources",
        ),
        Rule(
            "!has(self.autoscaling) || !has(self.autoscaling.cpu) || 'cpu' in self.resources.requests || "
            "'cpu' in self.resources.limits",
            "autoscaling.cpu needs resources.requests.cpu: the target is a share of it",
            "_cpu_is_requested",
            "autoscaling",
        ),
    )

    @model_validator(mode="after")
    def _args_are_free(self) -> Self:
        for argument in self.args:
            if re.fullmatch(RESERVED_ARGS, argument, re.DOTALL):
                raise ValueError(
                    f"args must not have {argument_name(argument)}, which Sluice sets; where there is a "
                    "field for it, use that"
                )
        return self

    @model_validator(mode="after")
    def _variables_are_free(self) -> Self:
        check_free(self.env, RESERVED_VARIABLES)
        return self

    @model_validator(mode="after")
    def _gpus_by_gpu(self) -> Self:
        if self.gpu_resource_name in {**self.resources.requests, **self.resources.limits}:
            raise ValueError(f"resources must not name {self.gpu_resource_name}; set gpu")
        return self

    @model_validator(mode="after")
    def _cpu_is_requested(self) -> Self:
        scaled = self.autoscaling is not None and self.autoscaling.cpu is not None
        if scaled and "cpu" not in {**self.resources.requests, **self.resources.limits}:
            raise ValueError("autoscaling.cpu needs resources.requests.cpu: the target is a share of it")
        return self


def argument_name(argument: str) -> str:
    """`--max-loras` of `--max_loras=4`: vLLM takes both spellings."""
    return argument.split("=", 1)[0].replace("_", "-")
