"""What goes with documents besides their content: metadata, who may see them, and for how long."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sluice_cli.documents import Document

Json = dict[str, Any]


@dataclass(frozen=True)
class Labels:
    """What documents get."""

    metadata: Json = field(default_factory=dict)
    acl: Sequence[str] = ()
    ttl: str = ""
    """A duration, which the gateway counts from the moment that it stores them."""


@dataclass(frozen=True)
class Rule:
    """Labels of those documents whose ids match."""

    matches: re.Pattern[str]
    labels: Labels


@dataclass(frozen=True)
class Labelling:
    """Rules in order; a later one goes before those above it, and what a document says itself before them all."""

    rules: Sequence[Rule] = ()

    def apply(self, document: Document) -> Document:
        """The document with its labels."""
        labels = [rule.labels for rule in self.rules if rule.matches.match(document.id)]
        body = dict(document.body)
        metadata = {name: value for each in labels for name, value in each.metadata.items()}
        own = body.get("metadata", {})
        if metadata and isinstance(own, dict):
            body["metadata"] = {**metadata, **own}
        acl = next((each.acl for each in reversed(labels) if each.acl), ())
        if acl and not body.get("acl"):
            body["acl"] = list(acl)
        ttl = next((each.ttl for each in reversed(labels) if each.ttl), "")
        if ttl and not (body.get("ttl") or body.get("expire_time")):
            body["ttl"] = ttl
        return replace(document, body=body)
