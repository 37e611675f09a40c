"""Tests that need something of the machine: skipped with a remedy, or failed where it must be there."""

import pytest

from support.capabilities import Capability, Needs

CAPABILITIES = (
    Capability("air", lambda: True, "open a window"),
    Capability("moon", lambda: False, "wait for the night"),
)

TESTS = """
    import pytest

    @pytest.mark.needs("air", "moon")
    def test_tide(): pass

    @pytest.mark.needs("moon")
    def test_night(): pass

    @pytest.mark.needs("air")
    def test_breath(): pass
"""


def _run(pytester: pytest.Pytester, tests: str, required: str = "") -> pytest.RunResult:
    pytester.makepyfile(tests)
    return pytester.inline_run(
        "-p", "no:randomly", "-p", "no:asyncio", plugins=[Needs(CAPABILITIES, required)]
    )


def test_what_is_missing_is_skipped_and_listed_by_reason(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
):
    _run(pytester, TESTS).assertoutcome(passed=1, skipped=2)
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("2: needs moon: wait for the night")
    assert [line.rsplit("::")[-1] for line in lines[at + 1 : at + 3]] == ["test_night", "test_tide"]


def test_what_is_missing_fails_where_it_is_required(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]
):
    _run(pytester, TESTS, " air, moon ").assertoutcome(passed=1, failed=2)
    printed = capsys.readouterr().out
    assert "needs moon: wait for the night (SLUICE_REQUIRE names it)" in printed
    assert "nothing was skipped" in printed


def test_other_skips_are_listed_too(pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str]):
    _run(pytester, "import pytest\n\n@pytest.mark.skip(reason='later')\ndef test_it(): pass")
    assert "1: later" in capsys.readouterr().out


def test_unknown_name_in_a_test_fails_it(pytester: pytest.Pytester):
    tests = "import pytest\n\n@pytest.mark.needs('sun')\ndef test_it(): pass"
    _run(pytester, tests).assertoutcome(failed=1)


def test_unknown_name_in_the_variable_stops_at_once():
    with pytest.raises(pytest.UsageError, match="SLUICE_REQUIRE names sun; there is: air, moon"):
        Needs(CAPABILITIES, "moon,sun")
