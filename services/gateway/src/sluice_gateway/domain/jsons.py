"""Whether a text is JSON."""

import json


def is_json(text: str) -> bool:
    """Whether it is one JSON value and nothing else."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
