"""All groups, in the order of the report."""

from sluice_cli.diagnosing import (
    databases,
    embedding,
    keys,
    machine,
    model_servers,
    objects,
    packages,
    ports,
    rankers,
    round_trip,
    services,
    settings,
    store,
)
from sluice_cli.diagnosing.findings import Check
from sluice_cli.diagnosing.subject import Subject


def checks(subject: Subject) -> list[Check]:
    """Everything that is looked at."""
    return [
        *machine.checks(),
        *packages.checks(),
        *settings.checks(subject),
        *objects.checks(subject),
        *ports.checks(subject),
        *store.checks(subject),
        *databases.checks(subject),
        *keys.checks(subject),
        *embedding.checks(),
        *model_servers.checks(subject),
        *rankers.checks(subject),
        *services.checks(subject),
        *round_trip.checks(subject),
    ]
