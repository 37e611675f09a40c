"""The status of an `AdapterExperiment`."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from sluice_api.objects.adapter_experiment import Aggregation, Method, Metric, Role
from sluice_api.objects.base import Name
from sluice_api.statuses.base import READY_REASONS, ConditionType, Status, StatusPart

Time = Annotated[str, Field(max_length=64)]
"""RFC 3339 in UTC, whole seconds."""
Sentence = Annotated[str, Field(max_length=1024)]
Label = Annotated[str, Field(max_length=253)]


class Phase(StrEnum):
    """How far an experiment is."""

    PENDING = "Pending"
    """Nothing is counted yet: it cannot be in force, or an arm is not ready."""
    RUNNING = "Running"
    """Traffic is split, and what becomes of it is looked at."""
    PAUSED = "Paused"
    """Traffic is split, and nobody but a person decides: `spec.paused` is set, or a bound was broken and `onBreach` is
    `Pause`."""
    SUCCEEDED = "Succeeded"
    """A treatment has met every bound."""
    ROLLED_BACK = "RolledBack"
    """A treatment has broken a bound; all traffic goes to control."""
    INCONCLUSIVE = "Inconclusive"
    """Its time, or its one look, has passed without a verdict either way; traffic is split on."""


class Decision(StrEnum):
    """What a verdict says."""

    SUCCESS = "Success"
    BREACH = "Breach"
    INCONCLUSIVE = "Inconclusive"


class Samples(StatusPart):
    """Runs of an arm that a verdict rests on."""

    arm: Name
    runs: Annotated[int, Field(ge=0)]


class Difference(StatusPart):
    """A treatment less control, with the interval that the verdict went by."""

    arm: Name
    metric: Metric
    aggregation: Aggregation
    value: float
    lower: float | None = None
    """Absent where samples do not bound it."""
    upper: float | None = None


class Verdict(StatusPart):
    """Recorded once, and kept while the trial is the same."""

    decision: Decision
    arm: Label = ""
    """The treatment that it is about; empty where it is inconclusive."""
    model: Label = ""
    """What the arm's answers were written by when it was judged; the base model when empty."""
    at: Time
    method: Method
    alpha: float
    samples: Annotated[tuple[Samples, ...], Field(max_length=8)] = ()
    reasons: Annotated[tuple[Sentence, ...], Field(max_length=64)] = ()
    """For people: which bounds were met, broken or left open, and by what."""
    differences: Annotated[tuple[Difference, ...], Field(max_length=64)] = ()


class ArmStatus(StatusPart):
    """An arm, and what the gateway has last told of it since `since`."""

    LIST_KEYS: ClassVar[tuple[str, ...]] = ("name",)

    name: Name
    role: Role
    weight: int
    """Percent of the units, as the spec says."""
    model: Label = ""
    """What the engine serves it under."""
    ready: bool = False
    runs: Annotated[int, Field(ge=0)] = 0
    errors: Annotated[int, Field(ge=0)] = 0
    p95: float | None = None
    """Seconds of answered runs."""
    groundedness: float | None = None
    """Mean, 0 to 1."""
    feedback: float | None = None
    """Mean of ratings, 0 to 1."""


class AdapterExperimentStatus(Status):
    """What the operator says of an `AdapterExperiment`."""

    phase: Phase = Phase.PENDING
    promoted: Label = ""
    """The arm that all traffic goes to; services obey it while the experiment exists. Nobody has it where empty."""
    promoted_at: Time = ""
    trial: Annotated[str, Field(max_length=256)] = ""
    """Hashes of what a verdict rests on: arms, weights, unit, salt, bounds, method; and the adapters' versions. Where
    they change, a new trial begins. Empty where none has begun."""
    since: Time = ""
    """From when on runs count: the hour in which the first trial began, or the first whole hour after a change."""
    started_at: Time = ""
    """When the trial began: every arm was ready."""
    decided_at: Time = ""
    halted_at: Time = ""
    """Since when the clock of `maxDuration` stands; it runs where empty."""
    halted_seconds: Annotated[int, Field(ge=0)] = 0
    """For how long it stood before."""
    verdict: Verdict | None = None
    arms: Annotated[tuple[ArmStatus, ...], Field(max_length=8)] = ()
    retired: Annotated[tuple[Name, ...], Field(max_length=8)] = ()
    """`LoRAAdapter`s that are to be drained and unloaded, since another arm was promoted and nothing else uses them."""


ACCEPTED = ConditionType(
    "Accepted",
    "What it refers to is there and fits, so that it can be in force.",
    {
        "Accepted": "Everything fits.",
        "ServerMissing": (
            "There is no `ModelServer` of the name in `modelServerRef`. Make it, or name another."
        ),
        "ServerUnfit": ("The `ModelServer` is `extractive`: it has no models to choose from. Name another."),
        "AdapterMissing": (
            "There is no `LoRAAdapter` of the name in an arm's `adapterRef`. Make it, or name another."
        ),
        "AdapterUnfit": ("An arm's `LoRAAdapter` is of another `ModelServer`. Name one of this server."),
        "ModelTaken": ("An older experiment splits the same `modelName` of the server. Delete one of them."),
    },
)

ARMS_READY = ConditionType(
    "ArmsReady",
    "Every arm's adapter is `Ready`. One that is not rests: control has its units, and the clock stands.",
    {
        "Ready": "Every arm can take its traffic.",
        "ArmsResting": ("Some arms' adapters are not `Ready`. `kubectl describe lora NAME` says why."),
        "NotAccepted": "The experiment cannot be in force; see `Accepted`.",
    },
)

ANALYSED = ConditionType(
    "Analysed",
    "What has become of the arms' runs was read from the gateway at the last look. Traffic is "
    "split whether it was or not.",
    {
        "Analysed": "It was, at most `analysisInterval` ago.",
        "Over": "There is a verdict, and nothing more to look at.",
        "NotStarted": "The trial has not begun.",
        "Paused": "`spec.paused` is set: statistics are shown, and nothing is decided.",
        "CountingLater": (
            "Runs count from the next whole hour on, since the experiment was changed in this one."
        ),
        "NoGateway": (
            "The operator does not know the gateway. Set its `SLUICE_GATEWAY_URL` and "
            "`SLUICE_GATEWAY_KEY_FILE`."
        ),
        "GatewayUnreachable": (
            "The gateway did not answer, or its database did not. It is asked again at every "
            "interval; see that its pods are ready and that the operator may reach them."
        ),
        "KeyRefused": (
            "The gateway does not take the operator's API key, or the key is no admin's. Make "
            "one: `sluice keys new --tenant operator --roles admin`, put it into the Secret that "
            "`SLUICE_GATEWAY_KEY_FILE` is of."
        ),
        "ExperimentUnknown": (
            "The gateway has no such experiment yet. Within seconds it has; where not, see that "
            "it follows this operator's snapshots, and that no other namespace splits the same model."
        ),
        "GatewayBehind": (
            "The gateway still splits by an earlier spec. Within seconds it has this one; where "
            "not, see that it follows this operator's snapshots, and that the spec fits the others."
        ),
        "AnswerUnreadable": (
            "What is at `SLUICE_GATEWAY_URL` does not answer as the gateway does. Set the URL of its "
            "HTTP API; gateway and operator have to be of one release."
        ),
    },
)

DECIDED = ConditionType(
    "Decided",
    "There is a verdict.",
    {
        "NotYet": "There is none.",
        "Promoted": (
            "A treatment met every bound and has all traffic. Commit it as the model's adapter, "
            "then delete the experiment."
        ),
        "Held": (
            "A treatment met every bound, and `onSuccess` is `Hold`: traffic is split on. Set "
            "`onSuccess: Promote`, or commit the winner and delete the experiment."
        ),
        "RolledBack": (
            "A treatment broke a bound, and control has all traffic. Delete the experiment; a "
            "better adapter is a new one."
        ),
        "BreachPaused": (
            "A treatment broke a bound, and `onBreach` is `Pause`: traffic is split on. Set "
            "`onBreach: Rollback`, or change the weights."
        ),
        "TimeOver": (
            "`maxDuration` has passed without a verdict; traffic is split on. Take the arm that "
            "suits you, or change `salt` to begin anew, with more traffic or wider bounds."
        ),
        "Undecided": (
            "The one look of `FixedSample` left a bound open; traffic is split on. Change "
            "`minSamplesPerArm` to begin anew."
        ),
    },
)

DECOMMISSIONED = ConditionType(
    "Decommissioned",
    "Adapters that have lost hold no slots any more.",
    {
        "NotYet": "No arm has all traffic.",
        "NothingLeft": "No adapter has lost: control is the base model, or the arms share one.",
        "Kept": (
            "`decommission` is `Keep`: the message names the adapters that may be deleted "
            "together with the experiment."
        ),
        "Waiting": "They are retired once their `rollbackWindow` has passed.",
        "StillUsed": ("Some are used by something else and stay loaded; the message says by what."),
        "Retired": (
            "They are being unloaded, or are. Their objects may be deleted together with the experiment."
        ),
    },
)

READY = ConditionType(
    "Ready",
    "It does what its spec says.",
    {
        "Running": "Traffic is split and looked at.",
        "Paused": "`spec.paused` is set; traffic is split on.",
        "Decided": "There is a verdict, and it is obeyed; see `Decided`.",
        "NotAccepted": "It cannot be in force; see `Accepted`.",
        "ArmsResting": "Some arms' adapters are not ready; see `ArmsReady`.",
        "NotAnalysed": "Traffic is split, and nobody sees what becomes of it; see `Analysed`.",
        "BreachPaused": ("A bound is broken, and somebody has to say what is to happen; see `Decided`."),
        "AdapterChanged": (
            "The arm that has all traffic was given another version of its adapter after the "
            "verdict, which says nothing of it. Change `salt` to try that version, or go back to "
            "the one that won."
        ),
    }
    | dict(READY_REASONS),
)

#: The conditions that it has, in the order in which they are reached; `Ready` sums them up.
CONDITIONS: tuple[ConditionType, ...] = (ACCEPTED, ARMS_READY, ANALYSED, DECIDED, DECOMMISSIONED, READY)
