"""What is diagnosed, gathered once for all groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sluice_api.compiling import Compilation
from sluice_api.errors import ObjectError, Problem
from sluice_api.snapshot import Snapshot
from sluice_cli.diagnosing import holding
from sluice_cli.diagnosing.environments import ProcessEnvironment, environments
from sluice_cli.diagnosing.holding import Holder
from sluice_cli.supervising.layout import Layout, UpRecord
from sluice_cli.supervising.objects import compile_files
from sluice_cli.supervising.plan import GATEWAY

#: The objects of `sluice up` where it is given none.
QUICKSTART = Path("examples/quickstart")


@dataclass(frozen=True)
class Asked:
    """What `sluice doctor` was told."""

    objects: Sequence[Path]
    data: Path
    listen: str = ""
    """Where the HTTP API listens, or would; empty for what runs, or the default of `sluice up`."""
    grpc_listen: str = ""
    api_keys: Path | None = None
    url: str = ""
    """The gateway's; empty for the one that runs on the data folder."""
    api_key: str = ""
    tenant: str = ""
    deep: bool = False
    command_variables: frozenset[str] = frozenset()
    """The variables that stand in for options of the commands themselves."""


@dataclass(frozen=True)
class Subject:
    """A data folder, what runs on it, and the objects."""

    asked: Asked
    layout: Layout
    holder: Holder | None
    """Who holds the data folder."""
    running: UpRecord | None
    """What `sluice up` runs on the data folder."""
    environments: Mapping[str, ProcessEnvironment]
    """Of every process, by name."""
    compilation: Compilation | None
    problems: tuple[Problem, ...]
    """Why the objects do not compile."""
    in_force: Snapshot | None
    """What the gateway has kept of the snapshot that it runs by."""

    @property
    def snapshot(self) -> Snapshot | None:
        """Of the objects where they are given, else the one in force; None where there is neither."""
        if self.asked.objects:
            return self.compilation.snapshot if self.compilation is not None else None
        return self.in_force

    @property
    def url(self) -> str:
        """The gateway's address; empty where none is named and none runs."""
        return self.asked.url or (self.running.url if self.running is not None else "")

    @property
    def api_keys(self) -> Path | None:
        """The API keys file that is named, or that of the gateway that runs or would."""
        if self.asked.api_keys is not None:
            return self.asked.api_keys.absolute()
        return self.environments[GATEWAY].path("SLUICE_API_KEYS_FILE")


def gather(asked: Asked, environment: Mapping[str, str]) -> Subject:
    """Looks at the data folder and compiles the objects.

    Args:
        asked: What the command was told.
        environment: What `sluice up` would be started in.
    """
    layout = Layout(asked.data.absolute())
    holder = holding.of_folder(layout)
    record = holding.running(layout, holder)
    if not asked.objects and record is None and QUICKSTART.is_dir():
        asked = replace(asked, objects=[QUICKSTART])  # as `sluice up`
    compilation, problems = _compiled(asked.objects)
    return Subject(
        asked=asked,
        layout=layout,
        holder=holder,
        running=record,
        environments=environments(layout, record, environment, asked.api_keys),
        compilation=compilation,
        problems=problems,
        in_force=_kept(layout),
    )


def _compiled(paths: Sequence[Path]) -> tuple[Compilation | None, tuple[Problem, ...]]:
    if not paths:
        return None, ()
    try:
        return compile_files(paths), ()
    except ObjectError as error:
        return None, error.problems
    except OSError as error:
        return None, (Problem(str(error.filename), 0, "", "", error.strerror or "cannot be read"),)


def _kept(layout: Layout) -> Snapshot | None:
    try:
        return Snapshot.model_validate_json((layout.of(GATEWAY) / "snapshot.json").read_bytes())
    except (OSError, ValueError):
        return None
