"""Feedback on runs: into the journal, the statistics of the run's arm, and (its comment) the store of payloads."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sluice_api.objects.pipeline import Payloads
from sluice_api.snapshot import Snapshot
from sluice_gateway.domain.clock import Clock
from sluice_gateway.domain.experimenting.assigning import How
from sluice_gateway.domain.model import Principal
from sluice_gateway.domain.outcome import ADMIT
from sluice_gateway.domain.run import Event, EventKind, RunRecord
from sluice_gateway.experiments.store import OutcomeStore, Rating
from sluice_gateway.journal.port import Journal
from sluice_gateway.payloads.port import PayloadNotRetained, PayloadStore
from sluice_servicekit.errors import InvalidArgument


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody says of an answer."""

    rating: float
    """0 to 1."""
    comment: str = ""
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of feedback."""

    rating: float
    comment_kept: bool
    experiment: str
    arm: str
    """The arm that the run was assigned to; empty where there was none."""


class Feedback:
    """Takes feedback.

    Args:
        snapshot: Gives the snapshot in force.
        payloads: Where comments are kept; nowhere where None.
    """

    def __init__(
        self,
        journal: Journal,
        store: OutcomeStore,
        snapshot: Callable[[], Snapshot],
        clock: Clock,
        payloads: PayloadStore | None = None,
    ) -> None:
        self._journal = journal
        self._store = store
        self._snapshot = snapshot
        self._clock = clock
        self._payloads = payloads

    async def give(self, principal: Principal, record: RunRecord, opinion: Opinion) -> Taken:
        """Takes an opinion on a run of the principal's tenant; the last one of each subject counts.

        Raises:
            InvalidArgument: the run was never admitted.
            Unavailable: journal or database cannot be written; nothing is lost by giving it again.
        """
        events = await self._journal.events(record.run_id)
        subject = _hash(principal.tenant, principal.subject)
        if any(event.step == ADMIT for event in events):
            raise InvalidArgument("the run was refused before it started", field="run_id")
        assigned = _assignment(events)
        kept = await self._keep(record, subject, opinion.comment)
        counts = assigned.get("how") == How.DEALT
        experiment, arm = assigned.get("name", ""), assigned.get("arm", "")
        rating = Rating(
            record.run_id,
            subject,
            record.tenant,
            experiment if counts else "",
            arm,
            assigned.get("model_name", ""),
            assigned.get("bucket", 0),
            record.started,
            opinion.rating,
            opinion.labels,
            _hash(opinion.comment) if opinion.comment else "",
        )
        if not _is_last(events, rating):
            self._journal.append(self._event(record, rating))
            await self._journal.commit()
        await self._store.rate(rating)
        return Taken(opinion.rating, kept, experiment, arm)

    async def _keep(self, record: RunRecord, subject: str, comment: str) -> bool:
        """True where the comment is kept: sealed, wherever the pipeline keeps anything."""
        pipeline = self._snapshot().pipelines.get(record.pipeline)
        if not comment or self._payloads is None or pipeline is None:
            return False
        mode = Payloads.NONE if pipeline.spec.payloads is Payloads.NONE else Payloads.SEALED
        try:
            name = f"feedback-{subject[:16]}"
            return bool(await self._payloads.keep(record.tenant, record.run_id, name, comment.encode(), mode))
        except PayloadNotRetained:  # the run's key is gone
            return False

    def _event(self, record: RunRecord, rating: Rating) -> Event:
        return Event(
            run_id=record.run_id,
            tenant=record.tenant,
            kind=EventKind.FEEDBACK,
            at=self._clock.now(),
            pipeline=record.pipeline,
            detail=json.dumps(_said(rating), separators=(",", ":")),
            input_hash=rating.comment_hash,
        )


def _said(rating: Rating) -> dict[str, object]:
    """What the journal holds of a rating: no comment, and no name."""
    return {"rating": rating.rating, "labels": list(rating.labels), "subject_hash": rating.subject}


def _is_last(events: Sequence[Event], rating: Rating) -> bool:
    """True where the journal's last feedback of the subject says the same."""
    said = [
        (json.loads(event.detail), event.input_hash) for event in events if event.kind is EventKind.FEEDBACK
    ]
    own = [each for each in said if each[0]["subject_hash"] == rating.subject]
    return bool(own) and own[-1] == (_said(rating), rating.comment_hash)


def _assignment(events: Sequence[Event]) -> dict[str, Any]:
    """What the run's start says of its arm; nothing where no experiment split its model."""
    for event in events:
        if event.kind is EventKind.RUN_STARTED and event.detail:
            found = json.loads(event.detail).get("experiment")
            return found if isinstance(found, dict) else {}
    return {}


def _hash(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
