"""Group `objects`: do they load, and fit together?"""

from collections.abc import Iterator

from sluice_cli.diagnosing.findings import Check, Finding, failed, ok, skipped, warning
from sluice_cli.diagnosing.subject import Subject

GROUP = "objects"


def checks(subject: Subject) -> list[Check]:
    """What to look at."""
    return [Check(GROUP, "objects", lambda: judge(subject))]


def judge(subject: Subject) -> Iterator[Finding]:
    """A line for each problem and each warning."""
    if not subject.asked.objects:
        used = (
            "; the snapshot that the gateway last took stands for them"
            if subject.in_force is not None
            else ""
        )
        yield skipped(
            "objects", f"none are given{used}", "name them with -f, for example -f examples/quickstart"
        )
        return
    for problem in subject.problems:
        remedy = "correct it there; `sluice compile -f …` checks again without running anything"
        yield failed("objects", str(problem), remedy)
    if subject.compilation is None:
        return
    for without_effect in subject.compilation.warnings:
        yield warning("objects", str(without_effect), "leave it out, or run Sluice in a cluster")
    digest = subject.compilation.snapshot.digest
    compared = ""
    if subject.running is not None and subject.running.snapshot_digest != digest:
        compared = "; what runs here runs by others"
    yield ok("objects", f"they compile to {digest[:19]}{compared}")
