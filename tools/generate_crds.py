"""Writes crds/: the custom resource definition of every kind, from the models."""

import sys
from pathlib import Path

from sluice_api.crds.texts import texts

FOLDER = Path(__file__).parents[1] / "crds"

_HEAD = "# Generated from the models in libs/api/src/sluice_api; `make crds` writes it anew.\n"


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
    return {f"{name}.yaml": _HEAD + text for name, text in texts().items()}


if __name__ == "__main__":
    main()
