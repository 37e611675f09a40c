"""`python -m sluice_gateway.access.new_key --tenant T`: makes an API key.

Prints, as JSON, the `key`, which is nowhere else, the `entry` for the keys file as YAML, and the `id`. With `--file` it
appends the entry to that file. Exits 2 where it cannot, with the reason; no key is printed then.
"""

import argparse
import hashlib
import json
import re
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sluice_gateway.access.appending import append, entry_text
from sluice_gateway.domain.access_file import ApiKey
from sluice_gateway.domain.api_keys import new_key
from sluice_servicekit.errors import InvalidArgument, ServiceError

_DAYS = re.compile(r"(\d{1,5})d")


def main() -> None:
    """Reads the command line, makes the key, prints it."""
    arguments = _parser().parse_args()
    key = new_key(secrets.choice)
    try:
        entry = _entry(arguments, key)
        if arguments.file is not None:
            append(arguments.file, entry)
    except ServiceError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(2)
    sys.stdout.write(json.dumps({"id": entry["id"], "key": key, "entry": entry_text(entry)}) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="new_key", description="Makes an API key.")
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--id", default="")
    parser.add_argument("--subject", default="")
    for name in ("roles", "acl", "models"):
        parser.add_argument(f"--{name}", default="", help="parted by commas")
    parser.add_argument("--expires", default="", help="a day, a time, or so many days: 90d")
    parser.add_argument("--priority", default="")
    parser.add_argument("--file", type=Path)
    return parser


def _entry(arguments: argparse.Namespace, key: str) -> dict[str, Any]:
    """The entry, without what is as by default.

    Raises:
        InvalidArgument: an option is wrong.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()
    given = {
        "id": arguments.id or f"{arguments.tenant[:48]}-{digest[:8]}",
        "key_sha256": digest,
        "tenant": arguments.tenant,
        "subject": arguments.subject,
        "roles": _listed(arguments.roles) or ["reader"],
        "acl": _listed(arguments.acl),
        "models": _listed(arguments.models),
        "expires": _expiry(arguments.expires),
        "priority": arguments.priority,
    }
    entry = {name: value for name, value in given.items() if value}
    try:
        ApiKey.model_validate(entry)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        detail = min(
            found, key=lambda one: one["loc"][0] == "id"
        )  # an id that was made up is wrong by its tenant
        field = ".".join(str(part) for part in detail["loc"])
        raise InvalidArgument(f"--{field}: {detail['msg']}", field=field) from None
    return entry


def _expiry(given: str) -> str:
    found = _DAYS.fullmatch(given)
    if found is None:
        return given
    return (datetime.now(UTC) + timedelta(days=int(found[1]))).strftime("%Y-%m-%dT%H:%M:%SZ")


def _listed(given: str) -> list[str]:
    return [part.strip() for part in given.split(",") if part.strip()]


if __name__ == "__main__":
    main()
