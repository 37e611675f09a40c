"""The thirty variants: what is caught stays caught, and harmless twins pass."""

import pytest
from evaluation.guardrail_variants import Row, screened_by, variants_table
from evaluation.variants.cases import NAMES, Half, cases

from sluice_api.objects.guardrail_policy import GuardrailPolicySpec
from sluice_guardrail.domain.checks import Parts, Policy
from sluice_guardrail.domain.rules.rule_set import all_rules
from sluice_guardrail.domain.screening import Screener


def test_every_variant_has_attacks_and_harmless_twins_in_both_halves():
    for half in Half:
        made = cases(half)
        for attack in (True, False):
            assert {case.variant for case in made if case.attack is attack} == set(NAMES)
        assert len({case.name for case in made}) == len(made)


def test_cases_are_the_same_every_time():
    assert cases(Half.TUNED) == cases(Half.TUNED)


def test_the_halves_share_no_attack():
    tuned, held_out = ({case.texts for case in cases(half) if case.attack} for half in Half)
    assert tuned.isdisjoint(held_out)


@pytest.fixture(scope="module")
def rows() -> dict[int, Row]:
    screener = Screener(Policy("p", "v", GuardrailPolicySpec()), Parts(all_rules()))
    return {row.variant: row for row in variants_table(screened_by(screener))}


#: Share of attacks that must be caught. Raise them when rules get better; never lower one without a word why.
FLOORS = dict.fromkeys(NAMES, 1.0) | {24: 0.75}


@pytest.mark.parametrize("variant", NAMES)
def test_what_was_caught_is_caught(rows: dict[int, Row], variant: int):
    assert rows[variant].recall >= FLOORS[variant], rows[variant]


@pytest.mark.parametrize("variant", NAMES)
def test_no_harmless_twin_is_caught(rows: dict[int, Row], variant: int):
    assert rows[variant].alarms == 0, rows[variant]
