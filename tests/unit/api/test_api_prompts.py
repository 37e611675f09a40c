"""Templates of prompts: what may stand in them, and what is refused with a reason."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice_api.compiling import compile_objects
from sluice_api.errors import LoadError
from sluice_api.loading import load
from sluice_api.objects.prompt import PLACEHOLDERS, Prompt, parsed
from sluice_api.templates import parse

VALUES = {name: f"<{name}>" for name in PLACEHOLDERS}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{passages}", "<passages>"),
        ("For {tenant} on { date }:\n{passages}", "For <tenant> on <date>:\n<passages>"),
        ('As JSON: {"a": {"b": []}}\n{passages}', 'As JSON: {"a": {"b": []}}\n<passages>'),
        ("Write {{date}} and {}\n{passages}", "Write {date} and {}\n<passages>"),
        ("\n{passages}\n \n\n{rules}\n", "<passages>\n\n<rules>"),
        ("It costs $5 or 5 %. {passages}", "It costs $5 or 5 %. <passages>"),
    ],
)
def test_only_names_in_braces_are_placeholders(template: str, filled: str):
    assert parsed(template).filled(VALUES) == filled


def test_paragraph_of_nothing_is_left_out():
    template = parse("Be brief.\n\nThe caller says: {system}\n\n{passages} {date}", PLACEHOLDERS)
    assert template.filled({**VALUES, "system": ""}) == "Be brief.\n\n<passages> <date>"
    assert template.filled({**VALUES, "system": "", "passages": ""}) == "Be brief.\n\n <date>"
    assert template.literals == "Be brief.\n\nThe caller says:"


@given(st.text(max_size=60))
def test_what_is_put_in_is_never_read_as_a_template(text: str):
    hostile = f"{text}{{passages}} {{{{date}}}} {{% raw %}} \n\n {{tenant}}"
    values = {**VALUES, "question": hostile}
    assert parsed("Q: {question} {passages}").filled(values) == f"Q: {hostile} <passages>"


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("Answer.", "{passages} must stand in the template once, not 0 times"),
        ("{passages} {passages}", "once, not 2 times"),
        ("{passage}", "{passage} is no placeholder, did you mean {passages}? there is: {passages}, "),
        ("{context} {passages}", "the text itself is {{context}}"),
        ("{date:%Y} {passages}", "'{date:%Y} ' is no placeholder"),
        ("{passages", "nothing but } may stand after {passages"),
        ("{% for p in passages %}{passages}", "no logic"),
        ("{{ passages | join }}", "no logic"),
    ],
)
def test_template_that_means_something_else_is_refused(tmp_path: Path, template: str, told: str):
    generate = {"modelServerRef": "default", "prompt": {"template": template}}
    steps = {"generate": generate}
    spec = {"knowledgeBaseRef": "default", "guardrailPolicyRef": "default", "steps": steps}
    pipeline = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": "default"},
        "spec": spec,
    }
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(pipeline))
    with pytest.raises(LoadError) as raised:
        compile_objects(load([tmp_path]))
    [problem] = raised.value.problems
    assert problem.field == "spec.steps.generate.prompt.template"
    assert told in problem.message


def test_example_of_the_documentation_compiles(tmp_path: Path):
    page = Path(__file__).parents[3] / "docs" / "prompts.md"
    example = page.read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "pipeline.yaml").write_text(example)
    objects = Path(__file__).parents[3] / "examples" / "vllm"
    others = [file for file in objects.glob("*.yaml") if file.name != "pipeline.yaml"]
    compiled = compile_objects(load([tmp_path, *others])).snapshot.pipelines["default"]
    prompt = compiled.spec.steps.generate.prompt
    assert (prompt.max_prompt_tokens, prompt.metadata) == (6000, ("url", "updated"))
    assert set(prompt.layout.names) == {"tenant", "date", "instructions", "system", "rules", "passages"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"metadata": ["title"]},
        {"metadata": ['a" b']},
        {"maxPromptTokens": 0},
        {"maxPassageTokens": 8},
        {"minPassages": 0},
        {"passageOrder": "best"},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValidationError):
        Prompt.model_validate(wrong)
