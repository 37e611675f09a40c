"""`python -m sluice_cli.diagnosing.importing MODULE…`: imports each, one after the other, and says how that went.

A line of JSON before and after each, so that the one that kills the process can be told.
"""

import importlib
import json
import sys


def main() -> None:
    """Imports what is named on the command line."""
    for name in sys.argv[1:]:
        _say({"module": name, "state": "begun"})
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever a module raises as it loads
            _say({"module": name, "state": "failed", "error": f"{type(error).__name__}: {error}"})
        else:
            _say({"module": name, "state": "done"})


def _say(line: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
