"""Which of a sequence classifier's labels mean an attack."""

import re
from collections.abc import Mapping, Sequence

_ATTACK = frozenset(
    "attack injection injected jailbreak malicious unsafe harmful hostile adversarial indirect".split()
)
_HARMLESS = frozenset("safe benign harmless legit legitimate normal clean ok no not non".split())
_WORD = re.compile(r"[a-z]+")


def attacks(labels: Mapping[int, str], named: Sequence[str]) -> tuple[int, ...]:
    """The outputs that mean an attack.

    Args:
        labels: By output, as in `config.json`.
        named: Those that a policy names; by their words when empty.

    Raises:
        ValueError: a named label does not exist, or words do not tell what every label means.
    """
    known = ", ".join(labels.values()) or "none"
    if named:
        if unknown := set(named) - set(labels.values()):
            raise ValueError(f"there is no label {sorted(unknown)[0]!r}; there is: {known}")
        return tuple(sorted(index for index, label in labels.items() if label in named))
    meant = {index: _is_attack(label) for index, label in labels.items()}
    if None in meant.values() or True not in meant.values():
        raise ValueError(
            f"the labels do not say which of them mean an attack: {known}; name them in `attackLabels`"
        )
    return tuple(sorted(index for index, attack in meant.items() if attack))


def _is_attack(label: str) -> bool | None:
    words = frozenset(_WORD.findall(label.lower()))
    if words & _HARMLESS:
        return False
    return True if words & _ATTACK else None
