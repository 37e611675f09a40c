"""Writes docs/openapi.json from the gateway's routes.

.venv/bin/python tools/generate_openapi.py
"""

from pathlib import Path

from sluice_gateway.http.app import bare_app
from sluice_gateway.http.openapi import as_json

TARGET = Path(__file__).parents[1] / "docs" / "openapi.json"


def main() -> None:
    """Writes the file."""
    TARGET.write_text(as_json(bare_app()), encoding="utf-8")


if __name__ == "__main__":
    main()
