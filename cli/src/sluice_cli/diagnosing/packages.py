"""Group `packages`: is what is installed what the components ask for, and does it load?"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import PurePath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sluice_cli.diagnosing import probing
from sluice_cli.diagnosing.findings import Check, Finding, failed, ok
from sluice_cli.diagnosing.probing import Probe
from sluice_cli.supervising.plan import GATEWAY, SERVICES

GROUP = "packages"

_COMPONENTS = tuple(f"sluice-{name}" for name in (*SERVICES, GATEWAY, "cli"))

_IMPORTING = "sluice_cli.diagnosing.importing"
_IMPORT_SECONDS = 40.0
# `make setup` alone sees no change where a package was removed by hand.
_INSTALL = "install the locked packages again: `rm -f .venv/.stamp; make setup`"


@dataclass(frozen=True)
class PackageFacts:
    """What is installed, and what the components ask for."""

    versions: Mapping[str, str]
    """Of every distribution, by canonical name."""
    requirements: Sequence[tuple[str, str]]
    """Component and requirement, as the component's metadata have it."""
    native: Sequence[str]
    """The modules with machine code of what the components ask for."""


def checks() -> list[Check]:
    """What to look at."""
    return [
        Check(GROUP, "versions", lambda: judge(gather())),
        Check(GROUP, "native modules", lambda: [judge_imports(_imported(gather().native))]),
    ]


def gather() -> PackageFacts:
    """Reads the metadata of what is installed; imports nothing."""
    # The first of a name is the one that is imported. A package that was half removed has none.
    there = [each for each in metadata.distributions() if each.name]
    found = {canonicalize_name(each.name): each for each in reversed(there)}
    requirements = [
        (name, requirement)
        for name, each in sorted(found.items())
        if name.startswith("sluice-")
        for requirement in each.requires or []
    ]
    needed = {canonicalize_name(Requirement(text).name) for _, text in requirements}
    return PackageFacts(
        versions={name: each.version for name, each in found.items()},
        requirements=requirements,
        native=sorted(
            {module for name in needed & found.keys() for module in native_modules(found[name].files)}
        ),
    )


def native_modules(files: Iterable[PurePath] | None) -> set[str]:
    """The names by which those of a distribution's files are imported that are machine code.

    Args:
        files: Relative to where packages are installed; None where they are not recorded.
    """
    tops = {file.parts[0] for file in files or () if file.suffix == ".so"}
    # A wheel's own copies of shared libraries lie in `<name>.libs`; a module's file name goes on with its platform.
    return {top.split(".")[0] for top in tops if not top.endswith(".libs")}


def judge(facts: PackageFacts) -> Iterator[Finding]:
    """Whether the components agree with each other, and what they ask for is there."""
    yield _components(facts.versions)
    wrong = [
        finding for component, text in facts.requirements for finding in _requirement(component, text, facts)
    ]
    yield from wrong or [ok("dependencies", f"{len(facts.requirements)} requirements are met")]


def judge_imports(probe: Probe) -> Finding:
    """Whether the modules with machine code load."""
    lines = [json.loads(line) for line in probe.output.splitlines() if line.startswith("{")]
    errors = [f"{line['module']}: {line['error']}" for line in lines if line["state"] == "failed"]
    if errors:
        return failed("native modules", "; ".join(errors), _INSTALL)
    if probe.code != 0:
        guilty = lines[-1]["module"] if lines else "the first import"
        remedy = "use a machine with a newer processor, or build that package from source here"
        if probe.code is None:
            remedy = "look again when the machine is less busy"
        return failed("native modules", f"importing {guilty} {probe.end}", remedy if lines else _INSTALL)
    done = sum(line["state"] == "done" for line in lines)
    return ok("native modules", f"{done} modules load")


def _components(versions: Mapping[str, str]) -> Finding:
    own = {name: version for name, version in versions.items() if name.startswith("sluice-")}
    missing = [name for name in _COMPONENTS if name not in own]
    if missing:
        return failed("components", f"not installed: {', '.join(missing)}", _INSTALL)
    if len(set(own.values())) > 1:
        listed = ", ".join(f"{name} {version}" for name, version in sorted(own.items()))
        return failed("components", f"their versions differ: {listed}", _INSTALL)
    return ok("components", f"{len(own)} components, all of version {own['sluice-cli']}")


def _requirement(component: str, text: str, facts: PackageFacts) -> Iterator[Finding]:
    requirement = Requirement(text)
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
        return
    version = facts.versions.get(canonicalize_name(requirement.name))
    if version is None:
        yield failed(
            "dependencies", f"{requirement.name}, which {component} needs, is not installed", _INSTALL
        )
    elif not requirement.specifier.contains(version, prereleases=True):
        detail = f"{requirement.name} is {version}, and {component} needs {requirement.specifier}"
        yield failed("dependencies", detail, _INSTALL)


def _imported(modules: Sequence[str]) -> Probe:
    return probing.python_module(_IMPORTING, modules, seconds=_IMPORT_SECONDS)
