"""What became of the runs of one arm: counts and sums, no content, no ids. Pure; two of them add up."""

import json
from collections import Counter
from dataclasses import astuple, dataclass, field

from sluice_api.objects.adapter_experiment import Metric
from sluice_gateway.domain.experimenting.grouping import GROUPS, Groups
from sluice_gateway.domain.experimenting.sketch import Moments, Sketch
from sluice_gateway.domain.observing import EndedRun
from sluice_gateway.domain.run import RunState

#: Bins of the histogram of groundedness, of equal width over 0 to 1.
GROUNDEDNESS_BINS = 10

#: Kinds of errors told apart; all others are `OTHER`.
_MOST_KINDS = 32


_RATES = (
    (Metric.ERROR_RATE, RunState.FAILED),
    (Metric.BLOCK_RATE, RunState.BLOCKED),
    (Metric.DEGRADED_RATE, RunState.DEGRADED),
)


@dataclass(slots=True)
class Ratings:
    """Feedback on runs, each rating 0 to 1."""

    values: Moments = field(default_factory=Moments)
    up: int = 0
    """Above 0.5."""
    down: int = 0
    """Below 0.5."""


@dataclass(slots=True)
class Outcomes:
    """What became of runs."""

    requests: int = 0
    answered: int = 0
    degraded: int = 0
    cancelled: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    """Failed runs by the error's reason."""
    blocks: Counter[str] = field(default_factory=Counter)
    """Blocked runs by the gate's step."""
    groundedness: Moments = field(default_factory=Moments)
    groundedness_bins: list[int] = field(default_factory=lambda: [0] * GROUNDEDNESS_BINS)
    seconds: Moments = field(default_factory=Moments)
    """Of answered and degraded runs, as are the tokens: what is refused at once would make an arm look quick."""
    seconds_sketch: Sketch = field(default_factory=Sketch)
    prompt_tokens: Moments = field(default_factory=Moments)
    completion_tokens: Moments = field(default_factory=Moments)
    feedback: Ratings = field(default_factory=Ratings)
    """Kept elsewhere, since it comes later: neither `add` nor `as_json` know it."""
    groups: dict[Metric, Groups] = field(default_factory=lambda: {metric: Groups() for metric in Metric})
    """The same numbers by groups of units; `feedback` as above."""

    def add(self, run: EndedRun) -> None:
        """Takes a run in."""
        self.requests += 1
        group = run.unit_bucket % GROUPS
        for metric, state in _RATES:
            self.groups[metric].add(group, float(run.state is state))
        match run.state:
            case RunState.FAILED:
                self.errors[self._kind(run.reason)] += 1
            case RunState.BLOCKED:
                self.blocks[run.blocked_at] += 1
            case RunState.CANCELLED:
                self.cancelled += 1
            case RunState.DEGRADED:
                self.degraded += 1
                self._written(run)
            case _:
                self.answered += 1
                self._written(run)
        if run.groundedness is not None:
            self.groundedness.add(run.groundedness)
            self.groups[Metric.GROUNDEDNESS].add(group, run.groundedness)
            self.groundedness_bins[min(int(run.groundedness * GROUNDEDNESS_BINS), GROUNDEDNESS_BINS - 1)] += 1

    def merge(self, other: "Outcomes") -> None:
        """Takes in what another has counted."""
        self.requests += other.requests
        self.answered += other.answered
        self.degraded += other.degraded
        self.cancelled += other.cancelled
        self.errors.update(other.errors)
        self.blocks.update(other.blocks)
        self.groundedness.merge(other.groundedness)
        self.groundedness_bins = [
            one + more for one, more in zip(self.groundedness_bins, other.groundedness_bins, strict=True)
        ]
        self.seconds.merge(other.seconds)
        self.seconds_sketch.merge(other.seconds_sketch.bins)
        self.prompt_tokens.merge(other.prompt_tokens)
        self.completion_tokens.merge(other.completion_tokens)
        for metric, groups in other.groups.items():
            self.groups[metric].merge(groups.sums)

    def as_json(self) -> str:
        """All of it but the feedback, compact."""
        content = {
            "requests": self.requests,
            "answered": self.answered,
            "degraded": self.degraded,
            "cancelled": self.cancelled,
            "errors": self.errors,
            "blocks": self.blocks,
            "groundedness": astuple(self.groundedness),
            "groundedness_bins": self.groundedness_bins,
            "seconds": astuple(self.seconds),
            "seconds_bins": self.seconds_sketch.bins,
            "prompt_tokens": astuple(self.prompt_tokens),
            "completion_tokens": astuple(self.completion_tokens),
            "groups": {metric: groups.sums for metric, groups in self.groups.items()},
        }
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Outcomes":
        """What `as_json` has written."""
        content = json.loads(text)
        return cls(
            requests=content["requests"],
            answered=content["answered"],
            degraded=content["degraded"],
            cancelled=content["cancelled"],
            errors=Counter(content["errors"]),
            blocks=Counter(content["blocks"]),
            groundedness=Moments(*content["groundedness"]),
            groundedness_bins=content["groundedness_bins"],
            seconds=Moments(*content["seconds"]),
            seconds_sketch=Sketch({int(index): count for index, count in content["seconds_bins"].items()}),
            prompt_tokens=Moments(*content["prompt_tokens"]),
            completion_tokens=Moments(*content["completion_tokens"]),
            groups={
                metric: Groups({int(group): (count, total) for group, (count, total) in sums.items()})
                for metric in Metric
                for sums in [content["groups"].get(metric, {})]
            },
        )

    def _written(self, run: EndedRun) -> None:
        self.seconds.add(run.seconds)
        self.seconds_sketch.add(run.seconds)
        self.prompt_tokens.add(run.usage.prompt_tokens)
        self.completion_tokens.add(run.usage.completion_tokens)
        group = run.unit_bucket % GROUPS
        self.groups[Metric.LATENCY].add(group, run.seconds)
        self.groups[Metric.TOKENS].add(group, run.usage.completion_tokens)

    def _kind(self, reason: str) -> str:
        """`UNAVAILABLE` of `generate: UNAVAILABLE`."""
        kind = reason.rpartition(": ")[2] or "UNKNOWN"
        return kind if kind in self.errors or len(self.errors) < _MOST_KINDS else "OTHER"
