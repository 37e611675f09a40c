"""What passes read of the snapshot: how an object stands in it, and who runs it so."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sluice_api.tolerant import Key, Standing, State
from sluice_servicekit.snapshot_server import WatcherState

Name = tuple[str, str]
"""Kind and name: within the snapshot names need no namespace."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A watcher, as one object sees it."""

    service: str
    instance: str
    runs: bool
    """It runs the object's version."""
    refused: str = ""
    """Why it refuses the newest snapshot; empty where it does not."""
    problem: str = ""
    """Why this object's version is not in force there though the snapshot is."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a version of an object has come."""

    version: str = ""
    """Of what is in force; none where it is not in the snapshot."""
    digest: str = ""
    """Of the first snapshot that carried this version, as far back as this process knows."""
    watchers: tuple[Reached, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """An object in the snapshot."""

    standing: Standing | None = None
    """None where nothing has been compiled since it came."""
    judged: int = 0
    """The generation that `standing` is about."""
    delivery: Delivery = field(default_factory=Delivery)
    settling: bool = False
    """This process has only just begun to serve: watchers may be on their way back to it."""


@dataclass(frozen=True, slots=True)
class Found:
    """Who has a name in the snapshot."""

    key: Key
    state: State


class Distribution(Protocol):
    """The port: what is in force, and where."""

    @property
    def digest(self) -> str:
        """Of the snapshot that is served; empty before the first."""

    def view(self, key: Key) -> View:
        """How an object stands."""

    def find(self, kind: str, name: str) -> Found | None:
        """The object that has a name in the snapshot, deleted ones that are kept included."""

    def resting(self, model_server: str, model_name: str) -> str:
        """The name of the adapter that has an alias and is not ready; empty where there is none such."""

    def wake_compiler(self) -> None:
        """Something may have changed that the snapshot is made of."""


class Deliveries:
    """Remembers which snapshots carried which versions, for as long as somebody may run them."""

    _KEPT = 64

    def __init__(self) -> None:
        self._versions: dict[str, Mapping[Name, str]] = {}
        self._since: dict[Name, tuple[str, str]] = {}

    def published(self, digest: str, versions: Mapping[Name, str], running: Collection[str] = ()) -> None:
        """A snapshot is out.

        Args:
            running: Digests that watchers run; what those carry is not forgotten.
        """
        self._versions.pop(digest, None)
        for old in list(self._versions)[: max(0, len(self._versions) - self._KEPT)]:
            if old not in running:
                del self._versions[old]
        self._versions[digest] = versions
        self._since = {
            name: known if (known := self._since.get(name)) and known[0] == version else (version, digest)
            for name, version in versions.items()
        }

    def of(self, name: Name, watchers: tuple[WatcherState, ...]) -> Delivery:
        """How far an object's newest version has come."""
        version, digest = self._since.get(name, ("", ""))
        label = f"{name[0]} {name[1]}: "
        return Delivery(
            version=version,
            digest=digest,
            watchers=tuple(
                Reached(
                    service=watcher.service,
                    instance=watcher.instance,
                    runs=bool(version) and self._versions.get(watcher.accepted, {}).get(name) == version,
                    refused=watcher.reason if watcher.refused else "",
                    problem=next(
                        (each.removeprefix(label) for each in watcher.problems if each.startswith(label)), ""
                    ),
                )
                for watcher in watchers
                if watcher.accepted or watcher.refused  # else it is starting, and answers nobody
            ),
        )
