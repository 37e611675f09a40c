"""`python -m sluice_gateway.keys_check PATH`: would the gateway take this API keys file, or this folder of them?

Prints, as JSON, how many `keys`, `tenants` and `issuers` it names, how many keys are `plain` in it, and the names of
those that have `expired` and of those that are `expiring` within two weeks. Exits 2 where it is refused, with the
reason.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sluice_gateway.domain.access_file import KeysFile
from sluice_gateway.keys_file import read_keys
from sluice_servicekit.errors import FailedPrecondition

_SOON = timedelta(days=14)


def main() -> None:
    """Reads the file that the command line names."""
    try:
        content = read_keys(Path(sys.argv[1]))
    except FailedPrecondition as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(2)
    sys.stdout.write(json.dumps(summary(content, datetime.now(UTC))) + "\n")


def summary(content: KeysFile, now: datetime) -> dict[str, object]:
    """What is to be said of a keys file."""
    ending = [(entry.name, entry.expires) for entry in content.keys if entry.expires is not None]
    return {
        "keys": len(content.keys),
        "tenants": len({entry.tenant for entry in content.keys} | set(content.tenants)),
        "issuers": len(content.issuers),
        "plain": sum(entry.key is not None for entry in content.keys),
        "expired": [name for name, expires in ending if expires <= now],
        "expiring": [name for name, expires in ending if now < expires <= now + _SOON],
    }


if __name__ == "__main__":
    main()
