"""Outcomes and ratings in the gateway's database: written by each replica alone, merged where they are read."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, case, delete, func, select

from sluice_api.objects.adapter_experiment import Metric
from sluice_gateway.domain.experimenting.grouping import GROUPS
from sluice_gateway.domain.experimenting.outcomes import Outcomes
from sluice_gateway.domain.experimenting.sketch import Moments
from sluice_gateway.experiments.tables import FEEDBACK, OUTCOMES, put
from sluice_gateway.storage.database import Database

#: Seconds of one row of outcomes: what `since` is rounded down to.
STRETCH = 3600

#: Seconds after which outcomes and ratings are dropped.
_RETENTION = 90 * 86400


@dataclass(frozen=True, slots=True)
class Cell:
    """Whose outcomes, and when."""

    experiment: str
    arm: str
    model_name: str
    since: int
    """Unix seconds at which the stretch starts."""


@dataclass(frozen=True, slots=True)
class Rating:
    """One subject's rating of one run."""

    run_id: str
    subject: str
    """Hashed."""
    tenant: str
    experiment: str
    """Empty where the run counts in none."""
    arm: str
    model_name: str
    unit_bucket: int
    started: float
    rating: float
    labels: tuple[str, ...] = ()
    comment_hash: str = ""


class OutcomeStore:
    """Outcomes and ratings.

    Args:
        replica: This process's name, unlike any other's now or before.
    """

    def __init__(self, database: Database, replica: str) -> None:
        self._database = database
        self._replica = replica

    async def write(self, cells: Mapping[Cell, str]) -> None:
        """Writes what this replica has counted of each cell, over what it wrote before.

        Raises:
            Unavailable: the database cannot be written.
        """
        rows = [
            {
                "experiment": cell.experiment,
                "arm": cell.arm,
                "model_name": cell.model_name,
                "since": cell.since,
                "replica": self._replica,
                "outcomes": outcomes,
            }
            for cell, outcomes in cells.items()
        ]
        await self._database.run(lambda connection: put(connection, OUTCOMES, rows))

    async def read(self, experiment: str, models: Mapping[str, str], since: float) -> dict[str, Outcomes]:
        """By arm, what all replicas have counted since then, of the model that the arm has now.

        Raises:
            Unavailable: the database cannot be read.
        """
        return await self._database.run(lambda connection: _read(connection, experiment, models, since))

    async def rate(self, rating: Rating) -> bool:
        """Takes a rating in, in place of the subject's earlier one; False where it is the same.

        Raises:
            Unavailable: the database cannot be written.
        """
        return await self._database.run(lambda connection: _rate(connection, rating))

    async def prune(self, now: float) -> None:
        """Drops what is too old.

        Raises:
            Unavailable: the database cannot be written.
        """
        before = now - _RETENTION

        def work(connection: Connection) -> None:
            connection.execute(delete(OUTCOMES).where(OUTCOMES.c.since < int(before)))
            connection.execute(delete(FEEDBACK).where(FEEDBACK.c.started < before))

        await self._database.run(work)


def _read(
    connection: Connection, experiment: str, models: Mapping[str, str], since: float
) -> dict[str, Outcomes]:
    merged: dict[str, Outcomes] = defaultdict(Outcomes)
    start = int(since // STRETCH * STRETCH)
    rows = connection.execute(
        select(OUTCOMES.c.arm, OUTCOMES.c.model_name, OUTCOMES.c.outcomes).where(
            OUTCOMES.c.experiment == experiment, OUTCOMES.c.since >= start
        )
    )
    for arm, model_name, outcomes in rows:
        if models.get(arm) == model_name:
            merged[arm].merge(Outcomes.from_json(outcomes))
    _add_ratings(connection, experiment, models, start, merged)
    return {arm: merged[arm] for arm in models}


def _add_ratings(
    connection: Connection,
    experiment: str,
    models: Mapping[str, str],
    since: int,
    merged: Mapping[str, Outcomes],
) -> None:
    rating, group = FEEDBACK.c.rating, FEEDBACK.c.unit_bucket % GROUPS
    rows = connection.execute(
        select(
            FEEDBACK.c.arm,
            FEEDBACK.c.model_name,
            group,
            func.count(),
            func.sum(rating),
            func.sum(rating * rating),
            func.sum(case((rating > 0.5, 1), else_=0)),
            func.sum(case((rating < 0.5, 1), else_=0)),
        )
        .where(FEEDBACK.c.experiment == experiment, FEEDBACK.c.started >= since)
        .group_by(FEEDBACK.c.arm, FEEDBACK.c.model_name, group)
    )
    for arm, model_name, of, count, total, squares, up, down in rows:
        if models.get(arm) == model_name:
            mean = total / count
            moments = Moments(count, mean, max(0.0, squares - count * mean * mean))
            outcomes = merged[arm]
            outcomes.feedback.values.merge(moments)
            outcomes.feedback.up += int(up)
            outcomes.feedback.down += int(down)
            outcomes.groups[Metric.FEEDBACK].merge({of: (count, total)})


def _rate(connection: Connection, rating: Rating) -> bool:
    labels = ",".join(rating.labels)
    before = connection.execute(
        select(FEEDBACK.c.rating, FEEDBACK.c.labels, FEEDBACK.c.comment_hash).where(
            FEEDBACK.c.run_id == rating.run_id, FEEDBACK.c.subject == rating.subject
        )
    ).one_or_none()
    if before is not None and tuple(before) == (rating.rating, labels, rating.comment_hash):
        return False
    row = {
        "run_id": rating.run_id,
        "subject": rating.subject,
        "tenant": rating.tenant,
        "experiment": rating.experiment,
        "arm": rating.arm,
        "model_name": rating.model_name,
        "unit_bucket": rating.unit_bucket,
        "started": rating.started,
        "rating": rating.rating,
        "labels": labels,
        "comment_hash": rating.comment_hash,
    }
    put(connection, FEEDBACK, [row])
    return True
