"""What the kinds that services run by say alike: what of them is in force, and where."""

from typing import Annotated, Final

from pydantic import Field

from sluice_api.statuses.base import ConditionType, Status, StatusPart

#: Refusals that a status names; there may be more.
MAX_REFUSED = 16


class Refused(StatusPart):
    """A process that does not run what is in force."""

    service: Annotated[str, Field(max_length=253)]
    instance: Annotated[str, Field(max_length=253)]
    reason: Annotated[str, Field(max_length=1024)]
    """Its own words."""


class SnapshotStatus(StatusPart):
    """How far what is in force has come."""

    digest: Annotated[str, Field(max_length=80)]
    """Of the first snapshot that carried this version; later ones carry it too."""
    acknowledged: Annotated[str, Field(max_length=32)]
    """`5/5`: processes that run it, of those that are connected."""
    watchers: Annotated[int, Field(ge=0)] = 0
    """Processes that are connected."""
    refused: Annotated[tuple[Refused, ...], Field(max_length=MAX_REFUSED)] = ()
    """Those that say why they do not run it."""


class DistributedStatus(Status):
    """What the operator says of what services run by."""

    version: Annotated[str, Field(max_length=64)] = ""
    """Of what is in force, as verdicts and runs name it; of an earlier generation where `Compiled` says so."""
    in_force_generation: Annotated[int, Field(ge=0)] = 0
    """The generation of the spec that is in force; 0 where none is."""
    snapshot: SnapshotStatus | None = None
    """None where nothing is in force."""


COMPILED: Final = ConditionType(
    "Compiled",
    "The newest spec is in the snapshot that services are given.",
    {
        "Compiled": "It is.",
        "Held": "It cannot be used, for what the message says, and the spec that was last in force stays: nothing has "
        "changed for requests. Correct the object, or what it refers to.",
        "LeftOut": "It cannot be used, for what the message says, and no earlier one was in force: services do not "
        "know the object. Correct the object, or what it refers to.",
        "Pending": "The spec is new and has not been compiled yet; it takes a second. If it stays so, look into the "
        "operator's log.",
    },
)
DISTRIBUTED: Final = ConditionType(
    "Distributed",
    "Every connected process runs the version that is in force.",
    {
        "Acknowledged": "Every one does.",
        "Waiting": "Some have not said so yet. It takes a second; a process that stays away from it is named in the "
        "message: look into its log.",
        "Refused": "At least one refuses the snapshot, with its reason in `status.snapshot.refused`, and goes on by "
        "the last one that it took. Every later change waits there too: correct what it names.",
        "NotInForceThere": "At least one has taken the snapshot but cannot put this object in force, for what the "
        "message says, and goes on by its last version. Correct the object, or bring what it lacks, such as a module.",
        "NoWatchers": "No process is connected. Start the services with SLUICE_SNAPSHOT_ADDRESS set to the operator's "
        "snapshot port, and look whether a network policy is between them.",
        "NothingInForce": "There is nothing to distribute; `Compiled` says why.",
    },
)
