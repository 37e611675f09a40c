"""Whether an object is already as it ought to be, so that nothing need be sent.

An annotation holds the digest of the last intent that was applied. It tells what live values cannot: that a field has
left the intent. Values are compared too, since others may have changed them. Of `metadata.managedFields`, which would
say the first as well, a mirror of many objects would have to keep a third of its memory.
"""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sluice_operator.cluster.protocol import Manifest
from sluice_operator.cluster.quantities import quantity

APPLIED = "sluice.dev/applied"
"""The annotation."""

#: Maps that are one field to the API server: a key more changes what they select.
_WHOLE = frozenset({"selector", "matchLabels", "nodeSelector"})


def digest(value: Any) -> str:
    """Of anything that JSON can hold, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def marked(manifest: Manifest) -> Manifest:
    """The intent with its own digest in the annotation."""
    metadata = manifest["metadata"]
    annotations = {**(metadata.get("annotations") or {}), APPLIED: digest(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def is_so(intent: Manifest, live: Manifest) -> bool:
    """True where applying a marked intent would change nothing.

    Fields that the intent does not name are others'. Lists have to have as many items: where somebody has added one of
    their own to a list that allows it, this says false though the server would leave it, see `settled`.
    """
    return _matches(intent, live)


def settled(intent: Manifest, live: Manifest) -> str:
    """The digest of what an intent speaks of, as it is live: where it is the same as after the last apply of the same
    intent, another one would change nothing either."""
    return digest(_spoken_of(intent, live))


def _matches(want: Any, have: Any) -> bool:
    if isinstance(want, Mapping):
        if not isinstance(have, Mapping):
            return not want and have is None
        return all(
            _matches(value, have.get(key)) and not (key in _WHOLE and _has_more(have.get(key), value))
            for key, value in want.items()
        )
    if isinstance(want, list | tuple):
        rest = have or []
        return (
            isinstance(rest, list)
            and len(want) == len(rest)
            and all(_matches(*pair) for pair in zip(want, rest, strict=True))
        )
    return bool(want == have) or _same_quantity(want, have)


def _has_more(have: Any, want: Any) -> bool:
    return isinstance(have, Mapping) and isinstance(want, Mapping) and bool(have.keys() - want.keys())


def _same_quantity(want: Any, have: Any) -> bool:
    # The API server writes `1000m` as `1`.
    if isinstance(want, bool) or isinstance(have, bool) or want is None or have is None:
        return False
    left, right = _quantity(str(want)), _quantity(str(have))
    return left is not None and left == right


def _quantity(text: str) -> Decimal | None:
    try:
        return quantity(text)
    except ValueError:
        return None


def _spoken_of(want: Any, have: Any) -> Any:
    if isinstance(want, Mapping) and isinstance(have, Mapping):
        return {key: _spoken_of(value, have.get(key)) for key, value in want.items()}
    return have
