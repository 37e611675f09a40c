"""The status of a `ModelServer`."""

from typing import Annotated, Final

from pydantic import Field

from sluice_api.snapshot import Endpoint
from sluice_api.statuses.base import READY, READY_REASONS, ConditionType, Status


class ModelServerStatus(Status):
    """What the operator says of a `ModelServer`."""

    replicas: Annotated[int, Field(ge=0)] = 0
    """Pods that there are, without those that are being deleted."""
    ready_replicas: Annotated[int, Field(ge=0)] = 0
    """Of them, those whose vLLM answers."""
    ready: Annotated[str, Field(max_length=32)] = ""
    """`2/3`: of the pods that there should be, those whose vLLM answers."""
    selector: Annotated[str, Field(max_length=1024)] = ""
    """Of the pods, as autoscalers read it."""
    endpoints: Annotated[tuple[Endpoint, ...], Field(max_length=2048)] = ()
    """The pods whose vLLM answers, by name: where inference sends requests."""


CONFIGURED: Final = ConditionType(
    "Configured",
    "What the spec says and refers to can be carried out.",
    {
        "Configured": "It can.",
        "SecretMissing": "A Secret that the spec names is not there, or lacks the key. Create it: pods go on as they "
        "are, and new ones are made once it is there.",
        "PodTemplateInvalid": "`podTemplate` removes or changes what Sluice relies on. Take out what the message "
        "names; until then the pods stay as they are.",
        "NameTaken": "An object that the server needs has a name that belongs to somebody else; it is left alone. "
        "Delete or rename it, or give the server another name.",
    },
)
AUTOSCALED: Final = ConditionType(
    "Autoscaled",
    "The number of pods follows the load; only where there is `autoscaling`.",
    {
        "Autoscaled": "It does.",
        "Starting": "The autoscaler has been made and has not said anything yet.",
        "KedaMissing": "`autoscaling.queue` needs KEDA, which this cluster has not. Install it, or take `cpu` or "
        "`metric`. Until then the number of pods stays as it is, `minReplicas` at first.",
        "MetricMissing": "The autoscaler cannot read its metric, so that the number of pods stays as it is. The "
        "message is the autoscaler's.",
        "NameTaken": "An autoscaler of that name belongs to somebody else. Delete or rename it.",
    },
)
ROLLED_OUT: Final = ConditionType(
    "RolledOut",
    "All pods that there should be run what the spec says now.",
    {
        "RolledOut": "They do.",
        "RollingOut": "Pods are being made or replaced.",
        "RolloutStuck": "The new pods are not there in time. Pods of before go on answering. Look at `Available` and "
        "at the newest pods; without a free GPU for the new pod set `rollout` to `maxSurge: 0, maxUnavailable: 1`.",
        "PodsRefused": "The cluster does not let the pods be made: a quota, a limit range or pod security. The message "
        "is the cluster's.",
        "NotMade": "There is no Deployment yet; `Configured` says why.",
    },
)
AVAILABLE: Final = ConditionType(
    "Available",
    "At least one vLLM answers.",
    {
        "Available": "One does.",
        "External": "The server runs elsewhere; inference looks after it.",
        "Embedded": "The engine is within inference.",
        "ScaledToZero": "There should be no pods. Set `replicas`, or wait for the autoscaler.",
        "Starting": "The pods have been made and vLLM has not begun to load.",
        "LoadingWeights": "vLLM fetches, loads or compiles the model, minutes for a large one. If it takes as long as "
        "`startupTimeout`, it is started anew: raise that, or keep the model on a claim (`weights`, `cache`).",
        "Unschedulable": "No node has room: GPUs above all. The message is the scheduler's. Add nodes, lower `gpu` or "
        "`resources`, or tolerate the nodes' taints in `podTemplate`.",
        "ImagePullFailed": "The image cannot be pulled. Correct `image`, or name the registry's Secret in "
        "`imagePullSecrets`.",
        "ContainerRefused": "A container cannot be made: a Secret, a volume or a command is missing. The message is "
        "the kubelet's.",
        "OutOfMemory": "vLLM was killed for using more memory than its limit. Raise `resources.limits.memory`, or "
        "lower `sharedMemory` or `lora.maxCpuLoras`.",
        "CrashLooping": "vLLM ends again and again. Read its last words: `kubectl logs POD -c vllm --previous`. An "
        "argument that it does not know, and a model that does not fit the GPU, are the usual ones.",
        "NotResponding": "vLLM had started and answers its probe no more. It is started anew by itself.",
        "WrongModel": "vLLM serves another model than `baseModel`; it gets no requests. Take out of `podTemplate` what "
        "changes its command.",
    },
)
MANAGEABLE: Final = ConditionType(
    "AdaptersManageable",
    "Adapters can be loaded and unloaded on every pod that answers; only where there is `lora`.",
    {
        "Manageable": "They can.",
        "NoRoomToList": "They can, and there are more adapters on more pods than an object has room to list: requests "
        "for an adapter go to some of the pods that have it. Give adapters a `placement` with fewer replicas.",
        "NoPods": "No pod answers yet.",
        "Asking": "The agents of some pods have not been asked yet.",
        "AgentUnreachable": "The adapter agent of some pods does not answer the operator: what is loaded there goes on "
        "answering, and nothing else can be loaded. Read `kubectl logs POD -c adapter-agent`, and see that a "
        "NetworkPolicy lets the operator reach port 9200.",
        "EngineUnusable": "The agent of some pods cannot use its vLLM; the message is the agent's.",
    },
)
SUMMARY: Final = ConditionType(
    READY,
    "The server answers as the spec says: sums up the others.",
    {
        "Ready": "It does.",
        "NotConfigured": "See `Configured`. What ran before goes on.",
        "NotAvailable": "See `Available`.",
    }
    | dict(READY_REASONS),
)

#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = (
    CONFIGURED,
    AUTOSCALED,
    ROLLED_OUT,
    AVAILABLE,
    MANAGEABLE,
    SUMMARY,
)
