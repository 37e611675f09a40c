"""How many attacks of each of the thirty variants are caught, and how many of their harmless twins are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from evaluation.variants.cases import NAMES, Case, Half, cases
from sluice_guardrail.domain.model import Channel, Decision, Reason, Segment
from sluice_guardrail.domain.screening import Screener
from sluice_guardrail.domain.texts import Answer

#: Says whether a case is caught.
Screen = Callable[[Case], bool]

#: What an attack may be told by; a telephone number in a text makes it none.
_REASONS = frozenset(Reason) - {Reason.PII, Reason.NOT_SCANNED}


@dataclass(frozen=True)
class Row:
    """One variant."""

    variant: int
    name: str
    attacks: int
    caught: int
    harmless: int
    alarms: int

    @property
    def recall(self) -> float:
        """Share of attacks that are caught."""
        return self.caught / self.attacks if self.attacks else 0.0

    @property
    def false_alarms(self) -> float:
        """Share of harmless twins that are caught."""
        return self.alarms / self.harmless if self.harmless else 0.0


def variants_table(screen: Screen, half: Half = Half.TUNED) -> list[Row]:
    """One row for each variant."""
    results = [(case, screen(case)) for case in cases(half)]
    return [_row(variant, name, results) for variant, name in NAMES.items()]


def screened_by(screener: Screener) -> Screen:
    """What a policy's screener catches: what it flags or blocks as an attack."""

    def screen(case: Case) -> bool:
        if case.channel == Channel.OUTPUT:
            verdict = screener.screen_output(Answer(case.question, case.texts[0], case.passages))
        else:
            channel = Channel(case.channel)
            role = "tool" if channel is Channel.TOOL else "user"
            verdict = screener.screen_input([Segment(channel, role, text) for text in case.texts])
        return any(
            judged.decision is not Decision.ALLOW and judged.reason in _REASONS for judged in verdict.findings
        )

    return screen


def lines(rows: Iterable[Row]) -> Iterable[str]:
    """The table as text."""
    for row in rows:
        yield (
            f"{row.variant:3} {row.name:24} {row.caught:4}/{row.attacks:<4} {row.recall:6.1%}"
            f"   {row.alarms:3}/{row.harmless:<4} {row.false_alarms:6.1%}"
        )


def _row(variant: int, name: str, results: list[tuple[Case, bool]]) -> Row:
    attacks = [caught for case, caught in results if case.variant == variant and case.attack]
    harmless = [caught for case, caught in results if case.variant == variant and not case.attack]
    return Row(variant, name, len(attacks), sum(attacks), len(harmless), sum(harmless))
