"""Where a run comes from and what was made of it."""

from sluice_cli.lineage import lineage_lines


def test_plain_run_has_nothing_to_tell():
    assert (
        lineage_lines({"resumed": 0, "origin": None, "descendants": [], "experiment": None, "arm": None})
        == []
    )
    assert lineage_lines({}) == []  # of an older gateway


def test_run_tells_what_it_has_to_do_with():
    made = {"decision": None, "reason": None, "actor": None}
    lines = lineage_lines(
        {
            "resumed": 2,
            "experiment": "press",
            "arm": "r2",
            "origin": {"run_id": "old", "how": "promoted", "from_step": "generate"},
            "descendants": [
                {**made, "run_id": "a", "how": "forked", "step": "rerank"},
                {
                    "run_id": "b",
                    "how": "overridden",
                    "step": "guard_output",
                    "decision": "block",
                    "reason": "it is [red]wrong",
                    "actor": "grace",
                },
            ],
        }
    )
    assert lines == [
        "arm r2 of press",
        "went on 2 times",
        "goes on with old, which failed at generate",
        "forked from rerank  -> run a",
        "guard_output turned into block by grace: it is \\[red]wrong  -> run b",
    ]
