"""Which run has made an answer that another one gave."""

import pytest

from sluice_cli.rendering import origin_lines


@pytest.mark.parametrize(
    ("step", "detail", "lines"),
    [
        ("cache", {}, []),
        ("cache", {"reason": "NO_CACHE"}, []),
        (
            "cache",
            {"kind": "exact", "run_id": "r1", "age_seconds": 12.4},
            ["answered by run r1, 12 s before (exact)"],
        ),
        (
            "cache",
            {"kind": "semantic", "run_id": "r1", "age_seconds": 0.2, "similarity": 0.9712},
            ["answered by run r1, 0 s before (semantic, similarity 0.971)"],
        ),
        ("coalesce", {"coalesced_with": "r1"}, ["answered together with run r1"]),
        ("retrieve", {"run_id": "r1"}, []),
    ],
)
def test_origin_of_an_answer_is_told(step: str, detail: dict[str, object], lines: list[str]) -> None:
    assert origin_lines({"steps": [{"name": step, "detail": detail}]}) == lines
