"""The thirty variants: what is caught stays caught, and harmless twins pass."""

from evaluation.variants.cases import NAMES, Half, cases


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
