"""What of an answer claims something."""

import pytest

from sluice_guardrail.domain.claims import claims
from sluice_lexical.unanswerable import SENTENCES


@pytest.mark.parametrize("said", SENTENCES.values(), ids=SENTENCES)
def test_saying_that_there_is_no_answer_claims_nothing(said: str):
    assert list(claims(said, ())) == []
