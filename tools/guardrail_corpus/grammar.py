"""Texts from a grammar: `«name»` stands for one of a list, `‹one|another|›` for one of what it holds."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SYMBOL = re.compile("«([a-z_0-9]+)»")
_CHOICE = re.compile("‹([^‹›]*)›")
_DEPTH = 12
#: Chosen once for a text: a persona keeps its name.
_CONSTANT = frozenset({"persona", "secret"})


@dataclass(frozen=True, slots=True)
class Grammar:
    """Lists by name."""

    lists: Mapping[str, Sequence[str]]

    def expand(self, text: str, choice: random.Random) -> str:
        """The text with everything in it chosen.

        Raises:
            KeyError: It names a list that is not there.
            ValueError: Its lists go round in a circle.
        """
        known: dict[str, str] = {}

        def chosen(name: str) -> str:
            if name not in _CONSTANT:
                return choice.choice(self.lists[name])
            return known.setdefault(name, choice.choice(self.lists[name]))

        for _ in range(_DEPTH):
            expanded = _CHOICE.sub(lambda found: choice.choice(found[1].split("|")), text)
            expanded = _SYMBOL.sub(lambda found: chosen(found[1]), expanded)
            if expanded == text:
                return text
            text = expanded
        raise ValueError(f"goes round in a circle: {text[:80]}")
