"""`sluice policy`: what it prints, and what it exits with."""

import json
from pathlib import Path

import pytest

from sluice_guardrail.wasm.written_cases import read_cases
from support.running import PROJECT, sluice

POLICIES = PROJECT / "policies"
MODULE = POLICIES / "modules" / "no-competitors.wasm"
CASES = POLICIES / "no-competitors" / "cases.yaml"
OK, FAILED, USAGE = 0, 1, 2


def test_cases_that_hold():
    done = sluice("policy", "test", MODULE, CASES)
    assert done.returncode == OK, done.stderr
    assert "8 of 8 cases hold" in done.stdout
    assert done.stdout.startswith("module: sha256:")
    report = json.loads(sluice("policy", "test", MODULE, CASES, "--json").stdout)
    assert {case["passed"] for case in report["cases"]} == {True}


def test_a_case_that_fails_says_what_was_expected_and_what_came(tmp_path: Path):
    cases = tmp_path / "cases.yaml"
    cases.write_text("""
        cases:
          - {name: wrong, text: Globex and more, expect: {action: block, spans: [Glo]}}
          - {name: right, text: nothing, expect: {action: allow}}
    """)
    done = sluice("policy", "test", MODULE, cases, "--settings", '{"words": ["Globex"]}', "--timeout", "5s")
    assert done.returncode == FAILED
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert next(line for line in lines if line.startswith("FAILS")).startswith("FAILS wrong redact")
    assert "action expected block" in lines
    assert 'got ["Globex"]' in lines
    assert "1 of 2 cases hold" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("test", "nowhere.wasm", CASES), "nowhere.wasm: No such file"),
        (("test", MODULE, "nowhere.yaml"), "nowhere.yaml: No such file"),
        (("test", MODULE, CASES, "--settings", "{bad"), "--settings"),
        (("test", MODULE, CASES, "--timeout", "soon"), "timeout: 'soon' is not a duration"),
        (("inspect", MODULE, "--settings", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_wrong_use(arguments: tuple[str | Path, ...], says: str):
    done = sluice("policy", *arguments)
    assert done.returncode == USAGE
    assert says in done.stderr


def test_inspection_says_whether_it_would_load(tmp_path: Path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("words: [Globex]")
    would = sluice("policy", "inspect", MODULE, "--settings", settings)
    assert would.returncode == OK, would.stderr
    assert "guard_evaluate" in would.stdout
    assert "would load" in would.stdout
    settings.write_text("words: []")
    would_not = sluice("policy", "inspect", MODULE, "--settings", settings)
    assert would_not.returncode == FAILED
    assert "would not load: it refuses the settings: words: name at least one" in would_not.stdout


@pytest.mark.parametrize("language", ["rust", "go", "c"])
def test_a_policy_is_begun_in_an_empty_folder_only(language: str, tmp_path: Path):
    folder = tmp_path / "new"
    assert sluice("policy", "init", folder, "--language", language).returncode == OK
    assert {"Makefile", "cases.yaml"} <= {file.name for file in folder.iterdir()}
    assert read_cases((folder / "cases.yaml").read_bytes(), "0" * 64, {}).cases
    again = sluice("policy", "init", folder)
    assert again.returncode == USAGE
    assert "is not empty" in again.stderr


def test_scaffolds_speak_the_abi_as_the_shipped_policies_and_the_document_do():
    scaffolds = PROJECT / "cli" / "src" / "sluice_cli" / "scaffolds"
    for scaffold, shipped in {
        "rust/src/abi.rs": "no-competitors/src/abi.rs",
        "go/abi.go": "ticket-scope/abi.go",
    }.items():
        assert (scaffolds / scaffold).read_text() == (POLICIES / shipped).read_text()
    assert (scaffolds / "c" / "policy.c").read_text().partition("\n\n")[2] in (
        PROJECT / "docs" / "policy-abi.md"
    ).read_text()
