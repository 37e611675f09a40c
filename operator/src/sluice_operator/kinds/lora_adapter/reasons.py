"""The agents' words, and the condition and reason that each becomes."""

from dataclasses import dataclass
from typing import Final

from sluice_api.statuses.base import ConditionType
from sluice_api.statuses.lora_adapter import COMPATIBLE, LOADED, PLACED, SOURCE_RESOLVED


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trouble says of the adapter."""

    condition: ConditionType
    reason: str


#: By the agent's word. Those of `SourceResolved` and `Compatible` would be said by every pod.
VERDICTS: Final[dict[str, Verdict]] = {
    "SOURCE_INVALID": Verdict(SOURCE_RESOLVED, "SourceInvalid"),
    "SOURCE_NOT_FOUND": Verdict(SOURCE_RESOLVED, "NotFound"),
    "SOURCE_FORBIDDEN": Verdict(SOURCE_RESOLVED, "AuthFailed"),
    "CREDENTIALS_UNREADABLE": Verdict(SOURCE_RESOLVED, "AuthFailed"),
    "SOURCE_ADDRESS_REFUSED": Verdict(SOURCE_RESOLVED, "AddressRefused"),
    "SOURCE_PATH_REFUSED": Verdict(SOURCE_RESOLVED, "PathRefused"),
    "SOURCE_REFUSED": Verdict(SOURCE_RESOLVED, "SourceRefused"),
    "SOURCE_UNAVAILABLE": Verdict(SOURCE_RESOLVED, "SourceUnavailable"),
    "SOURCE_TOO_SLOW": Verdict(SOURCE_RESOLVED, "SourceTooSlow"),
    "ARCHIVE_INVALID": Verdict(SOURCE_RESOLVED, "ArchiveInvalid"),
    "TOO_LARGE": Verdict(SOURCE_RESOLVED, "TooLarge"),
    "NOT_SAFETENSORS": Verdict(SOURCE_RESOLVED, "UnsafeFormat"),
    "CONFIG_INVALID": Verdict(SOURCE_RESOLVED, "ConfigInvalid"),
    "DIGEST_MISMATCH": Verdict(SOURCE_RESOLVED, "DigestMismatch"),
    "UNSUPPORTED_ADAPTER": Verdict(COMPATIBLE, "UnsupportedAdapter"),
    "RANK_TOO_HIGH": Verdict(COMPATIBLE, "RankTooHigh"),
    "RANK_MISMATCH": Verdict(COMPATIBLE, "RankMismatch"),
    "BASE_MODEL_MISMATCH": Verdict(COMPATIBLE, "BaseModelMismatch"),
    "MODULE_UNKNOWN": Verdict(COMPATIBLE, "ModuleUnknown"),
    "SHAPE_MISMATCH": Verdict(COMPATIBLE, "ShapeMismatch"),
    "UNCHECKED": Verdict(COMPATIBLE, "Unchecked"),
    "SLOTS_FULL": Verdict(PLACED, "NoFreeSlots"),
    "DISK_FULL": Verdict(LOADED, "DiskFull"),
    "ADAPTER_MISSING": Verdict(LOADED, "FilesMissing"),
    "NAME_INVALID": Verdict(LOADED, "NameInvalid"),
    "NAME_TAKEN": Verdict(LOADED, "NameTaken"),
    "ENGINE_REFUSED": Verdict(LOADED, "EngineRefused"),
    "ENGINE_PATH_MISSING": Verdict(LOADED, "EngineMisconfigured"),
    "ENGINE_LORA_OFF": Verdict(LOADED, "LoraOff"),
    "ENGINE_AUTH": Verdict(LOADED, "EngineAuthFailed"),
    "ENGINE_FAILED": Verdict(LOADED, "LoadFailed"),
    "ENGINE_UNREACHABLE": Verdict(LOADED, "EngineUnreachable"),
    "AGENT_UNREACHABLE": Verdict(LOADED, "AgentUnreachable"),
    "UNAVAILABLE": Verdict(LOADED, "AgentUnreachable"),
    "POD_GONE": Verdict(LOADED, "AgentUnreachable"),
    "CANCELLED": Verdict(LOADED, "AgentUnreachable"),
    "DEADLINE_EXCEEDED": Verdict(LOADED, "TimedOut"),
    "ENGINE_TOO_SLOW": Verdict(LOADED, "TimedOut"),
    "TOKEN_UNREADABLE": Verdict(LOADED, "AgentRefused"),
    "UNAUTHENTICATED": Verdict(LOADED, "AgentRefused"),
    "PERMISSION_DENIED": Verdict(LOADED, "AgentRefused"),
}

_OTHER: Final = Verdict(LOADED, "LoadFailed")

#: Says of agent or engine that it cannot be asked, and nothing of the adapter: waits, and uses up no attempt.
OUTAGES: Final = frozenset(
    {
        "ENGINE_UNREACHABLE",
        "AGENT_UNREACHABLE",
        "UNAVAILABLE",
        "POD_GONE",
        "CANCELLED",
        "TOKEN_UNREADABLE",
        "UNAUTHENTICATED",
        "PERMISSION_DENIED",
    }
)

#: Troubles of the source that pass.
_PASSING: Final = frozenset({"SOURCE_UNAVAILABLE", "SOURCE_TOO_SLOW"})

#: Permanent by the agent's letter, and put right by the operator: the name is unloaded first, another pod is found.
MENDED: Final = frozenset({"NAME_TAKEN", "SLOTS_FULL"})

#: The operator's own words in `status.pods[].reason`.
RESTARTED: Final = "RESTARTED"
NOT_LISTED: Final = "NOT_LISTED"


def verdict(reason: str) -> Verdict:
    """What a word says; words of another version of the agent are failed loads."""
    return VERDICTS.get(reason, _OTHER)


def is_of_the_adapter(reason: str) -> bool:
    """Whether every pod would say the same, for ever: no other pod has to be asked."""
    return verdict(reason).condition in (SOURCE_RESOLVED, COMPATIBLE) and reason not in _PASSING
