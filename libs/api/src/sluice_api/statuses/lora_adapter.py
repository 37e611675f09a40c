"""The status of a `LoRAAdapter`."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from sluice_api.objects.lora_adapter import Source
from sluice_api.statuses.base import ConditionType, Status, StatusPart

#: Entries of `pods` that are shown; the rest is counted.
MAX_PODS = 256

Text = Annotated[str, Field(max_length=1024)]
Count = Annotated[int, Field(ge=0)]
Label = Annotated[str, Field(max_length=253)]
Time = Annotated[str, Field(max_length=40)]


class PodState(StrEnum):
    """How far one version of the adapter is on one pod."""

    PENDING = "Pending"
    """It is wanted there, and nothing has been done yet."""
    DOWNLOADING = "Downloading"
    """The agent brings the files and checks them."""
    LOADING = "Loading"
    """The files are there; the engine is to load them, or does."""
    LOADED = "Loaded"
    """The engine lists it."""
    FAILED = "Failed"
    """The last try failed: tried again at `nextAttemptTime`; where that is unset, not before spec or pod change."""
    DRAINING = "Draining"
    """Out of rotation; unloaded at `nextAttemptTime`."""
    UNLOADED = "Unloaded"
    """The engine has been told to forget it, and is looked at once more."""


class NamedVersion(StatusPart):
    """One version of an adapter: its name in engines, its files, and where they come from."""

    engine_name: Label = ""
    """`<modelName>--` and 10 hex digits of the files' digests; no other files are ever loaded under it."""
    revision: Annotated[str, Field(max_length=63)] = ""
    digest: Annotated[str, Field(max_length=80)] = ""
    """Of the weights."""
    config_digest: Annotated[str, Field(max_length=80)] = ""
    """Of the configuration."""
    source: Source | None = None
    """As the spec had it, so that pods that come later get the same files."""
    origin: Annotated[str, Field(max_length=4096)] = ""
    """What the source was pinned to, such as a commit."""
    rank: Count = 0
    base_model: Annotated[str, Field(max_length=1024)] = ""
    """That the adapter was trained on, by its own words."""
    target_modules: Annotated[tuple[Label, ...], Field(max_length=256)] = ()
    size_bytes: Count = 0
    warnings: Annotated[tuple[Text, ...], Field(max_length=16)] = ()
    """What could not be checked."""


class PreviousVersion(NamedVersion):
    """The version that was in rotation before; going back to it needs no load."""

    until: Time = ""
    """It stays loaded up to then, in RFC 3339."""


class Replicas(StatusPart):
    """How many pods there are to speak of."""

    desired: Count = 0
    """That are to have the adapter."""
    candidates: Count = 0
    """Of the model server, without those that are being deleted."""
    loaded: Count = 0
    """That serve the version in rotation and are ready."""
    loading: Count = 0
    """That are on their way to the spec's version."""
    failed: Count = 0
    """Whose last try of the spec's version failed."""


class PodStatus(StatusPart):
    """One version on one pod. A pod has one entry for each version that takes, or is to take, one of its slots."""

    LIST_KEYS: ClassVar[tuple[str, ...]] = ("podUid", "engineName")

    pod_uid: Annotated[str, Field(max_length=64)]
    pod_name: Label = ""
    restart_count: Count = 0
    """Of the engine's container when this was written: a restarted engine has nothing loaded."""
    state: PodState = PodState.PENDING
    engine_name: Label = ""
    """Of the version; empty while it is not known which files the source has."""
    attempts: Count = 0
    """Failed tries since the last success or change of spec or pod."""
    reason: Annotated[str, Field(max_length=128)] = ""
    """The agent's word for the last trouble, such as `DISK_FULL`."""
    message: Text = ""
    last_attempt_time: Time | None = None
    """When the last try ended, or the state was last made sure of, in RFC 3339."""
    next_attempt_time: Time | None = None
    """When it is tried again, or unloaded."""
    load_seconds: Annotated[float, Field(ge=0)] | None = None
    """That the last load took."""
    progress: Annotated[int, Field(ge=0, le=100)] | None = None
    """Percent of the download."""


class LoRAAdapterStatus(Status):
    """What the operator says of a `LoRAAdapter`."""

    resolved: NamedVersion | None = None
    """The spec's version, once it is known what its source has."""
    engine_name: Label = ""
    """What engines serve the alias under: the version in rotation."""
    revision: Annotated[str, Field(max_length=63)] = ""
    """The spec's word for the version in rotation."""
    in_rotation: NamedVersion | None = None
    """The version in rotation, whole; another than `resolved` while a new one is not ready to take over."""
    previous: PreviousVersion | None = None
    """What was in rotation before, while it is kept loaded."""
    replicas: Replicas = Replicas()
    loaded: Annotated[str, Field(max_length=16)] = ""
    """`replicas.loaded` of `replicas.desired`, such as `2/3`."""
    pods: Annotated[tuple[PodStatus, ...], Field(max_length=MAX_PODS)] = ()
    """What fails comes first; of the rest what is in rotation comes last."""
    pods_omitted: Count = 0
    """Entries that have no room in `pods`."""
    also_loaded: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=1000)] = ()
    """Uids of pods that have `engineName` loaded and whose entry is omitted."""
    leaving_since: Time | None = None
    """When the deletion took it out of rotation, in RFC 3339."""


#: What keeps an adapter from being loaded whatever its files are; every condition says so.
_OBSTACLES = {
    "ModelServerNotFound": "There is no ModelServer of that name in the namespace. Make it, or correct "
    "`spec.modelServerRef`.",
    "AliasConflict": "An older adapter of the server has the alias, and serves on. Change `spec.modelName`, or delete "
    "the other.",
    "AliasIsBaseModel": "The alias is the name of the server's base model. Change `spec.modelName`.",
    "Extractive": "The ModelServer quotes and has no model to adapt. Name another.",
    "ServedElsewhere": "The ModelServer is external: nothing is loaded, and its server has to serve the alias.",
    "LoraDisabled": "The ModelServer loads no adapters. Set `spec.vllm.lora` there.",
    "Retired": "An AdapterExperiment has done with it (its `status.retired`): drained and unloaded. It is loaded again "
    "when that experiment is deleted or begins anew; delete both together.",
    "Deleting": "It is being deleted: out of rotation, then drained, unloaded and made sure of.",
}

SOURCE_RESOLVED = ConditionType(
    "SourceResolved",
    "The files of the spec's source are known, by their digests.",
    {
        **_OBSTACLES,
        "Resolved": "All pods load the files that `status.resolved` names.",
        "Fetched": "The files have been fetched and refused. See `Compatible`.",
        "Resolving": "An agent is fetching the files for the first time. Wait.",
        "WaitingForAgent": "No agent can be asked to fetch the files. See `Placed` and the pods of the ModelServer.",
        "SourceInvalid": "The source cannot be right. Correct `spec.source` as the message says.",
        "NotFound": "The source has nothing of that name. Correct `spec.source`, or put the adapter there and set "
        "`digest` and another `revision`.",
        "AuthFailed": "The source wants credentials that the agent has not, or refuses those it has. Give the "
        "ModelServer's agents credentials.",
        "AddressRefused": "The agent may not ask that server. Allow it in the agent's settings.",
        "PathRefused": "The agent may not read that folder. Allow it in the agent's settings.",
        "SourceRefused": "The server refused the request, and will again. The message has its words.",
        "SourceUnavailable": "The server cannot be reached or is in trouble. It is tried again by itself.",
        "SourceTooSlow": "The download took longer than `spec.load.downloadTimeout`. Allow more; it is tried again.",
        "ArchiveInvalid": "The archive is broken, or has in it what no adapter has. Pack it anew.",
        "TooLarge": "The adapter is larger than the agent allows. Raise its limit (`SLUICE_MAX_ADAPTER`).",
        "UnsafeFormat": "The weights are no safetensors; a pickle runs code when it is read. Save them as safetensors.",
        "ConfigInvalid": "`adapter_config.json` cannot be read. Correct it as the message says.",
        "DigestMismatch": "The source has other files than were pinned by `spec.digest` or `status.resolved`. Find out "
        "why; where it is right, set `digest` and another `revision`. What is loaded serves on.",
    },
)

COMPATIBLE = ConditionType(
    "Compatible",
    "The adapter fits the base model and what the engine can do.",
    {
        **_OBSTACLES,
        "Compatible": "Its rank, its modules and their shapes have been checked.",
        "NotChecked": "The files have not been seen yet. See `SourceResolved`.",
        "RankTooHigh": "Its rank is above the server's `lora.maxLoraRank`. Raise that, or train with a lower one.",
        "RankMismatch": "Its rank is not `spec.rank`. Correct `spec.rank`, or the source.",
        "BaseModelMismatch": "It was trained on another base model. Name a ModelServer of that model.",
        "ModuleUnknown": "It changes modules that the base model has not. It was trained on another model.",
        "ShapeMismatch": "Its tensors do not fit the base model's. It was trained on another model.",
        "UnsupportedAdapter": "It is of a kind that vLLM does not serve, such as DoRA. Train it in another way.",
        "Unchecked": "It could not be checked, and the agent is strict. Give the agent the base model's folder.",
    },
)

PLACED = ConditionType(
    "Placed",
    "Pods with a slot for the adapter have been found, as many as the spec wants.",
    {
        **_OBSTACLES,
        "Placed": "Every pod that is to have it has a slot for it.",
        "Waiting": "It is placed once its files are known. See `SourceResolved`.",
        "NoCandidates": "The ModelServer has no pods. Raise its replicas, or see what keeps them from being made.",
        "TooFewPods": "The ModelServer has fewer pods than `placement.replicas`. Raise the server's replicas, or lower "
        "these.",
        "NoFreeSlots": "Pods have as many adapters as `lora.maxCpuLoras`. Raise that, add pods, or remove adapters; it "
        "is placed as slots become free.",
    },
)

LOADED = ConditionType(
    "Loaded",
    "The spec's version is loaded on every pod that is to have it.",
    {
        **_OBSTACLES,
        "AllLoaded": "Every pod that is to have it lists it.",
        "PartiallyLoaded": "Some pods have it and others not. See the entries of `status.pods` that come first.",
        "Loading": "It is on its way to the pods. Wait.",
        "NotPlaced": "There is no pod to load it. See `Placed`.",
        "PodsNotReady": "The pods are not ready. See the pods and the ModelServer.",
        "AgentUnreachable": "The pods' agents do not answer. See their containers' logs and the network policy; it is "
        "tried again by itself.",
        "EngineUnreachable": "vLLM or its agent does not answer, so that nobody can tell what is loaded; what "
        "was loaded is not taken for gone. See the pod; it is tried again by itself.",
        "TimedOut": "An agent did not end in `load.timeout` or `load.downloadTimeout`, and is tried again. Allow more; "
        "see its log.",
        "LoadFailed": "Loads fail, and are tried again. `status.pods` says why.",
        "MaxAttemptsReached": "Loads have failed `load.maxAttempts` times, and are not tried before spec or pod "
        "change. Put right what `status.pods` names, then change the spec or delete the pod.",
        "EngineRefused": "vLLM refuses to load it. The message has its words.",
        "EngineMisconfigured": "vLLM does not see the agent's folder. Mount it where the agent's settings say.",
        "LoraOff": "vLLM runs without `--enable-lora` or `VLLM_ALLOW_RUNTIME_LORA_UPDATING`. Start it with both.",
        "EngineAuthFailed": "vLLM refuses the agent's API key. Give both the same key.",
        "DiskFull": "The agent's folder is full. Raise its budget (`SLUICE_DISK_BUDGET`) or remove adapters; it is "
        "tried again by itself.",
        "FilesMissing": "The files have made way for others. They are fetched again by themselves.",
        "NameTaken": "vLLM has other files under the adapter's versioned name. They are unloaded first.",
        "NameInvalid": "vLLM or the agent does not take the name. Change `spec.modelName`.",
        "AgentRefused": "The agent refuses the operator. Both need the same token.",
        "UnloadTimedOut": "`deletion.timeout` is over, and some pods could not be asked or did not let go of it. The "
        "message says what may still be loaded where; it goes when those engines restart.",
    },
)

ROUTED = ConditionType(
    "Routed",
    "Requests for the alias are sent to it.",
    {
        **_OBSTACLES,
        "InRotation": "Requests go to the pods that have it loaded.",
        "Excluded": "No pod has it loaded, so that none gets requests for it.",
    },
)

#: Reasons that never keep it from being ready, or that `Ready` has a word of its own for.
_GOES_ON = dict.fromkeys(
    (
        "Resolved",
        "Fetched",
        "Compatible",
        "NotChecked",
        "Placed",
        "Waiting",
        "TooFewPods",
        "AllLoaded",
        "PartiallyLoaded",
        "NotPlaced",
        "InRotation",
        "Excluded",
        "UnloadTimedOut",
    ),
    "",
)

READY = ConditionType(
    "Ready",
    "Requests for the alias are answered by at least `placement.minAvailable` pods.",
    {
        **_OBSTACLES,
        "Ready": "The spec's version is in rotation.",
        "EarlierRevision": "An earlier revision is in rotation and serves. The message says what keeps the spec's from "
        "taking over.",
        "TooFewLoaded": "Fewer pods than `placement.minAvailable` have it loaded and are ready. See `Loaded`.",
        **{
            reason: text
            for condition in (SOURCE_RESOLVED, COMPATIBLE, PLACED, LOADED, ROUTED)
            for reason, text in condition.reasons.items()
            if reason not in _OBSTACLES | _GOES_ON
        },
    },
)

#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = (SOURCE_RESOLVED, COMPATIBLE, PLACED, LOADED, ROUTED, READY)
