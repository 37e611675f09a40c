"""Group `settings`: do the processes take what their environment says?"""

from collections.abc import Collection, Iterator, Sequence

from sluice_cli.diagnosing import configuration
from sluice_cli.diagnosing.configuration import ProcessSettings
from sluice_cli.diagnosing.findings import Check, Finding, failed, ok, warning
from sluice_cli.diagnosing.subject import Subject

GROUP = "settings"


def checks(subject: Subject) -> list[Check]:
    """What to look at."""
    return [Check(GROUP, "settings", lambda: _look(subject))]


def judge(
    found: Sequence[ProcessSettings], variables: Collection[str], command_variables: Collection[str]
) -> Iterator[Finding]:
    """A line for each value that is refused, and for each variable that nobody reads.

    Args:
        found: What the processes say.
        variables: The names of all variables that are set.
        command_variables: Those that the commands themselves read.
    """
    unknown = [each for each in found if each.problem]
    for process in unknown:
        yield failed("settings", process.problem, "see the packages above")
    refused = {
        f"{setting.variable}: {setting.problem}": setting.variable
        for process in found
        for setting in process.settings
        if setting.problem
    }
    for detail, variable in refused.items():
        remedy = f"correct {variable} or unset it; `sluice config show` lists every setting"
        yield failed("settings", detail, remedy)
    read = {setting.variable for process in found for setting in process.settings}
    unread = [] if unknown else configuration.unread(variables, read | set(command_variables))
    for each in unread:
        yield warning("settings", str(each), f"correct its name, or unset {each.variable}")
    if not unknown and not refused and not unread:
        yield ok("settings", "the processes take what the environment says")


def _look(subject: Subject) -> Iterator[Finding]:
    variables = {
        name
        for each in subject.environments.values()
        for name in each.variables.keys() - each.told
        if name.upper().startswith("SLUICE_")
    }
    if variables <= subject.asked.command_variables:
        yield ok("settings", "no variable is set: the processes run by their defaults")
        return
    yield from judge(
        configuration.of_processes(subject.environments), variables, subject.asked.command_variables
    )
