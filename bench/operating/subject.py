"""`python -m operating.subject`: the operator as a process. `SLUICE_BENCH_PROFILE` names a file for a profile of it."""

import cProfile
import os

from sluice_operator.assembly import build_kinds
from sluice_operator.process import run_process

PROFILE = "SLUICE_BENCH_PROFILE"


def main() -> None:
    target = os.environ.pop(PROFILE, "")
    profile = cProfile.Profile() if target else None
    try:
        if profile:
            profile.enable()
        run_process(build_kinds)
    finally:
        if profile:
            profile.disable()
            profile.dump_stats(target)


if __name__ == "__main__":
    main()
