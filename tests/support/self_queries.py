"""Questions labelled with the filter that is to be read out of them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from sluice_api.filtering import Leaf, leaves
from sluice_api.objects.knowledge_base import MetadataField
from sluice_gateway.domain.filters import read
from sluice_gateway.filter_conversion import filter_message
from sluice_retriever.domain.self_query import extract
from sluice_retriever.filter_conversion import filter_

_FILE = Path(__file__).parents[1] / "data" / "self_query.yaml"

TODAY = date(2026, 6, 15)


@dataclass(frozen=True)
class Asked:
    """A question to a knowledge base of these fields."""

    knowledge_base: str
    language: str
    text: str
    fields: Sequence[MetadataField]
    values: Mapping[str, Sequence[str]]
    expected: frozenset[Leaf]

    @property
    def held_out(self) -> bool:
        """No rule was made from it."""
        return hashlib.sha256(self.text.encode()).digest()[-1] % 2 == 1

    def read(self) -> frozenset[Leaf]:
        """The conditions that the rules read."""
        found = extract(self.text, self.fields, self.values, TODAY).filter
        return frozenset(leaves(found)) if found else frozenset()


def labelled() -> list[Asked]:
    """Every labelled question, in the order of the file."""
    return [
        Asked(
            name,
            language,
            question["ask"],
            tuple(MetadataField.model_validate(field) for field in base["fields"]),
            base["values"],
            _conditions(question.get("filter", {})),
        )
        for name, base in yaml.safe_load(_FILE.read_text(encoding="utf-8")).items()
        for language in ("en", "de")
        for question in base[language]
    ]


def _conditions(content: dict[str, Any]) -> frozenset[Leaf]:
    return frozenset(leaves(filter_(filter_message(read(_dated(content))))))


def _dated(content: Any) -> Any:
    """The same with YAML's dates as text."""
    if isinstance(content, dict):
        return {name: _dated(value) for name, value in content.items()}
    return content.isoformat() if isinstance(content, date) else content
