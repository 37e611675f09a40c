"""Tokens by a text's characters, and what is learned of a model's own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_inference.domain.counting import Ratio, bytes_of, estimate, estimated


@pytest.mark.parametrize(
    ("text", "counted"),
    [  # by Mistral's tekken of 2024-09 and its SentencePiece of 32,000 tokens, whichever makes more
        ("The oil of the press is changed after forty hours of work. ", 261),
        ("Die Ölpresse braucht nach vierzig Betriebsstunden neues Öl und eine Prüfung. ", 521),
        ("Пресс нуждается в замене масла после сорока часов работы. ", 401),
        ("压力机在工作四十小时后需要更换机油。", 361),
        ("プレス機は四十時間の作業後にオイル交換が必要です。", 501),
        ("01 23 45 67 89 ", 301),
        ("c2x1aWNlIHByZXNz", 300),
        ("🙂", 80),
    ],
)
def test_estimate_is_rather_too_high_in_every_script(text: str, counted: int):
    assert 0.98 * counted <= estimate(20 * text) <= 2.1 * counted


@given(st.text(max_size=200))
def test_estimate_is_within_reason_for_every_text(text: str):
    assert len(text) / 4 <= estimate(text) + 1e-9
    assert estimate(text) <= 2 * bytes_of(text)


def test_ratio_follows_what_servers_count_and_stays_above_it():
    ratio = Ratio()
    for counted in (700, 720, 690, 710) * 8:
        ratio = ratio.learned(counted, 1000)
    assert 0.71 <= ratio.bound <= 0.8
    assert estimated(ratio.bound)("word " * 400) < estimated(1.0)("word " * 400)


def test_ratio_stays_within_limits_whatever_a_server_says():
    low, high = Ratio(), Ratio()
    for _ in range(100):
        low, high = low.learned(32, 10**9), high.learned(10**9, 32)
    assert (low.bound, high.bound) == (0.5, 2.5)
    assert Ratio().learned(0, 500) == Ratio()
