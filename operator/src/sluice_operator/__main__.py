"""Runs the operator."""

import os
import sys

from sluice_operator.settings import OperatorSettings
from sluice_servicekit import settings_report


def main() -> None:
    """The `sluice-operator` command."""
    if sys.argv[1:] == ["--settings"]:
        settings = settings_report.settings_of(OperatorSettings, os.environ)
        sys.stdout.write(settings_report.as_json(settings) + "\n")
        return
    # Here, since telling the settings needs none of it.
    from sluice_operator.assembly import build_kinds
    from sluice_operator.process import run_process

    run_process(build_kinds)


if __name__ == "__main__":
    main()
