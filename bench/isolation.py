"""Fifty tenants that hold the same documents search at once; counts passages that are another tenant's.

.venv/bin/python bench/isolation.py [--queries 100000]
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from rich.progress import track

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.tenants import tenants


def main() -> None:
    """Prints how many passages were found across tenants; exits 1 where there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    foreign = asyncio.run(count(arguments.queries, arguments.seed))
    print(f"{arguments.queries} queries of 50 tenants: {foreign} foreign passages")
    sys.exit(foreign > 0)


async def count(queries: int, seed: int) -> int:
    """Foreign passages found by so many queries."""
    with tempfile.TemporaryDirectory() as folder:
        async with tenants(Path(folder), seed) as made:
            lookups = track(made.lookups(queries), "searching", total=queries)
            return sum([await made.foreign(lookup) for lookup in lookups])


if __name__ == "__main__":
    main()
