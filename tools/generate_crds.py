"""Writes crds/: the custom resource definition of every kind, from the models."""

import sys
from pathlib import Path
from typing import Any

import yaml

from sluice_api.crds.definitions import definitions

FOLDER = Path(__file__).parents[1] / "crds"

_HEAD = "# Generated from the models in libs/api/src/sluice_api; `make crds` writes it anew.\n"


class _Dumper(yaml.SafeDumper):
    """Writes what is the same twice, twice: anchors are nothing for readers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def main() -> None:
    """Writes a file for each kind, and removes what is of none."""
    FOLDER.mkdir(exist_ok=True)
    found = files()
    for path in FOLDER.glob("*.yaml"):
        if path.name not in found:
            path.unlink()
    for name, text in found.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"wrote {len(found)} files to {FOLDER.name}/\n")


def files() -> dict[str, str]:
    """The texts by the names of their files."""
    return {
        f"{name}.yaml": _HEAD
        + yaml.dump(definition, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
        for name, definition in definitions().items()
    }


if __name__ == "__main__":
    main()
