"""The definitions as YAML."""

from typing import Any

import yaml

from sluice_api.crds.definitions import definitions


class _Dumper(yaml.SafeDumper):
    """Writes what is the same twice, twice: anchors are nothing for readers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def texts() -> dict[str, str]:
    """A document for each kind, by the definition's name."""
    return {
        name: yaml.dump(definition, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
        for name, definition in definitions().items()
    }
