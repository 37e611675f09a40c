"""What a classifier has read of one text so far, and what that comes to. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sluice_guardrail.domain.classifying.windows import Window
from sluice_guardrail.domain.model import Finding

#: Category of all findings.
CATEGORY = "injection"
#: Findings of one text.
_MOST = 32


@dataclass
class Sheet:
    """The windows of one text, and their scores as they come in."""

    windows: Sequence[Window]
    scores: dict[int, float] = field(default_factory=dict)
    """By index of the window."""

    @property
    def complete(self) -> bool:
        """Every window was read."""
        return len(self.scores) == len(self.windows)

    @property
    def score(self) -> float:
        """The highest so far."""
        return max(self.scores.values(), default=0.0)

    def runs(self, floor: float) -> "list[Run]":
        """The windows that reach a score, those of one view that touch joined; the best first."""
        reached = [(self.windows[index], score) for index, score in self.scores.items() if score >= floor]
        runs: list[Run] = []
        for window, score in sorted(reached, key=lambda each: (each[0].view.name, each[0].start)):
            last = runs[-1] if runs else None
            if last is not None and last.window.view is window.view and window.start <= last.window.end:
                joined = replace(last.window, end=max(last.window.end, window.end))
                runs[-1] = Run(joined, max(last.score, score))
            else:
                runs.append(Run(window, score))
        return sorted(runs, key=lambda run: -run.score)[:_MOST]


@dataclass(frozen=True, slots=True)
class Run:
    """Windows that touch, and the best one's score."""

    window: Window
    score: float


def findings(runs: Sequence[Run]) -> list[Finding]:
    """One for each run, except where a better one holds all of it in another view."""
    found: list[Finding] = []
    for run in runs:
        span = run.window.source
        if any(each.span.start <= span.start and span.end <= each.span.end for each in found):
            continue
        found.append(Finding(CATEGORY, round(run.score, 4), span, run.window.shown_by))
    return found
