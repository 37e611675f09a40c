"""`python -m sluice_gateway.keys_check FILE`: would the gateway take this API keys file?

Prints, as JSON, how many `keys` and `tenants` it names and how many keys are `plain` in it. Exits 2 where it is
refused, with the reason.
"""

import json
import sys
from pathlib import Path

from sluice_gateway.keys_file import read_keys
from sluice_servicekit.errors import FailedPrecondition


def main() -> None:
    """Reads the file that the command line names."""
    try:
        content = read_keys(Path(sys.argv[1]))
    except FailedPrecondition as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(2)
    counts = {
        "keys": len(content.keys),
        "tenants": len({entry.tenant for entry in content.keys}),
        "plain": sum(entry.key is not None for entry in content.keys),
    }
    sys.stdout.write(json.dumps(counts) + "\n")


if __name__ == "__main__":
    main()
